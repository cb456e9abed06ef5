"""Reads a model bundle from a folder and refuses what does not fit, naming the field. Runs no code from it.

Whoever reads gives the function that reads safetensors, which this package has not (:data:`ReadTensors`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from epaas_shared.bundle import (
    MANIFEST_FILE,
    REPORT_FILE,
    SCHEMA_FILE,
    WEIGHTS_FILE,
    BundleManifest,
    network_from_tensors,
)
from epaas_shared.digest import digest_bytes
from epaas_shared.errors import InvalidBundle, ProfileMismatch
from epaas_shared.network import Network
from epaas_shared.profile import Profile, profile_by_digest
from epaas_shared.schema import InputSchema

ReadTensors = Callable[[bytes], Mapping[str, NDArray[np.generic]]]
"""Raises :class:`InvalidBundle` for bytes that are no safetensors file."""

_MAX_FILE_BYTES = 512 * 1024 * 1024
_FILES = (WEIGHTS_FILE, SCHEMA_FILE, REPORT_FILE)


@dataclass(frozen=True)
class Bundle:
    """A bundle that has passed every check. ``files`` are its bytes by name, the manifest among them."""

    manifest: BundleManifest
    network: Network
    schema: InputSchema
    profile: Profile
    files: Mapping[str, bytes]

    @property
    def digest(self) -> str:
        return self.manifest.digest


def read_bundle(folder: Path, read_tensors: ReadTensors) -> Bundle:
    """Read and check the bundle in ``folder``, but for what its report says. Raises :class:`InvalidBundle`."""
    manifest_bytes = _read(folder, MANIFEST_FILE)
    try:
        manifest = BundleManifest.model_validate_json(manifest_bytes)
    except ValidationError as invalid:
        raise _invalid(MANIFEST_FILE, invalid) from None
    if manifest.to_bytes() != manifest_bytes:
        raise InvalidBundle("is not in canonical form", field=MANIFEST_FILE, hint="export the model again")
    files = {MANIFEST_FILE: manifest_bytes}
    if unlisted := set(_FILES) ^ set(manifest.files):
        raise InvalidBundle("is missing or has no place in a bundle", field=f"files.{min(unlisted)}")
    for name, digest in manifest.files.items():
        files[name] = _read(folder, name)
        if digest_bytes(files[name]) != digest:
            raise InvalidBundle("does not have the digest that the manifest gives", field=f"files.{name}")

    profile = _profile(manifest)
    schema = _schema(files[SCHEMA_FILE], manifest)
    _json(files[REPORT_FILE], REPORT_FILE)
    network = network_from_tensors(manifest.layers, read_tensors(files[WEIGHTS_FILE]), manifest.scores)
    _check_ends(network, schema)
    ranges, layers = manifest.measured_ranges, len(network.evaluated_layers)
    if ranges is not None and len(ranges) != layers:
        raise InvalidBundle(f"has {len(ranges)} ranges for {layers} evaluated layers", field="measured_ranges")
    return Bundle(manifest, network, schema, profile, files)


def _check_ends(network: Network, schema: InputSchema) -> None:
    """The network takes the schema's bits and decides between its classes."""
    if network.inputs != schema.bits:
        raise InvalidBundle(f"takes {network.inputs} bits; schema {schema.name} gives {schema.bits}", field="layers[0]")
    outputs, classes = network.layers[-1].outputs, len(schema.classes)
    if outputs != classes and (network.scores or (outputs, classes) != (1, 2)):
        raise InvalidBundle(
            f"{outputs} outputs for {classes} classes",
            field="output",
            hint="give the last layer one output a class, or a single one for the label of two classes",
        )


def _read(folder: Path, name: str) -> bytes:
    path = folder / name
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            raise InvalidBundle("the file is too large", field=name)
        return path.read_bytes()
    except OSError as error:
        raise InvalidBundle(
            f"cannot be read: {error.strerror}", field=name, hint="a bundle is the folder that `epaas-train fit` writes"
        ) from None


def _profile(manifest: BundleManifest) -> Profile:
    try:
        return profile_by_digest(manifest.profile)
    except ProfileMismatch as error:
        raise InvalidBundle(error.detail, field="profile", hint=error.hint) from None


def _schema(data: bytes, manifest: BundleManifest) -> InputSchema:
    try:
        schema = InputSchema.model_validate_json(data)
    except ValidationError as invalid:
        raise _invalid(SCHEMA_FILE, invalid) from None
    if schema.digest != manifest.input_schema:
        raise InvalidBundle("names another schema than the bundle has", field="input_schema")
    return schema


def _json(data: bytes, name: str) -> Any:
    def refuse(constant: str) -> None:
        raise ValueError(constant)

    try:
        return json.loads(data.decode(), parse_constant=refuse)
    except (ValueError, RecursionError):
        raise InvalidBundle("is not JSON", field=name) from None


def _invalid(name: str, invalid: ValidationError) -> InvalidBundle:
    first = invalid.errors()[0]
    where = ".".join([name, *(str(part) for part in first["loc"])])
    return InvalidBundle(first["msg"].lower(), field=where)

"""The model bundle: what training hands to serving, as files, never as code.

A bundle is a folder:

    manifest.json        this module's :class:`BundleManifest`; its SHA-256 is the digest of the bundle and of the
    model version weights.safetensors  ``layers.<i>.weights`` (int16, outputs x inputs) and ``layers.<i>.thresholds``
    (int32, outputs) schema.json          the task's input schema
    report.json          the reliability report

The manifest holds the digests of the other files, so one digest covers everything. This module owns the manifest and
the way from tensors to a :class:`~epaas_shared.network.Network`; reading and writing safetensors is left to the two
ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from epaas_shared.digest import Digest, canonical_json, digest_bytes
from epaas_shared.errors import InvalidBundle
from epaas_shared.network import DenseLayer, Network

MANIFEST_FILE = "manifest.json"
WEIGHTS_FILE = "weights.safetensors"
SCHEMA_FILE = "schema.json"
REPORT_FILE = "report.json"

MODEL_NAME = r"^[a-z0-9]+(-[a-z0-9]+)*$"


class DenseSpec(BaseModel):
    """A fully connected layer; its tensors are ``layers.<i>.weights`` and ``layers.<i>.thresholds``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["dense"] = "dense"
    inputs: int = Field(ge=1)
    outputs: int = Field(ge=1)


class Provenance(BaseModel):
    """Where a model comes from, enough to make it again."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    command: str
    seed: int
    data: str
    data_digest: Digest
    split: str
    configuration: dict[str, Any]
    versions: dict[str, str]
    created: str


class BundleManifest(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["epaas-bundle/1"] = "epaas-bundle/1"
    name: str = Field(pattern=MODEL_NAME)
    title: str
    profile: Digest
    input_schema: Digest
    output: Literal["label"] = "label"
    """``label``: the client learns the class and nothing else (P2)."""
    layers: tuple[DenseSpec, ...] = Field(min_length=1)
    files: dict[Annotated[str, Field(pattern=r"^[a-z]+\.(safetensors|json)$")], Digest]
    provenance: Provenance

    def to_bytes(self) -> bytes:
        return canonical_json(self.model_dump(mode="json"))

    @property
    def digest(self) -> str:
        return digest_bytes(self.to_bytes())


def network_to_tensors(network: Network) -> dict[str, NDArray[np.generic]]:
    """The tensors of a bundle, in the narrowest types of the format."""
    tensors: dict[str, NDArray[np.generic]] = {}
    for index, layer in enumerate(network.layers):
        tensors[f"layers.{index}.weights"] = layer.weights.astype(np.int16)
        tensors[f"layers.{index}.thresholds"] = layer.thresholds.astype(np.int32)
    return tensors


def network_from_tensors(specs: tuple[DenseSpec, ...], tensors: Mapping[str, NDArray[np.generic]]) -> Network:
    """The network that a manifest describes. Raises :class:`InvalidBundle` naming the tensor that does not fit."""
    expected = {f"layers.{index}.{part}" for index in range(len(specs)) for part in ("weights", "thresholds")}
    if unknown := sorted(set(tensors) ^ expected):
        raise InvalidBundle("the tensor is missing or has no place in the manifest", field=unknown[0])
    layers = []
    for index, spec in enumerate(specs):
        weights = _integers(tensors, f"layers.{index}.weights", (spec.outputs, spec.inputs), np.int16)
        thresholds = _integers(tensors, f"layers.{index}.thresholds", (spec.outputs,), np.int32)
        layers.append(DenseLayer(weights, thresholds))
    return Network(tuple(layers))


def _integers(
    tensors: Mapping[str, NDArray[np.generic]], name: str, shape: tuple[int, ...], dtype: type[np.signedinteger[Any]]
) -> NDArray[np.int64]:
    tensor = tensors[name]
    if tensor.dtype != dtype or tensor.shape != shape:
        raise InvalidBundle(
            f"is {tensor.dtype} of shape {tensor.shape}; the manifest wants {np.dtype(dtype)} of shape {shape}",
            field=name,
        )
    return tensor.astype(np.int64)

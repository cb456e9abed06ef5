"""Writes model bundles (:mod:`epaas_shared.bundle`) and reads them again."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import safetensors.numpy
import torch
from safetensors import SafetensorError

from epaas_shared import bundle_folder
from epaas_shared.bundle import (
    MANIFEST_FILE,
    REPORT_FILE,
    SCHEMA_FILE,
    WEIGHTS_FILE,
    BundleManifest,
    MeasuredRange,
    Provenance,
    network_to_tensors,
    specs_of,
)
from epaas_shared.bundle_folder import Bundle
from epaas_shared.digest import canonical_json, digest_bytes
from epaas_shared.errors import InvalidBundle
from epaas_shared.features import Bits
from epaas_shared.network import Network
from epaas_shared.profile import default_profile
from epaas_shared.ranges import measured_ranges
from epaas_shared.report import Report, report_bytes
from epaas_shared.schema import InputSchema


def provenance(
    *, command: str, seed: int, data: str, data_digest: str, split: str, configuration: dict[str, Any]
) -> Provenance:
    """Provenance with the versions that matter, the threads and the time."""
    packages = ("epaas", "torch", "numpy", "scikit-learn", "pillow")
    return Provenance(
        command=command,
        seed=seed,
        data=data,
        data_digest=data_digest,
        split=split,
        configuration=configuration,
        versions={"python": platform.python_version(), **{package: version(package) for package in packages}},
        threads=torch.get_num_threads(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def weights_file(network: Network) -> bytes:
    """The bundle's file of weights and thresholds, the same bytes for the same network.

    Raises :class:`~epaas_shared.errors.InvalidBundle` for numbers beyond the format's types.
    """
    return safetensors.numpy.save(network_to_tensors(network))


def write_bundle(
    folder: Path,
    *,
    name: str,
    title: str,
    network: Network,
    schema: InputSchema,
    report: Report,
    provenance: Provenance,
    logit_unit: float | None = None,
    calibration: Bits | None = None,
) -> BundleManifest:
    """Write the bundle into ``folder`` and return its manifest.

    With ``calibration``, encoded records of shape (records, inputs), the manifest says how far their sums reach; a
    server may then evaluate with less room than every possible record would need. Raises
    :class:`~epaas_shared.errors.InvalidBundle` for numbers beyond the format's types.
    """
    files = {
        WEIGHTS_FILE: weights_file(network),
        SCHEMA_FILE: canonical_json(schema.model_dump(mode="json")),
        REPORT_FILE: report_bytes(report),
    }
    manifest = BundleManifest(
        name=name,
        title=title,
        profile=default_profile().digest,
        input_schema=schema.digest,
        output="scores" if network.scores else "label",
        scores=network.scores,
        layers=specs_of(network),
        logit_unit=logit_unit,
        measured_ranges=None if calibration is None else _measured(network, calibration),
        files={file: digest_bytes(data) for file, data in files.items()},
        provenance=provenance,
    )
    _write(folder, {**files, MANIFEST_FILE: manifest.to_bytes()})
    return manifest


def replace_report(folder: Path, bundle: Bundle, report: Report) -> BundleManifest:
    """Give the bundle in ``folder`` another report, and with it another digest; its network stays as it is."""
    files = {**bundle.files, REPORT_FILE: report_bytes(report)}
    digests = {**bundle.manifest.files, REPORT_FILE: digest_bytes(files[REPORT_FILE])}
    manifest = bundle.manifest.model_copy(update={"files": digests})
    _write(folder, {**files, MANIFEST_FILE: manifest.to_bytes()})
    return manifest


def _write(folder: Path, files: dict[str, bytes]) -> None:
    """Put the files into the folder, each whole or not at all, the manifest last."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        partial = folder / f".{name}.part"
        partial.write_bytes(data)
        partial.replace(folder / name)


def read_bundle(folder: Path) -> Bundle:
    """Read and check a bundle. Raises :class:`~epaas_shared.errors.InvalidBundle` naming what does not fit."""
    return bundle_folder.read_bundle(folder, _tensors)


def _tensors(data: bytes) -> dict[str, Any]:
    try:
        tensors: dict[str, Any] = safetensors.numpy.load(data)
    except (SafetensorError, ValueError, KeyError) as error:
        raise InvalidBundle(f"cannot be read: {str(error)[:200]}", field=WEIGHTS_FILE) from None
    return tensors


def _measured(network: Network, calibration: Bits) -> tuple[MeasuredRange, ...]:
    return tuple(
        MeasuredRange(minimum=reached.minimum, maximum=reached.maximum, records=len(calibration))
        for reached in measured_ranges(network, calibration)
    )

"""Writes model bundles (:mod:`epaas_shared.bundle`)."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import safetensors.numpy
import torch

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
from epaas_shared.digest import canonical_json, digest_bytes
from epaas_shared.features import Bits
from epaas_shared.network import Network
from epaas_shared.profile import default_profile
from epaas_shared.ranges import measured_ranges
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


def write_bundle(
    folder: Path,
    *,
    name: str,
    title: str,
    network: Network,
    schema: InputSchema,
    report: dict[str, Any],
    provenance: Provenance,
    calibration: Bits | None = None,
) -> BundleManifest:
    """Write the bundle into ``folder`` and return its manifest.

    With ``calibration``, encoded records of shape (records, inputs), the manifest says how far their sums reach; a
    server may then evaluate with less room than every possible record would need. Raises
    :class:`~epaas_shared.errors.InvalidBundle` for numbers beyond the format's types.
    """
    files = {
        WEIGHTS_FILE: safetensors.numpy.save(network_to_tensors(network)),
        SCHEMA_FILE: canonical_json(schema.model_dump(mode="json")),
        REPORT_FILE: canonical_json(report),
    }
    manifest = BundleManifest(
        name=name,
        title=title,
        profile=default_profile().digest,
        input_schema=schema.digest,
        output="scores" if network.scores else "label",
        scores=network.scores,
        layers=specs_of(network),
        measured_ranges=None if calibration is None else _measured(network, calibration),
        files={file: digest_bytes(data) for file, data in files.items()},
        provenance=provenance,
    )
    folder.mkdir(parents=True, exist_ok=True)
    for file, data in {**files, MANIFEST_FILE: manifest.to_bytes()}.items():
        (folder / file).write_bytes(data)
    return manifest


def _measured(network: Network, calibration: Bits) -> tuple[MeasuredRange, ...]:
    return tuple(
        MeasuredRange(minimum=reached.minimum, maximum=reached.maximum, records=len(calibration))
        for reached in measured_ranges(network, calibration)
    )

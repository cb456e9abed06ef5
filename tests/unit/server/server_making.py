"""Bundles and ciphertexts made by hand, by other code than the one under test."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from tests.report_making import least_report

from epaas_shared.features import NumberFeature
from epaas_shared.layers import DenseLayer
from epaas_shared.network import Network
from epaas_shared.profile import default_profile
from epaas_shared.report import report_bytes
from epaas_shared.schema import InputSchema

SHIFT = 53
"""log2 of the torus value of the message 1 under the shipped profile."""


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def layer(weights: Any, thresholds: Any) -> DenseLayer:
    return DenseLayer(np.array(weights, dtype=np.int64), np.array(thresholds, dtype=np.int64))


def toy_schema(*sizes: int, task: str = "toy", title: str = "toy") -> InputSchema:
    """One feature a size, with that many bits."""
    return InputSchema(
        task=task,
        version=1,
        title=title,
        target="label",
        classes=("no", "yes"),
        features=tuple(
            NumberFeature(
                name=f"f{index}", edges=tuple(float(edge) for edge in range(1, size)), minimum=0.0, maximum=99.0
            )
            for index, size in enumerate(sizes)
        ),
    )


@dataclass
class BundleParts:
    """A good bundle of a small network, whose parts a test may change before it is written."""

    schema: InputSchema = field(default_factory=lambda: toy_schema(2, 3))
    tensors: dict[str, NDArray[Any]] = field(
        default_factory=lambda: {
            "layers.0.weights": np.array([[1, -1, 0, 1, -1], [0, 1, 1, -1, 0]], dtype=np.int16),
            "layers.0.thresholds": np.array([0, 1], dtype=np.int32),
            "layers.1.weights": np.array([[1, -1]], dtype=np.int16),
            "layers.1.thresholds": np.array([0], dtype=np.int32),
        }
    )
    report: bytes | None = None
    """The bytes of the report's file; by default the least that may be published."""
    weights: bytes | None = None
    """The bytes of the weights' file; by default those of ``tensors``."""
    schema_bytes: bytes | None = None
    changes: dict[str, Any] = field(default_factory=dict)
    """Members of the manifest."""

    @classmethod
    def of(cls, network: Network, schema: InputSchema) -> BundleParts:
        tensors: dict[str, NDArray[Any]] = {}
        for index, dense in enumerate(network.layers):
            tensors[f"layers.{index}.weights"] = dense.weights.astype(np.int16)
            tensors[f"layers.{index}.thresholds"] = dense.thresholds.astype(np.int32)
        return cls(schema=schema, tensors=tensors)

    def files(self) -> dict[str, bytes]:
        weights = safetensors.numpy.save(self.tensors) if self.weights is None else self.weights
        return {
            "weights.safetensors": weights,
            "schema.json": canonical(self.schema.model_dump(mode="json"))
            if self.schema_bytes is None
            else self.schema_bytes,
            "report.json": report_bytes(least_report(self.schema, sha256(weights)))
            if self.report is None
            else self.report,
        }

    def manifest(self, files: dict[str, bytes]) -> dict[str, Any]:
        shapes = [self.tensors[name].shape for name in sorted(self.tensors) if name.endswith("weights")]
        return {
            "format": "epaas-bundle/1",
            "name": "toy",
            "title": "A toy",
            "profile": default_profile().digest,
            "input_schema": self.schema.digest,
            "output": "label",
            "layers": [{"kind": "dense", "inputs": shape[1], "outputs": shape[0]} for shape in shapes],
            "files": {name: sha256(data) for name, data in files.items()},
            "provenance": {
                "command": "by hand",
                "seed": 0,
                "data": "none",
                "data_digest": "0" * 64,
                "split": "none",
                "configuration": {},
                "versions": {},
                "created": "2026-01-01T00:00:00+00:00",
            },
            **self.changes,
        }

    def write(self, folder: Path) -> Path:
        files = self.files()
        folder.mkdir(parents=True)
        for name, data in {**files, "manifest.json": canonical(self.manifest(files))}.items():
            (folder / name).write_bytes(data)
        return folder


def trivial(messages: NDArray[Any], words: int = 5) -> NDArray[np.uint64]:
    """Ciphertexts without a mask and without noise, shape (*messages.shape, words)."""
    ciphertexts = np.zeros((*messages.shape, words), dtype=np.uint64)
    ciphertexts[..., -1] = messages.astype(np.uint64) << np.uint64(SHIFT)
    return ciphertexts


def phases(ciphertexts: NDArray[np.uint64], secret_bits: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Body minus mask times key, as signed torus values: the message and the noise."""
    found = ciphertexts[..., -1] - (ciphertexts[..., :-1] * secret_bits).sum(axis=-1, dtype=np.uint64)
    result: NDArray[np.int64] = found.view(np.int64)
    return result

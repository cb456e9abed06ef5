"""What a worker asks of its evaluation child, and what the child tells it, over a local pipe."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from epaas_server.cost import Rates
from epaas_server.plan import Plan


@dataclass(frozen=True)
class CheckKeys:
    """Run every circuit once under these evaluation keys; then maybe measure how fast this machine is."""

    evaluation_keys: str
    calibrate: bool


@dataclass(frozen=True)
class Evaluate:
    """Evaluate a record from the layer after the last checkpoint on. ``output`` is the folder of the blobs to write."""

    evaluation_keys: str
    bundle: Path
    plan: Plan
    record_blob: str
    layers_done: int
    checkpoint_blob: str | None
    output: str


@dataclass(frozen=True)
class Ready:
    """The circuits are loaded; the child takes tasks."""


@dataclass(frozen=True)
class Advanced:
    """``bootstraps`` more are done."""

    bootstraps: int


@dataclass(frozen=True)
class LayerDone:
    """``seconds`` since the layer before, or since the task began."""

    layers_done: int
    blob: str
    seconds: float


@dataclass(frozen=True)
class Finished:
    """``seconds`` since the last layer. ``result_blob`` is None for a key check, ``rates`` but where it calibrated."""

    result_blob: str | None
    seconds: float
    rates: Rates | None = None


@dataclass(frozen=True)
class Refused:
    """The task failed for a reason that trying again does not mend; an error by its code."""

    code: str
    detail: str
    field: str | None
    hint: str | None


Task = CheckKeys | Evaluate
Message = Ready | Advanced | LayerDone | Finished | Refused

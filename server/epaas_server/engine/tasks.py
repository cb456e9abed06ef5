"""What a worker asks of its evaluation child, and what the child tells it, over a local pipe.

    task ──▶ Advanced … Step, LayerDone ──▶ Proceed | Pause ──▶ … ──▶ Finished | Paused | Refused

After every layer the child waits for the worker's word, so that a long job can make way for a short one at a
checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from epaas_server.cost import Rates
from epaas_server.plan import Plan


@dataclass(frozen=True)
class CheckKeys:
    """Run every circuit once under these evaluation keys; then maybe measure how fast this machine is."""

    evaluation_keys: str
    """Their digest."""
    keys_blob: str
    calibrate: bool
    ids: Mapping[str, str] = field(default_factory=dict)
    """Of the job, for the lines of the log."""


@dataclass(frozen=True)
class Evaluate:
    """Evaluate a record from the layer after the last checkpoint on. ``output`` is the folder of the blobs to write."""

    evaluation_keys: str
    """Their digest."""
    keys_blob: str
    bundle: Path
    plan: Plan
    record_blob: str
    layers_done: int
    checkpoint_blob: str | None
    output: str
    ids: Mapping[str, str] = field(default_factory=dict)
    """Of the job, for the lines of the log."""


@dataclass(frozen=True)
class Proceed:
    """Go on with the next layer, or to the result."""


@dataclass(frozen=True)
class Pause:
    """End the task here; the last layer's blob is where another child goes on."""


@dataclass(frozen=True)
class Ready:
    """The circuits are loaded; the child takes tasks."""


@dataclass(frozen=True)
class Advanced:
    """``bootstraps`` more are done."""

    bootstraps: int


@dataclass(frozen=True)
class LayerDone:
    """``seconds`` since the layer before, or since the task began. The child waits for a word."""

    layers_done: int
    blob: str
    seconds: float


@dataclass(frozen=True)
class Finished:
    """``seconds`` since the last layer. ``result_blob`` is None for a key check, ``rates`` but where it calibrated."""

    result_blob: str | None
    seconds: float
    held_keys: tuple[str, ...]
    """Blobs of the evaluation keys that are in memory now; tasks under them begin sooner."""
    keys_were_held: bool
    """Whether this task's keys were in memory when it began."""
    rates: Rates | None = None


@dataclass(frozen=True)
class Paused:
    """The task ended at the last layer's checkpoint, as it was told to."""

    held_keys: tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """Something that took time is done; for the job's trace, by the clock of the machine, in nanoseconds since 1970."""

    name: str
    began_ns: int
    ended_ns: int
    layer: int | None = None
    """From 1."""


@dataclass(frozen=True)
class Refused:
    """The task failed for a reason that trying again does not mend; an error by its code."""

    code: str
    detail: str
    field: str | None
    hint: str | None


Task = CheckKeys | Evaluate
Word = Proceed | Pause
Message = Ready | Advanced | LayerDone | Step | Finished | Paused | Refused

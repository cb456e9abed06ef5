"""Runs what an experiment has no log of: an interrupted one goes on, a finished one costs nothing again."""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path

import platformdirs
import torch

from epaas_models.datasets import DataSettings
from epaas_models.experiments.experiment import Experiment, RunConfiguration, RunContext
from epaas_models.experiments.logs import Logs, RunLog
from epaas_models.machine import machine

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how far it is and of how much."""

_PACKAGES = ("epaas", "torch", "numpy", "scikit-learn")


def checkpoint_folder() -> Path:
    """Where runs that were interrupted are kept; it may be removed at any time."""
    return platformdirs.user_cache_path("epaas") / "experiments"


def missing_runs(experiment: Experiment, logs: Logs) -> list[tuple[str, RunConfiguration, int]]:
    """Arms and seeds without a log, or with one of another configuration, all arms of a seed together."""
    return [
        (arm, configuration, seed)
        for seed in experiment.seeds
        for arm, configuration in experiment.arms.items()
        if (log := logs.read(experiment.name, arm, seed)) is None or log.digest != configuration.digest
    ]


def run_experiment(
    experiment: Experiment,
    logs: Logs,
    data: DataSettings,
    *,
    checkpoints: Path,
    device: str = "cpu",
    progress: Progress = lambda _what, _done, _total: None,
) -> int:
    """Run and log what is missing; returns how many runs that was. Raises ValueError where a measure is not finite."""
    missing = missing_runs(experiment, logs)
    for arm, configuration, seed in missing:
        label = f"{experiment.name} {arm} {seed}"
        checkpoint = checkpoints / f"{experiment.name}-{arm}-{seed}-{configuration.digest[:12]}.checkpoint"
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        context = RunContext(data, checkpoint, partial(progress, label), device)
        logs.write(run_once(experiment.name, arm, configuration, seed, context))
        _clear(checkpoint)
    return len(missing)


def run_once(experiment: str, arm: str, configuration: RunConfiguration, seed: int, context: RunContext) -> RunLog:
    """The log of one run, not written yet."""
    begun = time.monotonic()
    torch.manual_seed(seed)
    measured = dict(configuration.run(seed, context))
    for name, value in measured.items():
        if value is not None and not isinstance(value, str) and not _finite(value):
            raise ValueError(f"{experiment} {arm} {seed}: {name} is not finite")
    return RunLog(
        experiment=experiment,
        arm=arm,
        seed=seed,
        digest=configuration.digest,
        configuration={"kind": type(configuration).__name__, **configuration.model_dump(mode="json")},
        measured=measured,
        seconds=round(time.monotonic() - begun, 1),
        machine=machine(),
        versions={"python": platform.python_version(), **{package: version(package) for package in _PACKAGES}},
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _finite(value: object) -> bool:
    if isinstance(value, Iterable):
        return all(map(_finite, value))
    return math.isfinite(float(value))  # type: ignore[arg-type]


def _clear(checkpoint: Path) -> None:
    for file in checkpoint.parent.glob(f"{checkpoint.name}*"):
        with suppress(OSError):
            file.unlink()

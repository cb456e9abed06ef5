"""Logs of runs: one JSON file a run, with everything that is needed to repeat it and all that it measured.

``FOLDER/EXPERIMENT/ARM-SEED.json``. Tables and figures are made from these files alone. Knows no experiments.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from epaas_models.whole_files import write_atomically
from epaas_shared.errors import ConfigurationError


class RunLog(BaseModel):
    """One run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    experiment: str
    arm: str
    seed: int
    digest: str
    """Of the arm's configuration."""
    configuration: dict[str, JsonValue]
    measured: dict[str, JsonValue]
    seconds: float
    machine: str
    versions: dict[str, str]
    created: str

    def number(self, name: str) -> float:
        """A measure that is a number. Raises KeyError without it, TypeError where it is something else."""
        value = self.measured[name]
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError(f"{self.experiment}/{self.arm}-{self.seed}: {name} is no number")
        return float(value)


@dataclass(frozen=True)
class Logs:
    """A folder of logs."""

    folder: Path

    def path(self, experiment: str, arm: str, seed: int) -> Path:
        return self.folder / experiment / f"{arm}-{seed}.json"

    def read(self, experiment: str, arm: str, seed: int) -> RunLog | None:
        """The log of a run, None if there is none. Raises :class:`ConfigurationError` for a damaged one."""
        path = self.path(experiment, arm, seed)
        return _read(path) if path.exists() else None

    def write(self, log: RunLog) -> None:
        """Keep a log, whole or not at all."""
        text = json.dumps(log.model_dump(mode="json"), indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False)
        write_atomically(self.path(log.experiment, log.arm, log.seed), (text + "\n").encode())

    def of(self, experiment: str, arm: str) -> list[RunLog]:
        """The logs of an arm, by seed."""
        files = (self.folder / experiment).glob(f"{arm}-*.json")
        seeds = [path.stem.removeprefix(f"{arm}-") for path in files]
        return [
            _read(self.path(experiment, arm, seed)) for seed in sorted(int(seed) for seed in seeds if seed.isdecimal())
        ]

    def numbers(self, experiment: str, arm: str, measure: str) -> list[float]:
        """A measure of an arm, a number a seed. Raises KeyError where a log does not have it."""
        return [log.number(measure) for log in self.of(experiment, arm)]


def _read(path: Path) -> RunLog:
    try:
        content: Any = json.loads(path.read_bytes())
        return RunLog.model_validate(content)
    except (ValidationError, ValueError) as error:
        detail = str(error).splitlines()[0]
        raise ConfigurationError(
            f"the log is damaged: {detail}", field=str(path), hint="remove it and run the experiment again"
        ) from None

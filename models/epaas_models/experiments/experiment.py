"""What an experiment is: a few arms, each a typed configuration, run with the same seeds.

An arm differs from its neighbours in what the experiment is about and in nothing else. Knows no chapter.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from pydantic import BaseModel, ConfigDict

from epaas_models.datasets import DataSettings
from epaas_models.descent import Progress
from epaas_shared.digest import digest_json

Measured: TypeAlias = Mapping[str, float | int | str | list[float] | list[list[float]] | None]
"""What a run measured, by name: finite numbers, or lists of them for figures."""


@dataclass(frozen=True)
class RunContext:
    """What a run may use beside its configuration; nothing in it decides what comes out."""

    data: DataSettings
    checkpoint: Path
    """A file to go on from after an interruption; other files of a run have names that begin with this one's."""
    progress: Progress = lambda _done, _total: None
    device: str = "cpu"


class RunConfiguration(BaseModel, ABC):
    """Everything that decides what a run measures, but for the seed. A subclass a kind of run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @abstractmethod
    def run(self, seed: int, context: RunContext) -> Measured:
        """Train and measure. The same again for the same seed on the same machine."""

    @property
    def digest(self) -> str:
        """Of the configuration and its kind; defaults are in it, so that changing one makes old logs stale."""
        return digest_json({"kind": type(self).__name__, **self.model_dump(mode="json")})


@dataclass(frozen=True)
class Experiment:
    """Arms by name, in the order in which tables show them."""

    name: str
    """Letters, digits and hyphens: it is a folder of logs."""
    section: str
    """Of the thesis: ``4.4.2``."""
    title: str
    data: str
    """What it was run on, in a few words."""
    arms: Mapping[str, RunConfiguration] = field(hash=False)
    seeds: tuple[int, ...] = (0, 1, 2)
    needs_gpu: bool = False
    """Whether this is a full-size recipe, which no processor without a GPU finishes in a day."""

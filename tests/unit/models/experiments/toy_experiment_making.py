"""A small experiment, which draws numbers instead of training, and counts how often it did."""

from __future__ import annotations

from pathlib import Path

import torch

from epaas_models.datasets import DataSettings
from epaas_models.experiments.experiment import Experiment, Measured, RunConfiguration, RunContext
from epaas_models.experiments.logs import Logs
from epaas_models.experiments.runner import run_experiment


class Draw(RunConfiguration):
    """Draws a number around ``mean``."""

    mean: float
    spread: float = 0.1

    def run(self, seed: int, context: RunContext) -> Measured:
        (context.checkpoint.parent / f"{context.checkpoint.name}.aside").write_text("kept while it runs")
        with (context.checkpoint.parent / "ran").open("a") as file:
            file.write(f"{self.mean} {seed}\n")
        return {"drawn": self.mean + self.spread * float(torch.randn(())), "trace": [float(seed)]}


def toy_experiment(**arms: float) -> Experiment:
    return Experiment(
        "toy", "9.9", "A toy", "nothing", {arm: Draw(mean=mean) for arm, mean in (arms or {"low": 0.0}).items()}
    )


def run_toy(experiment: Experiment, folder: Path) -> tuple[Logs, int]:
    """Its logs, and how many runs were made for them."""
    logs = Logs(folder / "logs")
    return logs, run_experiment(experiment, logs, DataSettings(), checkpoints=folder / "checkpoints")

"""Chapter 7: losses that calibrate. Small experiments on pictures, articles and points, and the thesis's recipes."""

from __future__ import annotations

from epaas_models.experiments.experiment import Experiment
from epaas_models.experiments.focal.claims import CLAIMS
from epaas_models.experiments.focal.full_size import FULL_SIZE
from epaas_models.experiments.focal.small import ARTICLES, LINEAR, PICTURES

__all__ = ["CLAIMS", "EXPERIMENTS"]

EXPERIMENTS: tuple[Experiment, ...] = (ARTICLES, PICTURES, LINEAR, *FULL_SIZE)

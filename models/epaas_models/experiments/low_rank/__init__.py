"""Chapter 6: what representations of low rank do to robustness, to compression and to other tasks."""

from __future__ import annotations

from epaas_models.experiments.experiment import Experiment
from epaas_models.experiments.low_rank.claims import CLAIMS
from epaas_models.experiments.low_rank.full_size import FULL_SIZE
from epaas_models.experiments.low_rank.small import MAIN, TRANSFER, WEIGHTS

__all__ = ["CLAIMS", "EXPERIMENTS"]

EXPERIMENTS: tuple[Experiment, ...] = (MAIN, WEIGHTS, TRANSFER, *FULL_SIZE)

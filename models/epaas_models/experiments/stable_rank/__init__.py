"""Chapter 4: what normalising spectral norms and stable ranks does to memorisation, accuracy and sensitivity."""

from __future__ import annotations

from epaas_models.experiments.experiment import Experiment
from epaas_models.experiments.stable_rank.claims import CLAIMS
from epaas_models.experiments.stable_rank.full_size import FULL_SIZE
from epaas_models.experiments.stable_rank.small import CIFAR10, DECAY, LOW_RATE, MNIST, STOPPING

__all__ = ["CLAIMS", "EXPERIMENTS"]

EXPERIMENTS: tuple[Experiment, ...] = (MNIST, CIFAR10, STOPPING, LOW_RATE, DECAY, *FULL_SIZE)

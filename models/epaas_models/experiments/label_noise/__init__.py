"""Experiments of thesis chapter 5: label noise, robust training, memorisation, and representations."""

from epaas_models.experiments.experiment import Experiment
from epaas_models.experiments.label_noise.claims import CLAIMS
from epaas_models.experiments.label_noise.full_size import FULL_SIZE
from epaas_models.experiments.label_noise.intervals import INTERVALS
from epaas_models.experiments.label_noise.picture_experiments import (
    FINE_TO_COARSE,
    MEMORISATION,
    MNIST_NOISE,
    ROBUST_TRAINING,
    STRENGTH,
)
from epaas_models.experiments.label_noise.plane_experiments import BOUNDARIES, PARITY_BALLS
from epaas_models.experiments.label_noise.toy_experiments import TOY_MNIST

EXPERIMENTS: tuple[Experiment, ...] = (
    TOY_MNIST,
    MNIST_NOISE,
    ROBUST_TRAINING,
    STRENGTH,
    MEMORISATION,
    INTERVALS,
    BOUNDARIES,
    PARITY_BALLS,
    FINE_TO_COARSE,
    *FULL_SIZE,
)

__all__ = ["CLAIMS", "EXPERIMENTS"]

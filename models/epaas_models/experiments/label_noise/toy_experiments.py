"""Figures 5.2(a) and 5.3: toy-MNIST."""

from __future__ import annotations

from epaas_models.experiments.experiment import Experiment
from epaas_models.experiments.label_noise.toy_mnist import ToyMnist
from epaas_models.experiments.learning import LearningConfiguration
from epaas_models.label_noise.pgd import Threat

VARIANCES = (0.1, 0.3, 0.5)
RATES = (0.0, 0.05, 0.1)

# Weight decay by a pilot with seed 100: without it, a network whose labels are all true keeps so much of its random
# beginning that a budget of 64/255 over 784 pixels turns it too, and there is nothing to see label noise against.
_LEARNING = LearningConfiguration(epochs=25, learning_rate=0.1, momentum=0.9, weight_decay=5e-3)

_ATTACK = Threat(budget=64 / 255, step=0.01, steps=60, low=None, high=None)
"""The thesis takes 400 steps; from one end of the budget to the other it is 51."""


def arm(variance: float, noise: float) -> str:
    return f"variance-{variance:g}-noise-{noise:g}"


TOY_MNIST = Experiment(
    name="toy-mnist-label-noise",
    section="5.2.1",
    title="Adversarial error against label noise on toy-MNIST",
    data="toy-MNIST, 4,000 rows, fully connected network of 4 layers",
    arms={
        arm(variance, noise): ToyMnist(
            variance=variance, noise=noise, tests=300, learning=_LEARNING, attack=_ATTACK, early=1
        )
        for variance in VARIANCES
        for noise in RATES
    },
)

"""Figures 5.2(b), 5.5 and 5.8, Table 5.1 and the robust training of 5.2.3, in small, on MNIST."""

from __future__ import annotations

from typing import Any

from epaas_models.experiments.experiment import Experiment
from epaas_models.experiments.label_noise.fine_to_coarse import Labels, PicturesFineToCoarse
from epaas_models.experiments.label_noise.memorisation import Memorisation
from epaas_models.experiments.label_noise.noisy_training import NoisyTraining
from epaas_models.experiments.learning import LearningConfiguration
from epaas_models.label_noise.fine_to_coarse import Aggregation
from epaas_models.label_noise.pgd import Threat

RATES = (0.0, 0.05, 0.1, 0.2)
BUDGETS = (0.01, 0.02, 0.04, 0.08)

# By a pilot with seed 101: Adam fits all but a few of the wrong labels within these epochs.
_LEARNING = LearningConfiguration(epochs=40, batch_size=100, optimiser="adam", learning_rate=2e-3, weight_decay=0)
_SHORTER = _LEARNING.model_copy(update={"epochs": 20, "batch_size": 50})
_THREAT = Threat(budget=0.1, step=0.04, steps=4)
"""What robust training is against: MNIST's 0.3 in 30 steps would take networks of the thesis's size."""

_ATTACK = Threat(budget=0, step=0.01, steps=20)
_PARITY = tuple(digit % 2 for digit in range(10))
_LEARNT: tuple[tuple[str, Labels, Aggregation], ...] = (
    ("coarse", "coarse", "sum"),
    ("fine", "fine", "sum"),
    ("fine-likeliest", "fine", "max"),
)
_MLP = "MLP 784-128-128-10"

MNIST_NOISE = Experiment(
    name="mnist-label-noise",
    section="5.2.1",
    title="Adversarial error against label noise on MNIST",
    data=f"MNIST, 2,000 rows, {_MLP}",
    arms={
        f"noise-{noise:g}": NoisyTraining(
            source="mnist",
            rows=2000,
            tests=1000,
            network="perceptron",
            noise=noise,
            learning=_LEARNING,
            attack=_ATTACK,
            budgets=BUDGETS,
        )
        for noise in RATES
    },
)


def _robust(**differs: Any) -> NoisyTraining:
    return NoisyTraining(
        source="mnist",
        rows=1000,
        tests=1000,
        network="perceptron",
        noise=0.15,
        learning=_LEARNING,
        attack=_ATTACK,
        budgets=(0.1,),
        **differs,
    )


ROBUST_TRAINING = Experiment(
    name="mnist-robust-training",
    section="5.2.3",
    title="What robust training makes of wrong labels",
    data=f"MNIST, 1,000 rows, 15% of the labels randomised, {_MLP}",
    arms={
        "natural": _robust(),
        "adversarial-training": _robust(method="adversarial-training", trained_against=_THREAT),
        "trades": _robust(method="trades", trained_against=_THREAT),
    },
)

MEMORISATION = Experiment(
    name="mnist-memorisation",
    section="5.2.3",
    title="Self-influence of what robust training gets wrong",
    data=f"MNIST, 1,000 rows, {_MLP}, 20 trainings on 70% of them",
    arms={
        "mnist": Memorisation(
            source="mnist",
            rows=1000,
            tests=1000,
            network="perceptron",
            learning=_SHORTER,
            threat=_THREAT,
            trainings=20,
        )
    },
)

STRENGTHS = (0.0, 0.1, 0.3)


def _against(budget: float) -> NoisyTraining:
    natural = NoisyTraining(source="mnist", rows=1000, tests=1000, network="perceptron", noise=0, learning=_SHORTER)
    if not budget:
        return natural
    threat = Threat(budget=budget, step=0.4 * budget, steps=4)
    return natural.model_copy(update={"method": "adversarial-training", "trained_against": threat})


STRENGTH = Experiment(
    name="mnist-adversary-strength",
    section="5.2.3",
    title="Clean accuracy against the strength of the adversary in training",
    data=f"MNIST, 1,000 rows, {_MLP}",
    arms={f"budget-{budget:g}": _against(budget) for budget in STRENGTHS},
)

FINE_TO_COARSE = Experiment(
    name="mnist-fine-to-coarse",
    section="5.4.2",
    title="Parity of digits, learnt from parities and from digits",
    data=f"MNIST, 2,000 rows, odd against even, {_MLP}",
    arms={
        arm: PicturesFineToCoarse(
            source="mnist",
            rows=2000,
            tests=1000,
            coarse=_PARITY,
            trained_on=labels,
            aggregation=aggregation,
            network="perceptron",
            learning=_SHORTER,
            attack=_ATTACK,
            budgets=BUDGETS,
        )
        for arm, labels, aggregation in _LEARNT
    },
)

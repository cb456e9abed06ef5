"""The experiments of chapter 6 that run here: small convolutional networks, trained on a few thousand clean pictures.

Learning rate, clipping, ranks, weights and budgets of attacks were chosen on pilots with seed 100; 2-LR has weights of
0.1, since with 1 its representations became constant, as the penalty allows. Gradients are clipped for all arms alike:
without it the penalty of activations whose norm is far above 1 makes W diverge.
"""

from __future__ import annotations

from epaas_models.experiments.experiment import Experiment
from epaas_models.experiments.learning import LearningConfiguration
from epaas_models.experiments.low_rank.measures import Measuring
from epaas_models.experiments.low_rank.regularisers import BottleneckLayer, LowRank, Nuclear, Regulariser
from epaas_models.experiments.low_rank.run import LowRankRun

RANK = 20
NUCLEAR_WEIGHTS = (0.1, 0.01, 0.001)
LOW_RANK_WEIGHTS = (1.0, 0.1)
PAIRS = (0, 0, 1, 1, 2, 2, 3, 3, 4, 4)
"""Coarse labels of digits."""
BUDGETS = (2 / 255, 4 / 255)
"""Of attacks on colour pictures."""
BUDGET = 0.1
"""Of attacks on digits."""
UNITS = 128
"""In the representation before the last layer."""

ONE_LAYER = LowRank(ranks={"head": RANK})


def _learning(learning_rate: float) -> LearningConfiguration:
    return LearningConfiguration(epochs=10, batch_size=64, learning_rate=learning_rate, milestones=(7,), clip_norm=1.0)


def _measuring(*budgets: float) -> Measuring:
    return Measuring(
        budgets=budgets, steps=(10,), attacked=300, deepfool_rows=50, spectrum_rows=1000, rank_of_sums=RANK
    )


def _arm(plain: LowRankRun, regulariser: Regulariser) -> LowRankRun:
    return plain.model_copy(update={"regulariser": regulariser})


_COLOUR = LowRankRun(
    data="cifar10-jpeg75",
    rows=4000,
    test_rows=1000,
    filters=(16, 32, 32),
    units=UNITS,
    learning=_learning(0.1),
    measuring=_measuring(*BUDGETS),
)

MAIN = Experiment(
    name="low-rank-cifar10",
    section="6.4",
    title="Low-rank representations",
    data="CIFAR-10 (JPEG-75), 4,000 training pictures",
    arms={
        "n-lr": _COLOUR,
        "1-lr": _arm(_COLOUR, ONE_LAYER),
        "2-lr": _arm(_COLOUR, LowRank(ranks={"head": RANK, "block": 50}, reconstruction=0.1, norm=0.1)),
        "bottle-lr": _arm(_COLOUR, BottleneckLayer(rank=RANK)),
    },
)

_DIGITS = LowRankRun(
    data="mnist",
    rows=4000,
    test_rows=1000,
    filters=(8, 16),
    units=UNITS,
    learning=_learning(0.05),
    measuring=_measuring(BUDGET),
    groups=("ranks", "noise", "white box"),
)

WEIGHTS = Experiment(
    name="low-rank-weights",
    section="6.5",
    title="Weights of the low-rank layer and of the nuclear norm",
    data="MNIST, 4,000 training digits",
    arms={
        "n-lr": _DIGITS,
        **{
            f"1-lr-{weight:g}": _arm(_DIGITS, ONE_LAYER.model_copy(update={"reconstruction": weight, "norm": weight}))
            for weight in LOW_RANK_WEIGHTS
        },
        **{f"nuclear-{weight:g}": _arm(_DIGITS, Nuclear(weight=weight)) for weight in NUCLEAR_WEIGHTS},
    },
)

_COARSE = _DIGITS.model_copy(update={"coarse": PAIRS, "groups": ("compression",)})

TRANSFER = Experiment(
    name="low-rank-transfer",
    section="6.4.4",
    title="From five pairs of digits to ten digits",
    data="MNIST, 4,000 training digits labelled by pairs",
    arms={
        "n-lr": _COARSE,
        "1-lr": _arm(_COARSE, ONE_LAYER),
        "bottle-lr": _arm(_COARSE, BottleneckLayer(rank=RANK)),
    },
)

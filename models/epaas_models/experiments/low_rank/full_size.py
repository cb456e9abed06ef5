"""The thesis's recipes (6.4, B.2) for ResNets on CIFAR-10 and CIFAR-100, which want a GPU."""

from __future__ import annotations

from typing import Literal

from epaas_models.experiments.experiment import Experiment
from epaas_models.experiments.learning import LearningConfiguration
from epaas_models.experiments.low_rank.measures import Measuring
from epaas_models.experiments.low_rank.regularisers import BottleneckLayer, LowRank
from epaas_models.experiments.low_rank.run import LowRankRun

Network = Literal["resnet18", "resnet50"]
Data = Literal["cifar10", "cifar100"]

_NETWORKS: tuple[Network, ...] = ("resnet18", "resnet50")
_NAMES: dict[Data, str] = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100"}

_MEASURING = Measuring(
    budgets=(8 / 255, 10 / 255, 16 / 255, 20 / 255), steps=(7, 20), attacked=10_000, deepfool_rows=1000
)
_RANK = 100
_BLOCK_RANK = 500


def _recipe(network: Network, data: Data) -> LowRankRun:
    return LowRankRun(
        data=data,
        architecture=network,
        augmented=True,
        learning=LearningConfiguration(epochs=350, milestones=(150, 250)),
        pretraining=50,
        measuring=_MEASURING,
    )


def _experiment(network: Network, data: Data) -> Experiment:
    """N-LR, 1-LR, Bottle-LR and, where its W of 16,384 x 16,384 fits into a GPU, 2-LR."""
    plain = _recipe(network, data)
    regularisers = {"1-lr": LowRank(ranks={"head": _RANK}), "bottle-lr": BottleneckLayer(rank=_RANK)}
    if network == "resnet18":
        regularisers["2-lr"] = LowRank(ranks={"head": _RANK, "block": _BLOCK_RANK})
    return Experiment(
        name=f"low-rank-{network}-{data}",
        section="6.4",
        title=f"Low-rank representations of {network}",
        data=_NAMES[data],
        arms={"n-lr": plain, **{arm: plain.model_copy(update={"regulariser": r}) for arm, r in regularisers.items()}},
        needs_gpu=True,
    )


FULL_SIZE = tuple(_experiment(network, data) for data in _NAMES for network in _NETWORKS)

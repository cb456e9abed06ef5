"""The thesis's own recipes (4.4 and appendix B), for machines with a GPU; five seeds as in 4.4.1.

Where the thesis says nothing: networks on CIFAR-10 are trained as on CIFAR-100; training on random labels keeps the
epochs at which the learning rate falls; Tables 4.2 and 4.3 are of as many epochs as Table 4.1.
"""

from __future__ import annotations

from epaas_models.experiments.experiment import Experiment
from epaas_models.experiments.learning import LearningConfiguration
from epaas_models.experiments.stable_rank.networks import NetworkName
from epaas_models.experiments.stable_rank.recipes import NO_DECAY, RANDOM, normalisations
from epaas_models.experiments.stable_rank.training import Source, StableRankRun

STOPPED = "-stopped"
"""Ends the names of arms that stop at a training accuracy."""

_SEEDS = (0, 1, 2, 3, 4)
_SHARES = ("srn-50", "srn-30")
_LONG = LearningConfiguration(epochs=350, milestones=(150, 250))
_LEARNING: dict[NetworkName, LearningConfiguration] = {
    "resnet110": _LONG,
    "wide-resnet": LearningConfiguration(epochs=200, weight_decay=1e-4, milestones=(60, 120, 160), decay=0.2),
    "densenet100": _LONG.model_copy(update={"weight_decay": 1e-4}),
    "vgg19": _LONG,
    "alexnet": _LONG.model_copy(update={"learning_rate": 0.01}),
}
_ALEXNET_STOPS: dict[Source, float] = {"cifar100": 0.55, "cifar10": 0.85}
"""Training accuracies in place of 0.99: more aggressive normalisation lets it reach no more."""


def _run(data: Source, network: NetworkName, learning: LearningConfiguration) -> StableRankRun:
    return StableRankRun(data=data, augmented=True, network=network, normalisation="none", learning=learning)


def full_size(data: Source, network: NetworkName) -> Experiment:
    """Figures 4.2 to 4.8 of one network: true labels, random labels for twice the epochs, training stopped."""
    learning = _LEARNING[network]
    longer = learning.model_copy(update={"epochs": 2 * learning.epochs})
    if network == "vgg19":  # appendix B: it does not learn random labels at 0.1
        longer = longer.model_copy(update={"learning_rate": 0.01})
    clean = _run(data, network, learning)
    stop_at = _ALEXNET_STOPS[data] if network == "alexnet" else 0.99
    return Experiment(
        name=f"stable-rank-{network}-{data}",
        section="4.4",
        title=f"Normalised spectra of {network} at full size",
        data="CIFAR-100" if data == "cifar100" else "CIFAR-10",
        arms={
            **normalisations(clean, *_SHARES),
            **normalisations(
                clean.model_copy(update={"random_labels": True, "learning": longer}), *_SHARES, suffix=RANDOM
            ),
            **normalisations(clean.model_copy(update={"stop_at": stop_at}), *_SHARES, suffix=STOPPED),
        },
        seeds=_SEEDS,
        needs_gpu=True,
    )


def _decay(data: Source, network: NetworkName, *, rate: float, random_labels: bool, table: str) -> Experiment:
    learning = LearningConfiguration(epochs=50, learning_rate=rate)
    run = _run(data, network, learning).model_copy(update={"random_labels": random_labels})
    without = run.model_copy(update={"learning": learning.model_copy(update={"weight_decay": 0.0})})
    return Experiment(
        name=f"stable-rank-table-{table.replace('.', '-')}",
        section="4.4.2",
        title=f"Table {table}: {network} with and without weight decay at a learning rate of {rate:g}",
        data="CIFAR-100" if data == "cifar100" else "CIFAR-10",
        arms={**normalisations(run, *_SHARES), **normalisations(without, *_SHARES, suffix=NO_DECAY)},
        seeds=_SEEDS,
        needs_gpu=True,
    )


FULL_SIZE: tuple[Experiment, ...] = (
    *(full_size("cifar100", network) for network in _LEARNING),
    *(full_size("cifar10", network) for network in _LEARNING if network != "vgg19"),
    _decay("cifar100", "wide-resnet", rate=0.01, random_labels=True, table="4.1"),
    _decay("cifar100", "resnet110", rate=0.01, random_labels=True, table="4.2"),
    _decay("cifar10", "resnet110", rate=0.1, random_labels=False, table="4.3"),
)

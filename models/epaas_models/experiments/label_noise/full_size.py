"""The recipes of chapter 5 at full size, with the schedules of appendix B.2: for a GPU.

The thesis gives neither the rates of noise nor the budgets behind its figures; those here span their axes.
"""

from __future__ import annotations

from epaas_models.experiments.experiment import Experiment
from epaas_models.experiments.label_noise.fine_to_coarse import Labels, PicturesFineToCoarse
from epaas_models.experiments.label_noise.networks import NetworkName
from epaas_models.experiments.label_noise.noisy_training import NoisyTraining
from epaas_models.experiments.label_noise.pictures import Source
from epaas_models.experiments.learning import LearningConfiguration
from epaas_models.label_noise.pgd import Threat

_CIFAR = LearningConfiguration(epochs=350, learning_rate=0.1, milestones=(150, 250))
_DENSENET = _CIFAR.model_copy(update={"weight_decay": 1e-4})
_MNIST = LearningConfiguration(epochs=60, learning_rate=0.1, momentum=0, weight_decay=0, milestones=(50,))
"""Thesis 5.2.1; what it does not say is as torch has it."""

_ATTACK = Threat(budget=0, step=0.01, steps=20)
_MNIST_RATES, _CIFAR_RATES = (0.0, 0.05, 0.1, 0.15, 0.2), (0.0, 0.05, 0.1, 0.2, 0.3)
_MNIST_BUDGETS, _CIFAR_BUDGETS = (0.01, 0.03, 0.1), (1 / 255, 2 / 255, 4 / 255, 8 / 255)
_LABELS: tuple[Labels, ...] = ("coarse", "fine")


def _cifar_noise(network: NetworkName, learning: LearningConfiguration) -> Experiment:
    return Experiment(
        name=f"cifar10-label-noise-{network}",
        section="5.2.1",
        title=f"Figure 5.2(c)-(e): {network}",
        data="CIFAR-10",
        arms={
            f"noise-{noise:g}": NoisyTraining(
                source="cifar10",
                network=network,
                noise=noise,
                learning=learning,
                augmented=True,
                attack=_ATTACK,
                budgets=_CIFAR_BUDGETS,
            )
            for noise in _CIFAR_RATES
        },
        needs_gpu=True,
    )


CIFAR10_NOISE = (
    _cifar_noise("resnet18", _CIFAR),
    _cifar_noise("densenet121", _DENSENET),
    _cifar_noise("vgg19", _CIFAR),
)

MNIST_NOISE = Experiment(
    name="mnist-label-noise-full",
    section="5.2.1",
    title="Figure 5.2(b)",
    data="MNIST",
    arms={
        f"noise-{noise:g}": NoisyTraining(
            source="mnist", network="cnn4", noise=noise, learning=_MNIST, attack=_ATTACK, budgets=_MNIST_BUDGETS
        )
        for noise in _MNIST_RATES
    },
    needs_gpu=True,
)

_FAR = Threat(budget=0.3, step=0.02, steps=30)

MNIST_ROBUST = Experiment(
    name="mnist-robust-training-full",
    section="5.2.3",
    title="997 misclassified training rows, 994 of them mislabelled",
    data="MNIST, 15% of the labels randomised",
    arms={
        "natural": NoisyTraining(source="mnist", network="cnn4", noise=0.15, learning=_MNIST),
        "adversarial-training": NoisyTraining(
            source="mnist",
            network="cnn4",
            noise=0.15,
            learning=_MNIST,
            method="adversarial-training",
            trained_against=_FAR,
        ),
        "trades": NoisyTraining(
            source="mnist", network="cnn4", noise=0.15, learning=_MNIST, method="trades", trained_against=_FAR
        ),
    },
    needs_gpu=True,
)

CIFAR10_ROBUST = Experiment(
    name="cifar10-adversarial-training",
    section="5.2.3",
    title="Table 5.1: clean accuracy of ResNet-50 against the strength of an l2 adversary",
    data="CIFAR-10",
    arms={
        "budget-0": NoisyTraining(source="cifar10", network="resnet50", noise=0, learning=_CIFAR, augmented=True),
        **{
            f"budget-{budget:g}": NoisyTraining(
                source="cifar10",
                network="resnet50",
                noise=0,
                learning=_CIFAR,
                augmented=True,
                method="adversarial-training",
                trained_against=Threat(budget=budget, step=budget / 4, steps=7, norm="l2"),
            )
            for budget in (0.25, 1.0)
        },
    },
    needs_gpu=True,
)


def _fine_to_coarse(source: Source, data: str, figure: str) -> Experiment:
    return Experiment(
        name=f"{source}-fine-to-coarse",
        section="5.4.2",
        title=f"Figure {figure}: ResNet-50 on coarse classes, learnt from them and from fine ones",
        data=data,
        arms={
            labels: PicturesFineToCoarse(
                source=source,
                trained_on=labels,
                aggregation="sum",
                network="resnet50",
                learning=_CIFAR,
                augmented=True,
                attack=_ATTACK,
                budgets=_CIFAR_BUDGETS,
            )
            for labels in _LABELS
        },
        needs_gpu=True,
    )


FINE_TO_COARSE = (
    _fine_to_coarse("cifar100", "CIFAR-100", "5.8(c)"),
    _fine_to_coarse("restricted-imagenet", "Restricted ImageNet", "5.8(d)"),
)

FULL_SIZE = (*CIFAR10_NOISE, MNIST_NOISE, MNIST_ROBUST, CIFAR10_ROBUST, *FINE_TO_COARSE)

"""The thesis's own recipes of chapter 7 (7.5, B.1), for a GPU; articles are without GloVe vectors."""

from __future__ import annotations

from typing import Final, Literal

from epaas_models.experiments.experiment import Experiment
from epaas_models.experiments.focal.data import Articles, Pictures, SourceConfiguration
from epaas_models.experiments.focal.networks import Published
from epaas_models.experiments.focal.sentiment import SentimentTraining
from epaas_models.experiments.focal.small import TABLE_LOSSES
from epaas_models.experiments.focal.training import CalibratedTraining
from epaas_models.experiments.learning import LearningConfiguration

_Network = Literal["resnet50", "resnet110", "wide-resnet", "densenet121", "global-pooling-cnn"]

_CIFAR = LearningConfiguration(epochs=350, milestones=(150, 250), clip_norm=2, summed_loss=True)
_TINY_IMAGENET = LearningConfiguration(epochs=100, batch_size=64, milestones=(40, 60), clip_norm=2, summed_loss=True)
_ARTICLES = LearningConfiguration(epochs=50, optimiser="adam", learning_rate=0.001, weight_decay=0)


def _experiment(
    network: _Network, data: str, source: SourceConfiguration, learning: LearningConfiguration
) -> Experiment:
    return Experiment(
        name=f"focal-full-{network}-{data.lower().replace(' ', '-')}",
        section="7.5.1",
        title=f"Tables 7.2 to 7.8: {network} on {data}",
        data=data,
        arms={
            name: CalibratedTraining(
                source=source,
                network=Published(kind=network),
                loss=loss,
                learning=learning,
                augmented=isinstance(source, Pictures),
            )
            for name, loss in TABLE_LOSSES.items()
        },
        needs_gpu=True,
    )


_IMAGE_NETWORKS: Final[tuple[_Network, ...]] = ("resnet50", "resnet110", "wide-resnet", "densenet121")

FULL_SIZE: Final[tuple[Experiment, ...]] = (
    *(_experiment(network, "CIFAR-10", Pictures(name="cifar10"), _CIFAR) for network in _IMAGE_NETWORKS),
    *(_experiment(network, "CIFAR-100", Pictures(name="cifar100"), _CIFAR) for network in _IMAGE_NETWORKS),
    _experiment("resnet50", "Tiny-ImageNet", Pictures(name="tiny-imagenet", validation=10_000), _TINY_IMAGENET),
    _experiment("global-pooling-cnn", "20 Newsgroups", Articles(validation=900), _ARTICLES),
    Experiment(
        name="focal-full-tree-lstm-sst",
        section="7.5.1",
        title="Tables 7.2 to 7.8: Tree-LSTM on the Stanford Sentiment Treebank",
        data="SST, binary",
        arms={name: SentimentTraining(loss=loss) for name, loss in TABLE_LOSSES.items()},
        needs_gpu=True,
    ),
)

"""The networks of thesis B.2, in plain torch, one file an architecture. They know no data sets and no training."""

from epaas_models.networks.alexnet import alexnet
from epaas_models.networks.classifier import Classifier
from epaas_models.networks.cnn import cnn4
from epaas_models.networks.densenet import densenet100, densenet121
from epaas_models.networks.resnet import resnet18, resnet50, resnet110, resnet110_wide
from epaas_models.networks.text import global_pooling_cnn
from epaas_models.networks.tree_lstm import TreeLSTM
from epaas_models.networks.vgg import vgg19
from epaas_models.networks.wide_resnet import wide_resnet

__all__ = [
    "Classifier",
    "TreeLSTM",
    "alexnet",
    "cnn4",
    "densenet100",
    "densenet121",
    "global_pooling_cnn",
    "resnet18",
    "resnet50",
    "resnet110",
    "resnet110_wide",
    "vgg19",
    "wide_resnet",
]

"""The networks of chapter 4's experiments by name: the thesis's, and small ones of the same kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

from torch import nn

from epaas_models.networks import alexnet, densenet100, resnet110, vgg19, wide_resnet

NetworkName: TypeAlias = Literal["mlp", "cnn", "resnet110", "wide-resnet", "densenet100", "vgg19", "alexnet"]

_DENSE = (128, 128)
_CONVOLUTIONS = ((16, 2), (32, 1), (64, 2))
"""Filters and stride."""


def mlp(classes: int, channels: int, side: int) -> nn.Module:
    """Two hidden layers of 128 units with batch normalisation, on pictures of ``side`` x ``side``."""
    width, layers = channels * side * side, nn.Sequential(nn.Flatten())
    for units in _DENSE:
        layers.extend((nn.Linear(width, units), nn.BatchNorm1d(units), nn.ReLU()))
        width = units
    return layers.append(nn.Linear(width, classes))


def cnn(classes: int, channels: int, _side: int) -> nn.Module:
    """Three convolutions with batch normalisation, their outputs pooled to 2 x 2, and a linear layer."""
    layers = nn.Sequential()
    for filters, stride in _CONVOLUTIONS:
        convolution = nn.Conv2d(channels, filters, 3, stride, padding=1, bias=False)
        layers.extend((convolution, nn.BatchNorm2d(filters), nn.ReLU()))
        channels = filters
    return layers.extend((nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * channels, classes)))


NETWORKS: Mapping[NetworkName, Callable[[int, int, int], nn.Module]] = {
    "mlp": mlp,
    "cnn": cnn,
    "resnet110": lambda classes, channels, _side: resnet110(classes, channels),
    "wide-resnet": lambda classes, channels, _side: wide_resnet(classes, channels),
    "densenet100": lambda classes, channels, _side: densenet100(classes, channels),
    "vgg19": lambda classes, channels, _side: vgg19(classes, channels),
    "alexnet": lambda classes, channels, _side: alexnet(classes, channels),
}
"""From classes, channels and the side of a picture to a network with initial weights by torch's generator."""

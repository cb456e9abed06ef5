"""Small networks that a processor trains in seconds, for the experiments of chapter 5, and the thesis's by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from torch import nn

from epaas_models.networks import Classifier, cnn4, densenet121, resnet18, resnet50, vgg19

NetworkName = Literal["perceptron", "small-cnn", "cnn4", "resnet18", "resnet50", "densenet121", "vgg19"]


def perceptron(inputs: int, hidden: Sequence[int], classes: int) -> Classifier:
    """Fully connected layers with ReLU between them, on whatever shape of row (rows, ...)."""
    widths = [inputs, *hidden]
    body = nn.Sequential(nn.Flatten())
    for before, after in zip(widths, hidden, strict=False):
        body.extend((nn.Linear(before, after), nn.ReLU()))
    return Classifier(body, widths[-1], classes)


def small_cnn(classes: int, channels: int, side: int) -> Classifier:
    """Two strided convolutions and a fully connected layer, for pictures (rows, channels, side, side)."""
    body = nn.Sequential(
        nn.Conv2d(channels, 8, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 16, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16 * (side // 4) ** 2, 128),
        nn.ReLU(),
    )
    return Classifier(body, 128, classes)


def network_named(name: NetworkName, classes: int, channels: int, side: int) -> nn.Module:
    """A network for pictures (rows, channels, side, side)."""
    if name == "perceptron":
        return perceptron(channels * side * side, (128, 128), classes)
    if name == "small-cnn":
        return small_cnn(classes, channels, side)
    if name == "cnn4":
        return cnn4(classes, channels, side)
    others: dict[str, Callable[[int, int], nn.Module]] = {
        "resnet18": resnet18,
        "resnet50": resnet50,
        "densenet121": densenet121,
        "vgg19": vgg19,
    }
    return others[name](classes, channels)

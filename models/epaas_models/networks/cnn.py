"""The network of thesis 5.2.1: four convolutions and two wide layers."""

from __future__ import annotations

from torch import nn

from epaas_models.networks.classifier import Classifier

_CONVOLUTIONS = ((32, 3, 1), (64, 4, 2), (128, 3, 2), (256, 3, 2))
"""Width, kernel, stride. The thesis has no strides: those here halve pictures three times instead of pooling."""


def cnn4(classes: int, channels: int = 1, side: int = 28, hidden: int = 1024) -> Classifier:
    """For pictures of ``side`` x ``side``: kernels of 3, 4, 3, 3, then ``hidden`` rectified units twice.

    The second of these are the features.
    """
    body = nn.Sequential()
    for width, kernel, stride in _CONVOLUTIONS:
        body.extend((nn.Conv2d(channels, width, kernel, stride, padding=1), nn.ReLU()))
        channels, side = width, (side + 2 - kernel) // stride + 1
    body.append(nn.Flatten())
    body.extend((nn.Linear(channels * side * side, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU()))
    return Classifier(body, hidden, classes)

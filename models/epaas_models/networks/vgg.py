"""VGG-19 (Simonyan and Zisserman 2015) with batch normalisation, for small pictures."""

from __future__ import annotations

from torch import nn

from epaas_models.networks.classifier import Classifier, pooled

_STAGES = ((2, 64), (2, 128), (4, 256), (4, 512), (4, 512))
"""Convolutions and their width between one halving of height and width and the next."""


def vgg19(classes: int, channels: int = 3) -> Classifier:
    """Sixteen convolutions and the head, 512 features; pictures of 32 x 32 or more.

    B.2 speaks of three fully connected layers, but its 20,548,392 parameters are those of one, with 1,000 classes.
    """
    body = nn.Sequential()
    for convolutions, width in _STAGES:
        for _ in range(convolutions):
            body.extend((nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()))
            channels = width
        body.append(nn.MaxPool2d(2))
    return Classifier(body.append(pooled()), channels, classes)

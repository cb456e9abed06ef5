"""AlexNet (Krizhevsky et al. 2012) for small pictures: its five convolutions without the two wide layers on them."""

from __future__ import annotations

from torch import nn

from epaas_models.networks.classifier import Classifier, pooled


def alexnet(classes: int, channels: int = 3) -> Classifier:
    """Five convolutions and the head, 256 features; pictures of 32 x 32 or more.

    B.2's 4,965,092 parameters are this network's with 100 classes, the convolutions counted twice.
    """
    body = nn.Sequential(
        nn.Conv2d(channels, 64, 11, stride=4, padding=5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(64, 192, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(192, 384, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(256, 256, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        pooled(),
    )
    return Classifier(body, 256, classes)

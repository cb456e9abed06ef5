"""Densely connected networks (Huang et al. 2017) with bottlenecks and compression by 1/2, for small pictures."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from epaas_models.networks.classifier import Classifier, pooled


class Dense(nn.Module):
    """Adds ``growth`` new channels to those that it gets: normalised, through a bottleneck of four times as many."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.added = nn.Sequential(
            *_activated(channels),
            nn.Conv2d(channels, 4 * growth, 1, bias=False),
            *_activated(4 * growth),
            nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False),
        )

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.cat((inputs, self.added(inputs)), dim=1)


def densenet100(classes: int, channels: int = 3, growth: int = 12) -> Classifier:
    """DenseNet-BC-100, three blocks, 342 features (thesis B.2: 800,032 parameters for 100 classes)."""
    return dense_network((16, 16, 16), growth, classes, channels)


def densenet121(classes: int, channels: int = 3, growth: int = 32) -> Classifier:
    """DenseNet-121, four blocks, 1024 features; the stem is 3 x 3 and does not pool."""
    return dense_network((6, 12, 24, 16), growth, classes, channels)


def dense_network(blocks: tuple[int, ...], growth: int, classes: int, channels: int) -> Classifier:
    """Blocks of so many layers; between two of them half the channels, height and width remain."""
    width = 2 * growth
    body = nn.Sequential(nn.Conv2d(channels, width, 3, padding=1, bias=False))
    for number, layers in enumerate(blocks):
        if number:
            body.append(_transition(width))
            width //= 2
        body.append(nn.Sequential(*(Dense(width + place * growth, growth) for place in range(layers))))
        width += layers * growth
    return Classifier(body.extend(_activated(width)).append(pooled()), width, classes)


def _transition(channels: int) -> nn.Sequential:
    """Half the channels, half the height and width."""
    return nn.Sequential(*_activated(channels), nn.Conv2d(channels, channels // 2, 1, bias=False), nn.AvgPool2d(2))


def _activated(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU())

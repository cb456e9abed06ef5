"""Residual networks (He et al. 2016) for small pictures: a 3 x 3 stem without pooling, then stages of blocks."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn.functional import pad, relu

from epaas_models.networks.classifier import Classifier, normalised, pooled


class Residual(nn.Module):
    """relu(residual(x) + shortcut(x)); where shapes differ the shortcut is ``projection``, else it is x itself."""

    def __init__(self, residual: nn.Module, projection: nn.Module | None) -> None:
        super().__init__()
        self.residual = residual
        self.shortcut = projection if projection is not None else nn.Identity()

    def forward(self, inputs: Tensor) -> Tensor:
        return relu(self.residual(inputs) + self.shortcut(inputs))


class Padding(nn.Module):
    """The CIFAR network's shortcut without parameters: every ``stride``-th pixel, and channels of zeros at the end."""

    def __init__(self, added: int, stride: int) -> None:
        super().__init__()
        self.added, self.stride = added, stride

    def forward(self, inputs: Tensor) -> Tensor:
        return pad(inputs[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.added))


Block = Callable[[int, int, int], tuple[nn.Module, int]]
"""From channels, a stage's width and a stride to a block and the channels that it gives."""


def basic(channels: int, width: int, stride: int) -> tuple[nn.Module, int]:
    """Two 3 x 3 convolutions; the shortcut is a 1 x 1 convolution where shapes differ."""
    projection = normalised(channels, width, 1, stride) if (stride, channels) != (1, width) else None
    return Residual(_two(channels, width, stride), projection), width


def padded(channels: int, width: int, stride: int) -> tuple[nn.Module, int]:
    """Two 3 x 3 convolutions; the shortcut has no parameters (option A of the paper)."""
    projection = Padding(width - channels, stride) if (stride, channels) != (1, width) else None
    return Residual(_two(channels, width, stride), projection), width


def bottleneck(channels: int, width: int, stride: int) -> tuple[nn.Module, int]:
    """1 x 1, 3 x 3 and 1 x 1 convolutions, of which the last has four times the width."""
    residual = nn.Sequential(
        normalised(channels, width, 1),
        nn.ReLU(),
        normalised(width, width, 3, stride),
        nn.ReLU(),
        normalised(width, 4 * width, 1),
    )
    projection = normalised(channels, 4 * width, 1, stride) if (stride, channels) != (1, 4 * width) else None
    return Residual(residual, projection), 4 * width


def residual_network(
    block: Block, stem: int, stages: tuple[tuple[int, int], ...], classes: int, channels: int
) -> Classifier:
    """A stem of ``stem`` channels, then stages of (blocks, width); each but the first halves height and width."""
    body = nn.Sequential(normalised(channels, stem), nn.ReLU())
    given = stem
    for number, (blocks, width) in enumerate(stages):
        stage = nn.Sequential()
        for place in range(blocks):
            made, given = block(given, width, 2 if number and not place else 1)
            stage.append(made)
        body.append(stage)
    return Classifier(body.append(pooled()), given, classes)


def resnet18(classes: int, channels: int = 3) -> Classifier:
    """18 layers in four stages, 512 features (thesis B.2)."""
    return residual_network(basic, 64, ((2, 64), (2, 128), (2, 256), (2, 512)), classes, channels)


def resnet50(classes: int, channels: int = 3) -> Classifier:
    """50 layers in four stages of bottlenecks, 2048 features (thesis B.2)."""
    return residual_network(bottleneck, 64, ((3, 64), (4, 128), (6, 256), (3, 512)), classes, channels)


def resnet110(classes: int, channels: int = 3) -> Classifier:
    """110 layers in three narrow stages, 64 features: that of the paper's experiments on CIFAR-10 (section 4.2)."""
    return residual_network(padded, 16, ((18, 16), (18, 32), (18, 64)), classes, channels)


def resnet110_wide(classes: int, channels: int = 3) -> Classifier:
    """110 layers in four stages of bottlenecks, 2048 features: that of chapter 7's code, which B.2 describes."""
    return residual_network(bottleneck, 64, ((3, 64), (4, 128), (26, 256), (3, 512)), classes, channels)


def _two(channels: int, width: int, stride: int) -> nn.Sequential:
    return nn.Sequential(normalised(channels, width, 3, stride), nn.ReLU(), normalised(width, width))

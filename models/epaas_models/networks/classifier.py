"""What classifiers have in common: a body that represents inputs and a linear head on it. Knows no architecture."""

from __future__ import annotations

from torch import Tensor, nn


class Classifier(nn.Module):
    """A body from inputs (n, ...) to representations (n, width), and a linear head from these to logits (n, classes).

    Weights of convolutions begin as He et al. (2015) have it for rectified units (normal, by the fan out), those of
    everything else as torch has them.
    """

    def __init__(self, body: nn.Module, width: int, classes: int) -> None:
        super().__init__()
        self.body = body
        self.head = nn.Linear(width, classes)
        for module in body.modules():
            if isinstance(module, nn.Conv1d | nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def features(self, inputs: Tensor) -> Tensor:
        """The representation before the last layer, (n, width)."""
        represented: Tensor = self.body(inputs)
        return represented

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(inputs))
        return logits


def normalised(channels: int, width: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """A convolution, padded so that a stride of 1 keeps the size, and batch normalisation, which has its bias."""
    return nn.Sequential(
        nn.Conv2d(channels, width, kernel, stride, padding=kernel // 2, bias=False), nn.BatchNorm2d(width)
    )


def pooled() -> nn.Sequential:
    """From (n, width, height, width) to each channel's mean, (n, width): pictures of any size do."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())

"""Picture data sets of all chapters: how each is loaded, brought to tensors and varied. Knows no experiment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from epaas_models.datasets import (
    Dataset,
    DataSettings,
    Progress,
    cifar,
    mnist,
    restricted_imagenet,
    svhn,
    tiny_imagenet,
)
from epaas_shared.features import WHITE

PICTURES: Final[Mapping[str, Callable[[DataSettings, Progress], Dataset]]] = {
    "mnist": mnist.load,
    "cifar10-jpeg75": cifar.load_cifar10_jpeg,
    "cifar10": cifar.load_cifar10,
    "cifar100": cifar.load_cifar100,
    "svhn": svhn.load,
    "tiny-imagenet": tiny_imagenet.load,
    "restricted-imagenet": restricted_imagenet.load,
}
"""By the names that configurations have for them; each has a column ``image`` and a published test."""


def load_pictures(name: str, settings: DataSettings) -> Dataset:
    """Raises what its files raise."""
    return PICTURES[name](settings, lambda _what, _done, _of: None)


def as_levels(images: NDArray[np.uint8]) -> Tensor:
    """Bytes (rows, height, width) or (rows, height, width, channels) to (rows, channels, height, width) in [0, 1]."""
    levels = torch.from_numpy(images).float() / WHITE
    return levels[:, None] if levels.dim() == 3 else levels.permute(0, 3, 1, 2).contiguous()


def crop_and_mirror(inputs: Tensor, margin: int = 4) -> Tensor:
    """Each picture (n, channels, side, side) moved by up to ``margin`` pixels either way, zeros coming in, and half of
    them mirrored (thesis B.1). Drawn from torch's generator."""
    count, _, height, width = inputs.shape
    padded = functional.pad(inputs, (margin, margin, margin, margin))
    down, across = torch.randint(0, 2 * margin + 1, (2, count, 1), device=inputs.device)
    rows = down + torch.arange(height, device=inputs.device)
    columns = across + torch.arange(width, device=inputs.device)
    mirrored = torch.rand(count, 1, device=inputs.device) < 0.5
    columns = torch.where(mirrored, columns.flip(1), columns)
    every = torch.arange(count, device=inputs.device)[:, None, None]
    # The axis of channels comes last where the others are indexed.
    return padded[every, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)

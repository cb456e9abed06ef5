"""Rows of a picture data set for an experiment: drawn, shrunk, standardised, and labelled at random where wanted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from epaas_models.datasets import Dataset
from epaas_shared.features import WHITE


@dataclass(frozen=True)
class Pictures:
    """Inputs (rows, channels, side, side) and labels (rows,) to train on, and of the published test."""

    inputs: Tensor
    labels: Tensor
    test_inputs: Tensor
    test_labels: Tensor
    classes: int


def pictures(
    dataset: Dataset, seed: int, *, rows: int | None, test_rows: int | None, shrink: int, random_labels: bool
) -> Pictures:
    """As many rows of a data set with column ``image`` and a published test as are asked for, or all.

    ``shrink`` is the side of the squares of pixels that are averaged into one. Channels are brought to mean 0 and
    deviation 1 by the training rows drawn. With ``random_labels`` every training label is drawn from all classes,
    whatever the picture (Zhang et al. 2017); test labels stay true.
    """
    assert dataset.published_test is not None
    before_test = len(dataset) - dataset.published_test
    random = np.random.default_rng((seed, 4))
    chosen = random.permutation(before_test)[:rows]
    tested = before_test + random.permutation(dataset.published_test)[:test_rows]
    labels = dataset.labels[chosen]
    if random_labels:
        labels = random.integers(0, len(dataset.classes), len(labels))
    images = dataset.columns["image"]
    inputs, test_inputs = (_shrunk(images[places], shrink) for places in (chosen, tested))
    mean, deviation = inputs.mean(dim=(0, 2, 3), keepdim=True), inputs.std(dim=(0, 2, 3), keepdim=True)
    return Pictures(
        inputs=(inputs - mean) / deviation,
        labels=torch.from_numpy(labels),
        test_inputs=(test_inputs - mean) / deviation,
        test_labels=torch.from_numpy(dataset.labels[tested]),
        classes=len(dataset.classes),
    )


def _shrunk(images: NDArray[np.uint8], shrink: int) -> Tensor:
    """Levels (rows, height, width) or (rows, height, width, channels) to (rows, channels, ...) in [0, 1]."""
    levels = torch.from_numpy(images).float() / WHITE
    levels = levels[:, None] if levels.ndim == 3 else levels.permute(0, 3, 1, 2)
    return functional.avg_pool2d(levels, shrink)


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

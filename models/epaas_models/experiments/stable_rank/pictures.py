"""Rows of a picture data set for an experiment: drawn, shrunk, standardised, and labelled at random where wanted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from epaas_models.datasets import Dataset
from epaas_models.experiments.picture_data import as_levels


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
    inputs, test_inputs = (functional.avg_pool2d(as_levels(images[places]), shrink) for places in (chosen, tested))
    mean, deviation = inputs.mean(dim=(0, 2, 3), keepdim=True), inputs.std(dim=(0, 2, 3), keepdim=True)
    return Pictures(
        inputs=(inputs - mean) / deviation,
        labels=torch.from_numpy(labels),
        test_inputs=(test_inputs - mean) / deviation,
        test_labels=torch.from_numpy(dataset.labels[tested]),
        classes=len(dataset.classes),
    )

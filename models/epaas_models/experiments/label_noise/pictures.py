"""Pictures of MNIST and CIFAR as tensors for the experiments of chapter 5, whole or a random share of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from epaas_models.datasets import Dataset, DataSettings
from epaas_models.experiments.picture_data import as_levels, load_pictures

Source = Literal["mnist", "cifar10-jpeg75", "cifar10", "cifar100", "restricted-imagenet"]


@dataclass(frozen=True)
class Pictures:
    """Rows to train on and to test on: pictures (rows, channels, side, side) in [0, 1] and labels (rows,)."""

    training: Tensor
    labels: NDArray[np.int64]
    test: Tensor
    test_labels: NDArray[np.int64]
    classes: int
    coarse: tuple[int, ...]
    """The coarse class of each class; empty where the data set has none."""


def pictures(source: Source, settings: DataSettings, rows: int | None, tests: int | None, seed: int) -> Pictures:
    """So many rows of the published training part and of the test part, drawn without replacement; None is all."""
    dataset = load_pictures(source, settings)
    tail = dataset.published_test or 0
    random = np.random.default_rng(seed)
    chosen = random.permutation(len(dataset) - tail)[:rows]
    chosen_tests = len(dataset) - tail + random.permutation(tail)[:tests]
    return Pictures(
        training=as_levels(dataset.columns["image"][chosen]),
        labels=dataset.labels[chosen],
        test=as_levels(dataset.columns["image"][chosen_tests]),
        test_labels=dataset.labels[chosen_tests],
        classes=len(dataset.classes),
        coarse=_coarse(dataset),
    )


def _coarse(dataset: Dataset) -> tuple[int, ...]:
    """From the column of coarse names that CIFAR-100 and Restricted ImageNet have."""
    names = dataset.columns.get("superclass", dataset.columns.get("coarse"))
    if names is None:
        return ()
    _, numbers = np.unique(names.astype(str), return_inverse=True)
    _, first = np.unique(dataset.labels, return_index=True)
    return tuple(int(number) for number in numbers[first])

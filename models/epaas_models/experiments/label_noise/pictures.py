"""Pictures of MNIST and CIFAR as tensors for the experiments of chapter 5, whole or a random share of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from epaas_models.datasets import Dataset, DataSettings, Progress, mnist
from epaas_models.datasets.cifar import load_cifar10, load_cifar10_jpeg, load_cifar100
from epaas_models.datasets.restricted_imagenet import load as load_restricted_imagenet
from epaas_shared.features import WHITE

Source = Literal["mnist", "cifar10-jpeg75", "cifar10", "cifar100", "restricted-imagenet"]

_LOADERS: dict[str, Callable[[DataSettings, Progress], Dataset]] = {
    "mnist": mnist.load,
    "cifar10-jpeg75": load_cifar10_jpeg,
    "cifar10": load_cifar10,
    "cifar100": load_cifar100,
    "restricted-imagenet": load_restricted_imagenet,
}


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
    dataset = _LOADERS[source](settings, lambda _what, _done, _of: None)
    tail = dataset.published_test or 0
    random = np.random.default_rng(seed)
    chosen = random.permutation(len(dataset) - tail)[:rows]
    chosen_tests = len(dataset) - tail + random.permutation(tail)[:tests]
    return Pictures(
        training=as_tensor(dataset.columns["image"][chosen]),
        labels=dataset.labels[chosen],
        test=as_tensor(dataset.columns["image"][chosen_tests]),
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


def as_tensor(images: NDArray[np.uint8]) -> Tensor:
    """From levels (rows, side, side) or (rows, side, side, channels) to (rows, channels, side, side) in [0, 1]."""
    levels = torch.from_numpy(images.astype(np.float32) / WHITE)
    return levels[:, None] if levels.dim() == 3 else levels.permute(0, 3, 1, 2).contiguous()

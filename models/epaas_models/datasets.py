"""Data sets and their splits. Owns where data come from; knows no bits and no networks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

from epaas_shared.digest import digest_bytes

Rows = NDArray[np.int64]
"""Indices of rows of a data set."""


@dataclass(frozen=True)
class Dataset:
    """``values`` of shape (rows, features), ``labels`` of shape (rows,) with indices into ``classes``."""

    name: str
    source: str
    features: tuple[str, ...]
    classes: tuple[str, ...]
    values: NDArray[np.float64]
    labels: NDArray[np.int64]

    @property
    def digest(self) -> str:
        """SHA-256 of the values and the labels, little-endian."""
        return digest_bytes(self.values.astype("<f8").tobytes() + self.labels.astype("<i8").tobytes())

    def record(self, row: int) -> Mapping[str, float]:
        """A row as a client would hold it."""
        return dict(zip(self.features, map(float, self.values[row]), strict=True))


@dataclass(frozen=True)
class Split:
    """A random 70:30 split into training and test rows (thesis B.1), made again by its seed."""

    seed: int
    training: Rows
    test: Rows

    def describe(self) -> str:
        return f"random 70:30, sklearn train_test_split(random_state={self.seed})"


def breast_cancer() -> Dataset:
    """Wisconsin diagnostic breast cancer: 569 tumours, 30 measurements, malignant (0) or benign (1)."""
    loaded = load_breast_cancer()
    return Dataset(
        name="breast-cancer",
        source="sklearn.datasets.load_breast_cancer (UCI Wisconsin Diagnostic Breast Cancer)",
        features=tuple(str(name) for name in loaded.feature_names),
        classes=tuple(str(name) for name in loaded.target_names),
        values=loaded.data.astype(np.float64),
        labels=loaded.target.astype(np.int64),
    )


def split(dataset: Dataset, seed: int) -> Split:
    training, test = train_test_split(np.arange(len(dataset.labels)), test_size=0.3, random_state=seed)
    return Split(seed, training, test)


def splits(dataset: Dataset, count: int) -> Iterator[Split]:
    """The splits with seeds 0 to ``count`` - 1."""
    return (split(dataset, seed) for seed in range(count))

"""Splits of a data set into rows to learn from and rows to test on. Knows no columns, only labels' rows and groups."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupShuffleSplit, train_test_split

from epaas_models.datasets.dataset import Dataset

Rows = NDArray[np.int64]
"""Indices of rows of a data set."""

_DESCRIPTIONS = {
    "random": "random 70:30, sklearn train_test_split(random_state={seed})",
    "by group": "random 80:20 by group, sklearn GroupShuffleSplit(random_state={seed})",
    "published": "the test set that was published with the data",
}


@dataclass(frozen=True)
class Split:
    """Training and test rows, made again by the seed."""

    seed: int
    training: Rows
    test: Rows
    method: Literal["random", "by group", "published"]

    def describe(self) -> str:
        return _DESCRIPTIONS[self.method].format(seed=self.seed)

    def validation(self, dataset: Dataset, share: float = 0.1) -> tuple[Rows, Rows]:
        """The training rows in two: those to fit and a ``share`` of them to choose and calibrate with.

        By group where there are groups; the same again with the same seed. A share of 0 leaves none.
        """
        if not share:
            return self.training, self.training[:0]
        fitting, held_out = _parts(dataset, self.training, share, self.seed)
        return fitting, held_out


def split(dataset: Dataset, seed: int) -> Split:
    """The split of thesis B.1: as published; else 80:20 by group (patient, person); else 70:30 at random."""
    rows = np.arange(len(dataset), dtype=np.int64)
    if dataset.published_test is not None:
        first = len(dataset) - dataset.published_test
        return Split(seed, rows[:first], rows[first:], "published")
    if dataset.groups is not None:
        return Split(seed, *_parts(dataset, rows, 0.2, seed), "by group")
    return Split(seed, *_parts(dataset, rows, 0.3, seed), "random")


def splits(dataset: Dataset, count: int) -> Iterator[Split]:
    """The splits with seeds 0 to ``count`` - 1."""
    return (split(dataset, seed) for seed in range(count))


def _parts(dataset: Dataset, rows: Rows, share: float, seed: int) -> tuple[Rows, Rows]:
    """The rows in two random parts, of which the second has a ``share`` of the groups, or of the rows without any."""
    if dataset.groups is None:
        first, second = train_test_split(rows, test_size=share, random_state=seed)
        return first, second
    shuffle = GroupShuffleSplit(n_splits=1, test_size=share, random_state=seed)
    ((some, others),) = shuffle.split(rows, groups=dataset.groups[rows])
    return rows[some], rows[others]

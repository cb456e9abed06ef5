"""A data set: columns of records with their true labels. Knows neither where data come from nor how they are split."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Dataset:
    """Rows, each of them a record, a label and perhaps a group."""

    name: str
    """That of the task."""
    source: str
    """Where the rows come from, in words."""
    target: str
    """What the labels are called in a record."""
    classes: tuple[str, ...]
    columns: Mapping[str, NDArray[Any]]
    """By feature: numbers (rows,), text (rows,) of dtype object, or grey levels (rows, height, width)."""
    labels: NDArray[np.int64]
    """Indices into ``classes``, shape (rows,)."""
    groups: NDArray[np.int64] | None = None
    """Shape (rows,): rows of one person have the same number, and are never on both sides of a split."""
    subgroups: tuple[str, ...] = ()
    """Columns whose values divide people into groups that a model should serve alike."""
    published_test: int | None = None
    """How many of the last rows are the test set that was published with the data."""

    def __post_init__(self) -> None:
        lengths = {name: len(column) for name, column in self.columns.items()} | {"labels": len(self.labels)}
        if self.groups is not None:
            lengths["groups"] = len(self.groups)
        if len(set(lengths.values())) > 1:
            raise ValueError(f"columns of different lengths: {lengths}")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def features(self) -> tuple[str, ...]:
        return tuple(self.columns)

    @property
    def digest(self) -> str:
        """SHA-256 of the numbers row by row, the other columns one by one, and the labels.

        Numbers are float64, labels int64, both little-endian; each text is UTF-8 and ends with a zero byte. The names
        of columns are not in it: what is said of the data may change, the data may not.
        """
        columns = [np.asarray(column) for column in self.columns.values()]
        numbers = [column for column in columns if column.ndim == 1 and column.dtype != object]
        found = hashlib.sha256()
        if numbers:
            found.update(np.column_stack(numbers).astype("<f8").tobytes())
        for column in columns:
            if column.dtype == object:
                found.update("\0".join([*column, ""]).encode())
            elif column.ndim > 1:
                found.update(column.astype(column.dtype.newbyteorder("<")).tobytes())
        found.update(self.labels.astype("<i8").tobytes())
        return found.hexdigest()

    def record(self, row: int) -> dict[str, Any]:
        """A row as a client would hold it: numbers, text, nested lists of grey levels."""
        cells = {name: column[row] for name, column in self.columns.items()}
        return {name: cell if isinstance(cell, str) else cell.tolist() for name, cell in cells.items()}

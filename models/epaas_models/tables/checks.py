"""Whether the rows of a table can be learnt from and tested on, and what is odd about them. Knows no file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from epaas_models.datasets import Dataset, split
from epaas_models.tables.faults import Faults
from epaas_models.tables.lines import TableLimits
from epaas_shared.errors import Fault

_SEED = 0
"""Of the split that reports are about."""
_NAMED_ROWS = 50
"""Rows from which on a column that is different in each of them is taken to name them."""


def check_classes(
    label: str, classes: Sequence[str], rows: Mapping[str, int], limits: TableLimits, faults: Faults
) -> None:
    """Adds a fault for each class with too few rows; ``rows`` are those of the classes that were found."""
    total, fewest = sum(rows.values()), limits.fewest_rows
    if total < 2 * fewest:
        detail = f"the table has {total} complete row{'' if total == 1 else 's'}; at least {2 * fewest} are needed"
        faults.add("rows", detail, f"give at least {fewest} rows of each class")
        return
    if len(classes) == 1:
        faults.add(label, f"all rows are of the class {classes[0]!r}", "give rows of two classes or more")
        return
    for name in classes:
        found = rows.get(name, 0)
        if found < fewest:
            detail = f"the class {name!r} has {found or 'no'} row{'' if found == 1 else 's'}; {fewest} are needed"
            faults.add(label, detail, f"give at least {fewest} rows of {name!r}, or leave the class out")


def check_splits(dataset: Dataset, group: str | None, limits: TableLimits, faults: Faults) -> None:
    """Adds a fault where a class has no row to learn from or to test on, or where there are too few groups."""
    if group is not None and dataset.groups is not None:
        found = len(np.unique(dataset.groups))
        if found < limits.fewest_groups:
            detail = f"the rows are of {found} group{'' if found == 1 else 's'}; {limits.fewest_groups} are needed"
            faults.add(group, detail, "give rows of more people, or name no group")
            return
    parts = split(dataset, _SEED)
    fitting, _ = parts.validation(dataset)
    for what, rows in (("training", fitting), ("test", parts.test)):
        for absent in np.flatnonzero(np.bincount(dataset.labels[rows], minlength=len(dataset.classes)) == 0):
            name = dataset.classes[absent]
            of_groups = f" of more values of {group!r}" if group else ""
            hint = f"give more rows of {name!r}{of_groups}, or leave the class out"
            faults.add(dataset.target, f"the class {name!r} has no {what} row", hint)


def constant_columns(dataset: Dataset) -> tuple[Fault, ...]:
    """Warnings of the columns that tell nothing since all rows have the same value."""
    return tuple(
        Fault(name, f"left out: every row has {_said(column[0])}", "a record of this task has no such column")
        for name, column in dataset.columns.items()
        if len(dataset) and (column == column[0]).all()
    )


def _said(value: Any) -> str:
    return (repr(value) if value else "no value") if isinstance(value, str) else f"{value:g}"


def warnings_of(dataset: Dataset) -> tuple[Fault, ...]:
    """Copies of rows, columns that give the label away, columns that only name a row."""
    codes = {name: np.unique(column, return_inverse=True)[1] for name, column in dataset.columns.items()}
    copies = len(dataset) - _different([*codes.values(), dataset.labels])
    warnings = [*_leaks(dataset, codes), *_names(dataset, codes)]
    if copies:
        hint = "a copy among the training and the test rows makes a model look better than it is: remove copies"
        warnings.append(Fault("rows", f"{copies:,} rows are copies of others", hint))
    return tuple(warnings)


def _different(columns: Sequence[NDArray[np.int64]]) -> int:
    """How many of the rows are different, from codes (rows,) of each column."""
    rows = np.zeros_like(columns[0])
    for column in columns:
        rows = np.unique(rows * (int(column.max()) + 1) + column, return_inverse=True)[1]
    return int(rows.max()) + 1


def _leaks(dataset: Dataset, codes: Mapping[str, NDArray[np.int64]]) -> Iterator[Fault]:
    for name, column in codes.items():
        values = int(column.max()) + 1
        if values == len(dataset.classes) == _different([column, dataset.labels]):
            yield Fault(
                name,
                "the column is the label by other names: each of its values has one class",
                'if it is not known before the answer is, say type = "ignore"',
            )


def _names(dataset: Dataset, codes: Mapping[str, NDArray[np.int64]]) -> Iterator[Fault]:
    for name, column in codes.items():
        values = dataset.columns[name]
        whole = values.dtype == object or bool((values == np.floor(values)).all())
        if len(values) >= _NAMED_ROWS and whole and int(column.max()) + 1 == len(values):
            yield Fault(name, "the column is different in every row", 'if it only names the rows, say type = "ignore"')

"""A provider's table as a data set, or everything that is wrong with it.

It is read once, row by row, so that memory is bounded by the limits and a table beyond them is refused where it passes
them. What a cell, a line, a header may be is for the other modules here; this one puts them together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from epaas_models.datasets import Dataset
from epaas_models.tables.checks import check_classes, check_splits, constant_columns, warnings_of
from epaas_models.tables.columns import Column, Found, Numbers, Texts, real, shown
from epaas_models.tables.description import TableDescription
from epaas_models.tables.faults import Faults
from epaas_models.tables.header import check_header
from epaas_models.tables.lines import Rows, TableLimits
from epaas_shared.errors import Fault

_ROWS_AT_ONCE = 4096
_UPLOADED = "a provider's own table"


@dataclass(frozen=True)
class Table:
    """A data set, and what its provider should look at before anything is learnt from it."""

    dataset: Dataset
    warnings: tuple[Fault, ...] = ()


def read_table(table: Path | BinaryIO, description: TableDescription, limits: TableLimits | None = None) -> Table:
    """The rows of a CSV file (UTF-8, with a header) as the data set of the task that is described.

    Raises :class:`~epaas_shared.errors.InvalidTable` with all faults that were found: of each the column or entry, the
    line of its first row, and what to do about it.
    """
    if isinstance(table, Path):
        with table.open("rb") as stream:
            return read_table(stream, description, limits)
    limits, faults = limits or TableLimits(), Faults()
    rows = Rows(table, description.delimiter, limits, faults)
    check_header(rows.header, description, limits, faults)
    columns = {name: _column(name, description, limits, faults) for name in rows.header if _used(name, description)}
    lines = _read(rows, columns, faults)
    read = {name: column.column if isinstance(column, Found) else column for name, column in columns.items()}
    complete, warnings = _complete(read, description, lines, faults)
    _check_values(read, description, lines, complete, faults)
    dataset = _dataset(read, description, complete, limits, faults)
    faults.check()
    constant = constant_columns(dataset)
    dataset = _without(dataset, [fault.field for fault in constant], faults)
    check_splits(dataset, description.group, limits, faults)
    faults.check()
    return Table(dataset, (*warnings, *constant, *warnings_of(dataset)))


def _used(name: str, description: TableDescription) -> bool:
    return description.column(name).type != "ignore"


def _column(name: str, description: TableDescription, limits: TableLimits, faults: Faults) -> Column | Found:
    marks = description.marks(name)
    if name == description.group:
        return Texts(name, marks, faults, hint="")
    if name == description.label:
        hint = "the label is one of a few classes; divide a number into ranges first"
        return Texts(name, marks, faults, most=limits.classes, hint=hint)
    numbers = Numbers(name, marks, faults)
    hint = f'say type = "ignore" in columns.{name}, join values, or let the operator raise EPAAS_TABLE_CATEGORIES'
    texts = Texts(name, marks, faults, most=limits.categories, hint=hint)
    described: Mapping[str | None, Column] = {"number": numbers, "category": texts}
    return described.get(description.column(name).kind) or Found(numbers, texts, marks)


def _read(rows: Rows, columns: Mapping[str, Column | Found], faults: Faults) -> NDArray[np.int64]:
    """Fill the columns. Gives the lines that the rows are on, shape (rows,)."""
    places = {name: place for place, name in enumerate(rows.header)}
    lines: list[NDArray[np.int64]] = []
    found = iter(rows)
    while block := list(islice(found, _ROWS_AT_ONCE)):
        numbers = [line for line, _ in block]
        cells = list(zip(*(row for _, row in block), strict=True))
        for name, column in columns.items():
            column.add(cells[places[name]], numbers)
        lines.append(np.array(numbers, dtype=np.int64))
    if not lines:
        faults.stop("rows", "there is no row below the header that could be read", "give rows")
    return np.concatenate(lines)


def _complete(
    columns: Mapping[str, Column], description: TableDescription, lines: NDArray[np.int64], faults: Faults
) -> tuple[NDArray[np.bool_], list[Fault]]:
    """Which rows have all that they must, shape (rows,); the others are faults, or left out with a warning."""
    complete, warnings = np.ones(len(lines), dtype=np.bool_), []
    for name, column in columns.items():
        if isinstance(column, Texts) and name not in (description.label, description.group):
            continue
        missing = column.missing
        if not missing.any():
            continue
        line, count = int(lines[missing][0]), int(missing.sum())
        if description.incomplete_rows == "leave-out":
            complete &= ~missing
            hint = "a record without this value will be refused as well"
            warnings.append(Fault(name, f"{count:,} rows without a value were left out", hint, line))
        else:
            hint = 'fill it in, or say incomplete_rows = "leave-out"; a column of type category may have missing values'
            faults.add(name, "the value is missing", hint, line=line, rows=count)
    return complete, warnings


def _check_values(
    columns: Mapping[str, Column],
    description: TableDescription,
    lines: NDArray[np.int64],
    complete: NDArray[np.bool_],
    faults: Faults,
) -> None:
    """Ranges and values that were described."""

    def check(name: str, wrong: NDArray[np.bool_], what: str, hint: str) -> None:
        wrong = wrong & complete
        if wrong.any():
            value = columns[name]
            row = int(wrong.argmax())
            text = f"{value.values[row]:g}" if isinstance(value, Numbers) else shown(value.texts[value.codes[row]])
            faults.add(name, f"{text} {what}", hint, line=int(lines[row]), rows=int(wrong.sum()))

    for name, column in columns.items():
        described = description.column(name)
        if isinstance(column, Numbers):
            for bound, beyond, word in (
                (described.minimum, np.less, "below"),
                (described.maximum, np.greater, "above"),
            ):
                if bound is not None:
                    hint = f"correct the cell (its unit, its decimal point) or the range in columns.{name}"
                    check(name, beyond(column.values, bound), f"is {word} the described {bound:g}", hint)
            continue
        label = name == description.label
        allowed = description.classes if label else described.categories
        if allowed:
            entry = "classes" if label else f"columns.{name}.categories"
            known = np.isin(column.texts, ["", *allowed])
            hint = f"correct the cell, or add the value to `{entry}`"
            check(name, ~known[column.codes], "is not one of the values that were described", hint)


def _dataset(
    columns: Mapping[str, Column],
    description: TableDescription,
    complete: NDArray[np.bool_],
    limits: TableLimits,
    faults: Faults,
) -> Dataset:
    """The complete rows, once their classes are checked."""
    label, group = columns[description.label], columns.get(description.group or "")
    assert isinstance(label, Texts)
    codes, found = np.unique(label.codes[complete], return_counts=True)
    rows = {str(text): int(count) for text, count in zip(label.texts[codes], found, strict=True) if text}
    classes = description.classes or _in_order(list(rows))
    check_classes(description.label, classes, rows, limits, faults)
    places = {text: place for place, text in enumerate(classes)}
    place_of = np.array([places.get(text, 0) for text in label.texts], dtype=np.int64)
    return Dataset(
        name=description.task,
        source=description.source or _UPLOADED,
        target=description.label,
        classes=classes,
        columns={
            name: _values(column)[complete]
            for name, column in columns.items()
            if name not in (description.label, description.group)
        },
        labels=place_of[label.codes[complete]],
        groups=group.codes[complete].astype(np.int64) if isinstance(group, Texts) else None,
        subgroups=description.subgroups,
    )


def _values(column: Column) -> NDArray[Any]:
    return column.values if isinstance(column, Numbers) else column.texts[column.codes]


def _in_order(classes: Sequence[str]) -> tuple[str, ...]:
    """By value if all are numbers, else by letter."""
    numbers = {text: real(text) for text in classes}
    return tuple(sorted(classes, key=lambda text: (numbers[text], text) if None not in numbers.values() else text))


def _without(dataset: Dataset, names: Sequence[str], faults: Faults) -> Dataset:
    """The data set without some of its columns."""
    columns = {name: column for name, column in dataset.columns.items() if name not in names}
    if not columns:
        faults.stop("columns", "no column but the label has more than one value", "give columns to predict from")
    subgroups = tuple(name for name in dataset.subgroups if name in columns)
    return replace(dataset, columns=columns, subgroups=subgroups)

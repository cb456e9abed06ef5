"""Small tables as a provider would write them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from epaas_models.tables import Table, TableDescription, TableLimits, description_of, read_table
from epaas_shared.errors import Fault, InvalidTable

Cells = Sequence[Sequence[Any]]


def csv_bytes(header: Sequence[str], rows: Iterable[Sequence[Any]], delimiter: str = ",") -> bytes:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, delimiter=delimiter).writerows([header, *rows])
    return buffer.getvalue().encode()


def describe(**entries: Any) -> TableDescription:
    return description_of({"task": "visits", "label": "again", **entries})


HEADER = ("age", "town", "again")


def visits(rows: int = 60) -> list[list[str]]:
    """Ages with a decimal, one of three towns, yes or no: each row different from the others."""
    random = np.random.default_rng(4)
    ages = random.permutation(rows) + 0.5
    return [[f"{age:g}", "ABC"[row % 3], ("no", "yes")[int(age > rows / 2)]] for row, age in enumerate(ages)]


def read(data: bytes, description: TableDescription | None = None, **limits: int) -> Table:
    return read_table(io.BytesIO(data), description or describe(), TableLimits(**limits))  # type: ignore[arg-type]


def faults_of(data: bytes, description: TableDescription | None = None, **limits: int) -> list[Fault]:
    """The faults with which a table is refused; none if it is not."""
    try:
        read(data, description, **limits)
    except InvalidTable as refused:
        error = refused
    else:
        return []
    assert error.faults
    assert (error.field, error.hint) == (error.faults[0].field, error.faults[0].hint)
    assert error.detail.startswith(error.faults[0].what)
    assert all(fault.detail and fault.hint for fault in error.faults)
    return list(error.faults)


def fields_of(data: bytes, description: TableDescription | None = None, **limits: int) -> list[tuple[str, int | None]]:
    """Field and line of each fault."""
    return [(fault.field, fault.line) for fault in faults_of(data, description, **limits)]

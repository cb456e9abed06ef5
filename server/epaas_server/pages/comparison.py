"""Reports side by side, as a page: a table a chapter, a column a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from epaas_shared.protocol import ModelVersion
from epaas_shared.report import Report
from epaas_shared.report.comparison import Compared, compare
from epaas_web.pages.elements import Cell, Table

BETTER = "better"
"""What is written beside a value that is better than each of the others, beyond what chance allows."""


@dataclass(frozen=True)
class Column:
    """A version with its report, and what else is said of it, such as ``stable``."""

    model: ModelVersion
    report: Report
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.model.name}@{self.model.version}"

    @property
    def header(self) -> str:
        return f"{self.name} ({', '.join(self.notes)})" if self.notes else self.name


def comparison_tables(columns: Sequence[Column]) -> list[Table]:
    """The measures of versions of one task. Raises ValueError for several tasks."""
    headers = ("Measure", *(column.header for column in columns))
    rows = compare([column.report for column in columns])
    return [
        Table(chapter, headers, tuple(_row(row) for row in measures), style="comparison")
        for chapter, measures in groupby(rows, key=lambda row: row.chapter)
    ]


def _row(row: Compared) -> tuple[Cell, ...]:
    cells = [Cell(row.measure)]
    for place, (value, shown) in enumerate(zip(row.values, row.shown, strict=True)):
        text, _, interval = shown.partition(" (")
        detail = f"({interval}" if interval else ""
        if row.best == place:
            detail = f"{detail} {BETTER}".strip()
        cells.append(Cell(text, None if value is None else value[0], detail, "good" if row.best == place else ""))
    return tuple(cells)

"""Columns of a table as they are read, a block of rows at a time: numbers, or texts of which few are different.

A block's cells come without spaces around them. Owns what a cell may be; knows no other column and no label.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from epaas_models.tables.faults import Faults

_MOSTLY = 0.9
"""Share of numbers from which on a column is one of numbers, in which anything else is a mistake."""
LARGEST = 1e100
"""Magnitude of a number; ranges and differences of larger ones would overflow."""
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")


class Numbers:
    """Real numbers; NaN where one is missing."""

    def __init__(self, name: str, marks: frozenset[str], faults: Faults) -> None:
        self._name, self._marks, self._faults = name, marks, faults
        self._blocks: list[NDArray[np.float64]] = []

    def add(self, cells: Sequence[str], lines: Sequence[int]) -> None:
        marks = self._marks
        try:
            block = np.array([math.nan if cell in marks else float(cell) for cell in cells], dtype=np.float64)
        except ValueError:
            block = None
        if (
            block is None
            or "_" in "".join(cells)
            or np.count_nonzero(~(np.abs(block) <= LARGEST)) > self._marked(cells)
        ):
            block = np.array([self._number(*at) for at in zip(cells, lines, strict=True)], dtype=np.float64)
        self._blocks.append(block)

    def _marked(self, cells: Sequence[str]) -> int:
        return sum(cell in self._marks for cell in cells)

    def _number(self, cell: str, line: int) -> float:
        """The number in a cell; one that has none is a fault."""
        number = math.nan if cell in self._marks else real(cell)
        if number is None:
            hint = "correct the cell, list it as a mark under `missing`, or say that the column's type is category"
            if _DECIMAL_COMMA.fullmatch(cell):
                hint = "write decimals with a point"
            self._faults.add(
                self._name, f"{shown(cell)} is not a number (finite, at most {LARGEST:g})", hint, line=line
            )
        return 0.0 if number is None else number

    @property
    def values(self) -> NDArray[np.float64]:
        """Shape (rows,)."""
        return np.concatenate(self._blocks)

    @property
    def missing(self) -> NDArray[np.bool_]:
        return np.isnan(self.values)


class Texts:
    """Texts, each kept once; an empty one where it is missing. A text more than ``most`` stops with a ``hint``."""

    def __init__(self, name: str, marks: frozenset[str], faults: Faults, *, most: float = math.inf, hint: str) -> None:
        self._name, self._marks, self._faults, self._most, self._hint = name, marks, faults, most, hint
        self._codes: dict[str, int] = {}
        self._texts = [""]
        self._blocks: list[NDArray[np.int32]] = []

    def add(self, cells: Sequence[str], lines: Sequence[int]) -> None:
        codes = self._codes
        for cell in dict.fromkeys(cells):
            if cell not in codes:
                codes[cell] = 0 if cell in self._marks else self._new(cell, lines[cells.index(cell)])
        self._blocks.append(np.array([codes[cell] for cell in cells], dtype=np.int32))

    def _new(self, cell: str, line: int) -> int:
        if len(self._texts) > self._most:
            detail = f"the column has more than the {self._most:,} different values that are allowed"
            self._faults.stop(self._name, detail, self._hint, line=line)
        self._texts.append(cell)
        return len(self._texts) - 1

    @property
    def texts(self) -> NDArray[np.object_]:
        """The different texts by their codes, from 1; that of 0 is empty."""
        return np.array(self._texts, dtype=object)

    @property
    def codes(self) -> NDArray[np.int32]:
        """Shape (rows,)."""
        return np.concatenate(self._blocks)

    @property
    def missing(self) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = self.codes == 0
        return found


Column = Numbers | Texts


class Found:
    """Numbers or texts, by the first block with any value: numbers if nearly all of its values are."""

    def __init__(self, numbers: Numbers, texts: Texts, marks: frozenset[str]) -> None:
        self._numbers, self._texts, self._marks = numbers, texts, marks
        self._waiting: list[tuple[Sequence[str], Sequence[int]]] = []
        self._chosen: Column | None = None

    def add(self, cells: Sequence[str], lines: Sequence[int]) -> None:
        if self._chosen is None:
            values = [cell for cell in cells if cell not in self._marks]
            if not values:
                self._waiting.append((cells, lines))
                return
            self._choose(sum(real(value) is not None for value in values) >= _MOSTLY * len(values))
        assert self._chosen is not None
        self._chosen.add(cells, lines)

    def _choose(self, numbers: bool) -> None:
        self._chosen = self._numbers if numbers else self._texts
        for block in self._waiting:
            self._chosen.add(*block)

    @property
    def column(self) -> Column:
        """What it is: texts if there was no value at all."""
        if self._chosen is None:
            self._choose(False)
        assert self._chosen is not None
        return self._chosen


def real(cell: str) -> float | None:
    """The number that a cell has, as a record's would be read."""
    try:
        number = math.nan if "_" in cell else float(cell)
    except ValueError:
        return None
    return number if abs(number) <= LARGEST else None


def shown(cell: str) -> str:
    return repr(cell if len(cell) <= 40 else cell[:39] + "…")

"""Faults of a table as they are found, to be told together. Knows no table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NoReturn

from epaas_shared.errors import Fault, InvalidTable

MOST = 20
"""Faults that an error lists; what is left out is counted."""


class Faults:
    """What is wrong so far. Rows with the same remedy in the same field are one fault: the first of them, counted."""

    def __init__(self) -> None:
        self._first: dict[tuple[str, str], Fault] = {}
        self._rows: dict[tuple[str, str], int] = {}

    def add(self, field: str, detail: str, hint: str, *, line: int | None = None, rows: int = 1) -> None:
        """A fault that so many rows have, the first of them at ``line``."""
        key = (field, hint)
        self._first.setdefault(key, Fault(field, detail, hint, line))
        self._rows[key] = self._rows.get(key, 0) + rows

    def stop(self, field: str, detail: str, hint: str, *, line: int | None = None) -> NoReturn:
        """A fault with which reading cannot go on. Raises :class:`InvalidTable` with all."""
        self.add(field, detail, hint, line=line)
        raise invalid_table(self.all)

    def check(self) -> None:
        """Raises :class:`InvalidTable` if there is any."""
        if self._first:
            raise invalid_table(self.all)

    @property
    def all(self) -> tuple[Fault, ...]:
        return tuple(
            replace(fault, detail=f"{fault.detail}, and {others:,} more such rows") if others else fault
            for fault, others in ((fault, self._rows[key] - 1) for key, fault in self._first.items())
        )


def invalid_table(faults: Sequence[Fault]) -> InvalidTable:
    """The error with these faults, at least one: the first is its own field, detail and hint, the rest are named."""
    first, *others = faults[:MOST]
    told = [first.what, *map(str, others)]
    if len(faults) > MOST:
        told.append(f"{len(faults) - MOST} more faults")
    return InvalidTable("; ".join(told), field=first.field, hint=first.hint, faults=faults[:MOST])

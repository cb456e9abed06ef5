"""What a page is made of, as data; ``templates/elements.html`` has the HTML of each ``kind``.

Text is plain and is escaped when it is rendered. A cell keeps the exact number beside what it shows, so that tests and
programs can read it from the page.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from epaas_shared.quantities import Interval, count, decimal, percent, span
from epaas_shared.report.measures import Measure, Rate
from epaas_web.pages.diagrams.canvas import Diagram


@dataclass(frozen=True)
class Cell:
    text: str
    value: float | None = None
    detail: str = ""
    """Such as an interval."""
    style: str = ""
    """CSS classes, such as those of a standing."""


@dataclass(frozen=True)
class Table:
    """The first column names the rows."""

    kind: ClassVar[str] = "table"
    caption: str
    headers: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    style: str = ""


@dataclass(frozen=True)
class Text:
    kind: ClassVar[str] = "text"
    text: str


@dataclass(frozen=True)
class Warnings:
    """What a reader must know before the numbers."""

    kind: ClassVar[str] = "warnings"
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Heading:
    """A part of a chapter, and what to take from it."""

    kind: ClassVar[str] = "heading"
    title: str
    takeaway: str


@dataclass(frozen=True)
class Figures:
    """Side by side where there is room."""

    kind: ClassVar[str] = "figures"
    diagrams: tuple[Diagram, ...]


@dataclass(frozen=True)
class Folded:
    """Details that are shown when asked for."""

    kind: ClassVar[str] = "folded"
    summary: str
    blocks: tuple[Block, ...]


Block = Table | Text | Warnings | Heading | Figures | Folded


@dataclass(frozen=True)
class Chapter:
    id: str
    title: str
    takeaway: str
    """What a reader should take from it, in a sentence."""
    blocks: tuple[Block, ...]


def text_cell(text: str, style: str = "") -> Cell:
    return Cell(text, style=style)


def share_cell(share: float | None) -> Cell:
    return Cell("-") if share is None else Cell(percent(share), share)


def rate_cell(rate: Rate | None) -> Cell:
    return Cell("-") if rate is None else _estimate(rate.value, rate.interval, percent)


def count_cell(number: int | None) -> Cell:
    return Cell("-") if number is None else Cell(count(number), number)


def number_cell(number: float | None) -> Cell:
    return Cell("-") if number is None else Cell(decimal(number), number)


def measure_cell(measure: Measure | None, say: Callable[[float], str] = decimal) -> Cell:
    return Cell("-") if measure is None else _estimate(measure.value, measure.interval, say)


def _estimate(value: float, interval: Interval | None, say: Callable[[float], str]) -> Cell:
    return Cell(say(value), value, detail=f"({span(interval, say)})" if interval else "")


def facts(caption: str, *pairs: tuple[str, Cell]) -> Table:
    """A table of names and values."""
    return Table(caption, ("What", "Value"), tuple((Cell(name), value) for name, value in pairs), style="facts")

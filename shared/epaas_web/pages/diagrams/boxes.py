"""Distributions as boxes on one axis: the middle half of the rows, the median, and from the 5th to the 95th of 100."""

from __future__ import annotations

from collections.abc import Mapping

from epaas_shared.quantities import count, decimal
from epaas_shared.report.generalisation import Distribution
from epaas_web.pages.diagrams.canvas import Axis, Diagram, Key, Mark, covering, label, line, shortened

_ROW = 46.0
_LEFT, _RIGHT = 8.0, 352.0


def boxes(title: str, description: str, found: Mapping[str, Distribution], *, with_zero: bool = False) -> Diagram:
    """One box a name."""
    ends = [end for shown in found.values() for end in (shown.p5, shown.p95)] + ([0.0] if with_zero else [])
    x = covering(ends or [0.0], _LEFT, _RIGHT)
    bottom = _ROW * len(found) + 6
    marks: list[Mark] = []
    for value in x.ticks():
        edge = "start" if value == x.low else "end" if value == x.high else "middle"
        style = "axis" if value == 0 else "grid"
        marks += [
            line(x.at(value), 0, x.at(value), bottom, style),
            label(x.at(value), bottom + 14, decimal(value), edge),
        ]
    for number, (name, shown) in enumerate(found.items()):
        marks += _box(name, shown, _ROW * number, x)
    return Diagram(
        title=title,
        description=description,
        height=bottom + 20,
        marks=tuple(marks),
        headers=("", "Rows", "5th percentile", "25th", "Median", "75th", "95th"),
        rows=tuple(
            (name, float(shown.rows), shown.p5, shown.p25, shown.median, shown.p75, shown.p95)
            for name, shown in found.items()
        ),
        legend=(Key("box", "middle half of the rows, median"), Key("whisker", "5th to 95th percentile")),
    )


def _box(name: str, shown: Distribution, top: float, x: Axis) -> list[Mark]:
    middle = top + 31
    place = {"x": x.at(shown.p25), "y": middle - 9, "width": x.at(shown.p75) - x.at(shown.p25), "height": 18.0}
    numbers = {"p5": shown.p5, "p25": shown.p25, "median": shown.median, "p75": shown.p75, "p95": shown.p95}
    tip = f"{name}: median {decimal(shown.median)}, middle half {decimal(shown.p25)} to {decimal(shown.p75)}"
    return [
        label(_LEFT, top + 15, shortened(name), "start name"),
        label(_RIGHT, top + 15, f"median {decimal(shown.median)}, {count(shown.rows)} rows", "end"),
        line(x.at(shown.p5), middle, x.at(shown.p95), middle, "whisker"),
        Mark("rect", "box", place, tip=tip, numbers=numbers),
        line(x.at(shown.median), middle - 9, x.at(shown.median), middle + 9, "median"),
    ]

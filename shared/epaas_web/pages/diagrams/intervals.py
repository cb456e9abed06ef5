"""Numbers with their intervals below one another on one axis, and where they are expected to be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from epaas_shared.quantities import Interval, between, percent, span
from epaas_web.pages.diagrams.canvas import Axis, Diagram, Key, Mark, covering, label, line, shortened, tick

_ROW = 40.0
_LEFT, _RIGHT = 8.0, 352.0


@dataclass(frozen=True)
class Estimate:
    """``band`` is where the value would be if all were well."""

    name: str
    value: float
    interval: Interval | None = None
    band: Interval | None = None
    style: str = ""


def intervals(
    title: str,
    description: str,
    found: Sequence[Estimate],
    *,
    say: Callable[[float], str] = percent,
    shares: bool = True,
    from_zero: bool = False,
    band_name: str = "",
) -> Diagram:
    """A dot for a value, a line for its interval, a bar for its band. ``say`` writes numbers."""
    ends = [end for estimate in found for pair in (estimate.interval, estimate.band) if pair for end in pair]
    ends += [estimate.value for estimate in found] + ([0.0] if from_zero else [])
    x = covering(ends, _LEFT, _RIGHT, shares=shares)
    bottom = _ROW * len(found) + 6
    marks: list[Mark] = []
    for value in x.ticks(4):
        edge = "start" if value == x.low else "end" if value == x.high else "middle"
        marks += [
            line(x.at(value), 0, x.at(value), bottom, "grid"),
            label(x.at(value), bottom + 14, tick(value, say), edge),
        ]
    for number, estimate in enumerate(found):
        marks += _row(estimate, _ROW * number, x, say)
    band = (Key("expected", band_name),) if any(estimate.band for estimate in found) else ()
    return Diagram(
        title=title,
        description=description,
        height=bottom + 20,
        marks=tuple(marks),
        headers=("", "Value", "From", "To", *(("Band from", "Band to") if band else ())),
        rows=tuple(_numbers(estimate, with_band=bool(band)) for estimate in found),
        legend=(Key("dot", "measured, with its 95 % interval"), *band) if any(each.interval for each in found) else (),
    )


def _row(estimate: Estimate, top: float, x: Axis, say: Callable[[float], str]) -> list[Mark]:
    middle = top + 28
    marks = [
        label(_LEFT, top + 15, shortened(estimate.name), "start name"),
        label(_RIGHT, top + 15, between(estimate.value, estimate.interval, say), "end"),
    ]
    if estimate.band:
        low, high = (x.at(end) for end in estimate.band)
        place = {"x": low, "y": middle - 6, "width": high - low, "height": 12.0}
        tip = span(estimate.band, say)
        numbers = {"low": estimate.band[0], "high": estimate.band[1]}
        marks.append(Mark("rect", "expected", place, tip=tip, numbers=numbers))
    if estimate.interval:
        low, high = (x.at(end) for end in estimate.interval)
        marks.append(line(low, middle, high, middle, f"whisker {estimate.style}".strip()))
    place = {"cx": x.at(estimate.value), "cy": middle, "r": 4.5}
    tip = f"{estimate.name}: {between(estimate.value, estimate.interval, say)}"
    numbers = {"value": estimate.value}
    if estimate.interval:
        numbers |= {"low": estimate.interval[0], "high": estimate.interval[1]}
    return [*marks, Mark("circle", f"dot {estimate.style}".strip(), place, tip=tip, numbers=numbers)]


def _numbers(estimate: Estimate, *, with_band: bool) -> tuple[str | float | None, ...]:
    nothing = (None, None)
    band = (estimate.band or nothing) if with_band else ()
    return (estimate.name, estimate.value, *(estimate.interval or nothing), *band)

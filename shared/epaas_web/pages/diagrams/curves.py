"""Curves over a growing number: accuracy by budget, by step; changed predictions by noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from epaas_shared.quantities import decimal, percent
from epaas_web.pages.diagrams.canvas import Axis, Diagram, Key, Mark, covering, grid, path

_TOP, _BOTTOM = 26.0, 250.0
_HEIGHT = 290.0


@dataclass(frozen=True)
class Curve:
    """``points`` are (x, share); ``style`` chooses colour and dashes; ``band`` is (x, low, high)."""

    name: str
    style: str
    points: tuple[tuple[float, float], ...]
    band: tuple[tuple[float, float, float], ...] = ()


def curves(
    title: str, description: str, found: Sequence[Curve], *, x_title: str, y_title: str, to_one: bool = True
) -> Diagram:
    """Shares over x, up to 1 or else as far as they go. The first curve is drawn first, below the others."""
    places = [x for curve in found for x, _ in curve.points]
    shares = [0.0, *(share for curve in found for _, share in curve.points)]
    x = covering(places or [0.0], 44, 346)
    y = Axis(0, 1, _BOTTOM, _TOP) if to_one else covering(shares, _BOTTOM, _TOP, shares=True)
    marks = grid(x, y, x_title=x_title, y_title=y_title)
    for curve in found:
        marks += _drawn(curve, x, y)
    every = sorted(set(places))
    values = [dict(curve.points) for curve in found]
    return Diagram(
        title=title,
        description=description,
        height=_HEIGHT,
        marks=tuple(marks),
        headers=(x_title.capitalize(), *(curve.name for curve in found)),
        rows=tuple((decimal(place), *(by_place.get(place) for by_place in values)) for place in every),
        legend=tuple(Key(f"curve {curve.style}", curve.name) for curve in found),
    )


def _drawn(curve: Curve, x: Axis, y: Axis) -> list[Mark]:
    marks = []
    if curve.band:
        upper = [(x.at(place), y.at(high)) for place, _, high in curve.band]
        lower = [(x.at(place), y.at(low)) for place, low, _ in reversed(curve.band)]
        marks.append(path(upper + lower, f"band {curve.style}", closed=True))
    if curve.points:
        marks.append(path([(x.at(place), y.at(share)) for place, share in curve.points], f"curve {curve.style}"))
    for place, share in curve.points:
        marks.append(
            Mark(
                "circle",
                f"point {curve.style}",
                {"cx": x.at(place), "cy": y.at(share), "r": 3.0},
                tip=f"{curve.name}: {percent(share)} at {decimal(place)}",
                numbers={"x": place, "y": share},
            )
        )
    return marks

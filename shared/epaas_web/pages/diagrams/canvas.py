"""Drawing: an axis that places numbers, marks that become SVG elements, and the diagram that holds them.

Marks carry CSS classes, never colours: the style sheet chooses those for light, dark and paper. The unit is about a
CSS pixel; diagrams are :data:`WIDTH` wide and are scaled to the room there is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, floor, log10

from epaas_shared.quantities import decimal, percent

WIDTH = 360.0


@dataclass(frozen=True)
class Mark:
    """One SVG element; ``numbers`` are the exact values that it stands for, ``tip`` says them."""

    tag: str
    style: str
    geometry: Mapping[str, str | float]
    text: str = ""
    tip: str = ""
    numbers: Mapping[str, float] = field(default_factory=dict)

    @property
    def attributes(self) -> dict[str, str]:
        placed = {name: at if isinstance(at, str) else f"{at:.2f}" for name, at in self.geometry.items()}
        return placed | {f"data-{name}": repr(value) for name, value in self.numbers.items()}


@dataclass(frozen=True)
class Key:
    """A line of the legend."""

    style: str
    text: str


@dataclass(frozen=True)
class Diagram:
    """``headers`` and ``rows`` are the numbers behind it: what is shown, and the exact value where there is one."""

    title: str
    description: str
    height: float
    marks: tuple[Mark, ...]
    headers: tuple[str, ...]
    rows: tuple[tuple[str | float | None, ...], ...]
    legend: tuple[Key, ...] = ()
    width: float = WIDTH


@dataclass(frozen=True)
class Axis:
    """Values ``low`` to ``high`` at the positions ``start`` to ``end``."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        span = self.high - self.low
        return self.start + (self.end - self.start) * ((value - self.low) / span if span else 0.5)

    def ticks(self, about: int = 5) -> list[float]:
        """Round values, ``about`` so many."""
        step = nice_step(self.high - self.low, about)
        first, last = ceil(self.low / step - 1e-9), floor(self.high / step + 1e-9)
        return [round(index * step, 12) for index in range(first, last + 1)]


def nice_step(span: float, about: int) -> float:
    """1, 2 or 5 times a power of ten, so that ``about`` steps make the span."""
    if span <= 0:
        return 1.0
    rough = span / about
    power: float = 10.0 ** floor(log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)


def covering(values: Sequence[float], start: float, end: float, *, shares: bool = False) -> Axis:
    """An axis with round ends around all values; one of shares stays within 0 and 1."""
    least, most = min(values), max(values)
    if most - least <= 1e-9 * max(abs(least), abs(most), 1.0):
        reach = abs(least) / 2 if abs(least) > 1e-6 else 1.0
        least, most = least - reach, most + reach
    step = nice_step(most - least, 4)
    low, high = floor(least / step + 1e-9) * step, ceil(most / step - 1e-9) * step
    if shares:
        low, high = max(low, 0.0), min(high, 1.0)
    return Axis(round(low, 12), round(high, 12), start, end)


def line(x1: float, y1: float, x2: float, y2: float, style: str) -> Mark:
    return Mark("line", style, {"x1": x1, "y1": y1, "x2": x2, "y2": y2})


def label(x: float, y: float, text: str, style: str = "") -> Mark:
    return Mark("text", f"label {style}".strip(), {"x": x, "y": y}, text=text)


def shortened(name: str, most: int = 26) -> str:
    """A name that leaves room for a number beside it; tips and tables have all of it."""
    return name if len(name) <= most else f"{name[: most - 1]}…"


def path(points: Sequence[tuple[float, float]], style: str, *, closed: bool = False) -> Mark:
    steps = " ".join(f"{'M' if index == 0 else 'L'}{x:.2f} {y:.2f}" for index, (x, y) in enumerate(points))
    return Mark("path", style, {"d": steps + (" Z" if closed else "")})


def grid(x: Axis, y: Axis, *, x_title: str, y_title: str, x_shares: bool = False, y_shares: bool = True) -> list[Mark]:
    """Both axes with their lines, ticks and titles; ``y`` grows upwards. Shares are written in per cent."""
    marks = []
    for value in y.ticks():
        marks += [
            line(x.start, y.at(value), x.end, y.at(value), "grid"),
            label(x.start - 5, y.at(value) + 4, tick(value, percent if y_shares else decimal), "end"),
        ]
    for value in x.ticks():
        marks += [
            line(x.at(value), y.start, x.at(value), y.start + 4, "axis"),
            label(x.at(value), y.start + 16, tick(value, percent if x_shares else decimal), "middle"),
        ]
    return [
        *marks,
        line(x.start, y.start, x.end, y.start, "axis"),
        label((x.start + x.end) / 2, y.start + 32, x_title, "middle title"),
        label(x.start - 36, y.end - 9, y_title, "title"),
    ]


def tick(value: float, say: Callable[[float], str]) -> str:
    """Round values without decimals that say nothing."""
    return say(value).replace(".0 %", " %")

"""The reliability diagram: accuracy by confidence, a bar a bin, and below it how many rows each bin has."""

from __future__ import annotations

from collections.abc import Sequence
from math import log10

from epaas_shared.quantities import count, percent
from epaas_shared.report.calibration import Bin
from epaas_web.pages.diagrams.canvas import Axis, Diagram, Key, Mark, grid, label, line

FEW_ROWS = 20
"""Bars of bins with fewer rows are pale: chance alone moves them by tenths."""

_TOP, _BOTTOM = 26.0, 250.0
_ROWS_TOP, _ROWS_BOTTOM = 306.0, 362.0
_HEIGHT = 374.0


def reliability(title: str, bins: Sequence[Bin]) -> Diagram:
    """Bars end at the accuracy; the hatched part is the gap to the mean confidence of the bin."""
    x, y = Axis(0, 1, 44, 346), Axis(0, 1, _BOTTOM, _TOP)
    marks = grid(x, y, x_title="confidence", y_title="accuracy", x_shares=True)
    for found in bins:
        marks += _bar(found, x, y)
    marks.append(line(x.at(0), y.at(0), x.at(1), y.at(1), "diagonal"))
    marks += _histogram(bins, x)
    rows = tuple(
        (f"{percent(found.low)} to {percent(found.high)}", float(found.rows), found.confidence, found.accuracy)
        for found in bins
    )
    return Diagram(
        title=title,
        description=(
            "Accuracy of the rows by their confidence. Where confidence comes true, bars end on the diagonal; below it "
            "the model is too sure. The lower bars count rows, on a logarithmic scale."
        ),
        height=_HEIGHT,
        marks=tuple(marks),
        headers=("Confidence", "Rows", "Mean confidence", "Accuracy"),
        rows=rows,
        legend=(
            Key("bar", "accuracy"),
            Key("gap", "gap to the confidence"),
            Key("diagonal", "perfectly calibrated"),
            Key("bar few", f"fewer than {FEW_ROWS} rows"),
        ),
    )


def _bar(found: Bin, x: Axis, y: Axis) -> list[Mark]:
    if found.confidence is None or found.accuracy is None:
        return []
    left, width = x.at(found.low) + 0.75, x.at(found.high) - x.at(found.low) - 1.5
    few = " few" if found.rows < FEW_ROWS else ""
    tip = (
        f"confidence {percent(found.confidence)}, accuracy {percent(found.accuracy)}, {count(found.rows)} rows, "
        f"bin from {percent(found.low)} to {percent(found.high)}"
    )
    numbers = {"accuracy": found.accuracy, "confidence": found.confidence, "rows": float(found.rows)}
    upper, lower = max(found.accuracy, found.confidence), min(found.accuracy, found.confidence)
    return [
        Mark(
            "rect",
            f"bar{few}",
            {"x": left, "y": y.at(found.accuracy), "width": width, "height": y.at(0) - y.at(found.accuracy)},
            tip=tip,
            numbers=numbers,
        ),
        Mark(
            "rect",
            f"gap{few}",
            {"x": left, "y": y.at(upper), "width": width, "height": y.at(lower) - y.at(upper)},
            tip=tip,
        ),
    ]


def _histogram(bins: Sequence[Bin], x: Axis) -> list[Mark]:
    most = max((found.rows for found in bins), default=0)
    y = Axis(0, log10(1 + max(most, 9)), _ROWS_BOTTOM, _ROWS_TOP)
    marks = [label(x.start - 36, _ROWS_TOP - 8, "rows (logarithmic)", "title")]
    for exponent in range(int(y.high) + 1):
        height = y.at(log10(1 + 10**exponent)) if exponent else y.at(0)
        marks += [
            line(x.start, height, x.end, height, "grid" if exponent else "axis"),
            label(x.start - 5, height + 4, count(10**exponent) if exponent else "0", "end"),
        ]
    for found in bins:
        if found.rows:
            height = y.at(0) - y.at(log10(1 + found.rows))
            place = {
                "x": x.at(found.low) + 0.75,
                "y": y.at(0) - height,
                "width": x.at(found.high) - x.at(found.low) - 1.5,
                "height": height,
            }
            few = " few" if found.rows < FEW_ROWS else ""
            tip = f"{count(found.rows)} rows"
            marks.append(Mark("rect", f"rows{few}", place, tip=tip, numbers={"rows": float(found.rows)}))
    return marks

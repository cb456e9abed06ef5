"""Reports side by side: the measures that decide between models, and where one is better beyond what chance allows.

The same on the server's page and in both command lines. Knows neither HTML nor terminals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from epaas_shared.quantities import between, count, decimal, duration, percent
from epaas_shared.report.document import Report
from epaas_shared.report.measures import Measure, Rate
from epaas_shared.report.robustness import Norm, ThreatEvaluation
from epaas_shared.report.words import THREATS, budget

Better = Literal["higher", "lower", "neither"]
Interval = tuple[float, float] | None
Value = tuple[float, Interval] | None
"""A number and its 95 % interval, where it has one; None where it was not measured."""


@dataclass(frozen=True)
class Compared:
    """One measure of several models."""

    chapter: str
    measure: str
    better: Better
    values: tuple[Value, ...]
    """In the order of the reports."""
    shown: tuple[str, ...]
    """The same in words, a dash for what was not measured."""

    @property
    def best(self) -> int | None:
        """Which is better than every other with intervals that do not overlap; None if none is."""
        found = [value for value in self.values if value is not None]
        if self.better == "neither" or len(found) < 2:
            return None
        sign = 1 if self.better == "higher" else -1
        spans = [
            None if value is None else sorted(sign * end for end in (value[1] or (value[0], value[0])))
            for value in self.values
        ]
        for index, own in enumerate(spans):
            others = [span for place, span in enumerate(spans) if place != index and span is not None]
            if own is not None and all(own[0] > other[1] for other in others):
                return index
        return None


def as_document(names: Sequence[str], rows: Sequence[Compared]) -> dict[str, Any]:
    """A comparison as JSON: each measure with a value a model, in the order of ``names``."""
    return {
        "models": list(names),
        "measures": [
            {
                "chapter": row.chapter,
                "measure": row.measure,
                "better": row.better,
                "values": [None if value is None else value[0] for value in row.values],
                "intervals": [None if value is None else value[1] for value in row.values],
                "best": None if row.best is None else names[row.best],
            }
            for row in rows
        ],
    }


def as_lines(names: Sequence[str], rows: Sequence[Compared]) -> list[str]:
    """A comparison for a terminal: a block a measure, a star where a model is better beyond chance."""
    width = max(map(len, names), default=0)
    lines: list[str] = []
    chapter = ""
    for row in rows:
        if row.chapter != chapter:
            chapter = row.chapter
            lines += ["", chapter.upper()]
        lines.append(row.measure)
        for place, (name, shown) in enumerate(zip(names, row.shown, strict=True)):
            lines.append(f"  {'*' if row.best == place else ' '} {name:{width}}  {shown}")
    return [*lines[1:], "", "* better than each of the others, by intervals that do not overlap"]


def compare(reports: Sequence[Report]) -> tuple[Compared, ...]:
    """The measures of reports on models of one task, in the chapters' order. Raises ValueError for several tasks."""
    if len({report.task for report in reports}) > 1:
        raise ValueError("only models of the same task can be compared")
    return (*_of_accuracy(reports), *_of_calibration(reports), *_of_robustness(reports), *_of_others(reports))


def _row(
    chapter: str, measure: str, better: Better, values: Sequence[Value], say: Callable[[float], str] = percent
) -> Compared:
    shown = tuple("-" if value is None else between(*value, say) for value in values)
    return Compared(chapter, measure, better, tuple(values), shown)


def _value(found: Measure | Rate | None) -> Value:
    return None if found is None else (found.value, found.interval)


def _of_accuracy(reports: Sequence[Report]) -> Iterator[Compared]:
    chapters = [report.accuracy for report in reports]
    yield _row("Accuracy", "accuracy", "higher", [_value(found.accuracy) for found in chapters])
    yield _row("Accuracy", "balanced accuracy", "higher", [_value(found.balanced_accuracy) for found in chapters])
    yield _row("Accuracy", "AUROC", "higher", [_value(found.auroc) for found in chapters], decimal)


def _of_calibration(reports: Sequence[Report]) -> Iterator[Compared]:
    chapters = [report.calibration for report in reports]
    for when, of in (("before scaling", "before"), ("after scaling", "after")):
        measures = [getattr(found, of) for found in chapters]
        errors = [_value(found.expected_calibration_error) for found in measures]
        likelihoods = [_value(found.negative_log_likelihood) for found in measures]
        yield _row("Calibration", f"ECE {when}", "lower", errors, decimal)
        yield _row("Calibration", f"negative log-likelihood {when}", "lower", likelihoods, decimal)
    confident = [_value(found.before.overconfidence) for found in chapters]
    yield _row("Calibration", "over-confidence before scaling", "neither", confident, decimal)
    temperatures: list[Value] = [(found.temperature_by_nll, None) for found in chapters]
    yield _row("Calibration", "temperature", "neither", temperatures, decimal)


def _of_robustness(reports: Sequence[Report]) -> Iterator[Compared]:
    """Right under the worst attack, of each threat at each budget that all were tried with."""
    by_norm: list[dict[Norm, ThreatEvaluation]] = [
        {evaluation.threat.norm: evaluation for evaluation in report.robustness.evaluations} for report in reports
    ]
    for norm in by_norm[0] if by_norm else ():
        worst = [
            {point.budget: point.accuracy for point in found[norm].worst} if norm in found else {} for found in by_norm
        ]
        for level in worst[0]:
            if all(level in found for found in worst):
                name = f"{THREATS[norm].lower()}, {budget(norm, level)}"
                yield _row("Robustness", name, "higher", [_value(found[level]) for found in worst])


def _of_others(reports: Sequence[Report]) -> Iterator[Compared]:
    gaps: list[Value] = [(report.generalisation.gap, None) for report in reports]
    yield _row("Generalisation", "gap from training to test", "neither", gaps, _signed_percent)
    encrypted = [report.agreement.encrypted for report in reports]
    agree: list[Value] = [None if found is None else (found.agree / found.rows, None) for found in encrypted]
    yield _row("Agreement and cost", "encrypted equals plain", "neither", agree)
    seconds: list[Value] = [None if e is None or e.seconds is None else (e.seconds, None) for e in encrypted]
    yield _row("Agreement and cost", "a record takes, where it was measured", "neither", seconds, duration)
    bootstraps: list[Value] = [None if e is None or e.bootstraps is None else (e.bootstraps, None) for e in encrypted]
    yield _row("Agreement and cost", "bootstraps", "neither", bootstraps, lambda number: count(round(number)))


def _signed_percent(share: float) -> str:
    """A share that may be negative."""
    return percent(share) if share >= 0 else f"-{percent(-share)}"

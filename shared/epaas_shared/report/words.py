"""What a report comes down to, in plain words: the same on the server's page and in the client's terminal.

Judges nothing that the report does not: a verdict says how its numbers stand to one another. Knows neither HTML nor
terminals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from epaas_shared.quantities import between, count, decimal, percent
from epaas_shared.report.accuracy import Accuracy, Baseline
from epaas_shared.report.agreement import Agreement
from epaas_shared.report.calibration import Calibration, CalibrationMeasures
from epaas_shared.report.document import Report
from epaas_shared.report.measures import Measure, Rate
from epaas_shared.report.robustness import Attack, Norm, Point, Robustness, ThreatEvaluation

Standing = Literal["good", "mixed", "poor", "unknown", "neutral"]

MARKS: Final[dict[Standing, str]] = {"good": "✓", "mixed": "~", "poor": "✗", "unknown": "?", "neutral": "•"}
"""A sign for each standing, so that none is told by its colour alone."""

THREATS: Final[dict[Norm, str]] = {
    "linf-pixels": "Every pixel, a little",
    "linf-numbers": "Every number, a little",
    "bits": "Some encoded bits, at will",
    "columns": "Some columns, at will",
}
BUDGETS: Final[dict[Norm, str]] = {
    "linf-pixels": "change of a pixel, as a share of black to white",
    "linf-numbers": "change of a number, in standard deviations",
    "bits": "bits changed",
    "columns": "columns changed",
}

GLOSSARY: Final = (
    ("Interval", "Another test of as many rows would give another number; 95 of 100 such intervals hold the true one."),
    ("Baseline", "A far simpler predictor on the same rows. A model that does not beat it has learned little."),
    ("Recall", "Of the rows of a class, the share that the model recognises."),
    ("Precision", "Of the rows that the model gives a class, the share that are of it."),
    ("Balanced accuracy", "Mean recall of the classes: always naming the most frequent class does not help it."),
    (
        "AUROC",
        "How often a row of a class is ranked above a row of another class: 0.5 is guessing, 1 is perfect.",
    ),
    (
        "Calibration",
        "Confidence is calibrated if it comes true: of the rows with confidence 0.8, 80 % are right.",
    ),
    ("ECE", "Expected calibration error: how far confidence is from what comes true, on average over rows. 0 is best."),
    ("Null band", "The ECE that a perfectly calibrated model would show on so few rows, by chance alone."),
    ("Temperature", "A number by which scores are divided before they become probabilities; above 1 it lowers them."),
    ("Epsilon, budget", "How much of a record an attacker may change: the largest change of any pixel or number."),
    (
        "Straight-through",
        "An attack that gives each step of the network a slope to follow; naive attacks see flat steps and get lost.",
    ),
    ("Certificate", "A proof, not a trial: no change within the budget can alter the prediction of these rows."),
    ("Margin", "How far the true class is ahead of the next one; below 0 the prediction is wrong."),
    ("Bootstrap", "The slow step of an encrypted computation; the time that a record takes grows with their number."),
)


@dataclass(frozen=True)
class Verdict:
    """One line of the summary."""

    subject: str
    standing: Standing
    headline: str
    """The number that matters most."""
    sentence: str


def verdicts(report: Report) -> tuple[Verdict, ...]:
    """Accuracy, calibration, robustness and agreement, a verdict each."""
    return (
        _accuracy(report.accuracy),
        _calibration(report.calibration),
        _robustness(report.robustness),
        _agreement(report.agreement),
    )


def rate(found: Rate) -> str:
    """``97.8 % (97.5 to 98.1 %)``."""
    return between(found.value, found.interval)


def measure(found: Measure | None) -> str:
    """``0.0123 (0.01 to 0.015)``, or a dash for what was not measured."""
    return "-" if found is None else between(found.value, found.interval, decimal)


def budget(norm: Norm, value: float) -> str:
    """A budget with its unit."""
    match norm:
        case "linf-pixels":
            return f"{decimal(value)} of the range"
        case "linf-numbers":
            return f"{decimal(value)} standard deviations"
        case _:
            return f"{decimal(value)} {norm if value != 1 else norm.removesuffix('s')}"


def family(attack: Attack) -> str:
    """Which kind of attack this is, by what it knows."""
    match attack.gradient, attack.knowledge:
        case "naive", _:
            return "naive gradients"
        case "straight-through", _:
            return "straight-through gradients"
        case ("surrogate", _) | (_, "transfer"):
            return "transfer from another model"
        case _, "none":
            return "random noise"
        case _, "white box":
            return "search with full knowledge"
        case _:
            return "queries without gradients"


def strongest(attacks: Sequence[Attack]) -> tuple[Point, ...]:
    """At each budget the point of the attack that leaves the least accuracy."""
    found: dict[float, Point] = {}
    for attack in attacks:
        for point in attack.points:
            known = found.get(point.budget)
            if known is None or point.accuracy.value < known.accuracy.value:
                found[point.budget] = point
    return tuple(found[value] for value in sorted(found))


def broken_at(evaluation: ThreatEvaluation) -> str:
    """From which budget on attacks leave less than half of the records right."""
    norm = evaluation.threat.norm
    for point in evaluation.worst:
        if point.accuracy.value < 0.5:
            return f"fewer than half of the records stay right from {budget(norm, point.budget)} on"
    if not evaluation.worst:
        return "nothing was measured"
    last = evaluation.worst[-1]
    return f"{percent(last.accuracy.value)} stay right at {budget(norm, last.budget)}, the largest budget tried"


def baseline_to_beat(accuracy: Accuracy) -> Baseline | None:
    """The best baseline."""
    return max(accuracy.baselines, key=lambda baseline: baseline.accuracy.value, default=None)


def _accuracy(found: Accuracy) -> Verdict:
    best = baseline_to_beat(found)
    if best is None:
        return Verdict("Accuracy", "unknown", rate(found.accuracy), "No baseline was measured to hold it against.")
    beside = f"{best.name} ({percent(best.accuracy.value)})"
    if found.accuracy.interval[0] > best.accuracy.interval[1]:
        return Verdict("Accuracy", "good", rate(found.accuracy), f"Clearly better than the best baseline, {beside}.")
    if found.accuracy.value > best.accuracy.value:
        text = f"Hardly better than the best baseline, {beside}: the intervals overlap."
        return Verdict("Accuracy", "mixed", rate(found.accuracy), text)
    return Verdict("Accuracy", "poor", rate(found.accuracy), f"No better than the best baseline, {beside}.")


def _calibration(found: Calibration) -> Verdict:
    before, after = (_error(measures) for measures in (found.before, found.after))
    standing: Standing = "good" if found.verdict == "consistent with perfect calibration" else "mixed"
    seen = "" if found.seen_by_client else " Clients get labels without a confidence."
    text = f"{found.verdict.capitalize()} after temperature scaling; error before it {before}.{seen}"
    return Verdict("Calibration", standing, f"ECE {after}", text)


def _error(measures: CalibrationMeasures) -> str:
    return decimal(measures.expected_calibration_error.value)


def _robustness(found: Robustness) -> Verdict:
    if not found.evaluations:
        return Verdict("Robustness", "unknown", "not measured", found.verdict)
    if not all(evaluation.believable for evaluation in found.evaluations):
        return Verdict("Robustness", "poor", "Checks of the attacks FAILED", found.verdict)
    return Verdict("Robustness", "mixed", broken_at(found.evaluations[0]).capitalize(), found.verdict)


def _agreement(found: Agreement) -> Verdict:
    if found.encrypted is None:
        text = "Encrypted predictions have not been compared with plain ones yet."
        return Verdict("Encrypted = plain", "unknown", "not measured", text)
    agree, rows = found.encrypted.agree, found.encrypted.rows
    headline = f"{count(agree)} of {count(rows)} records"
    if agree == rows:
        text = "Encrypted predictions equal the plain network's on every record tried."
        return Verdict("Encrypted = plain", "good", headline, text)
    return Verdict("Encrypted = plain", "poor", headline, "Encrypted predictions differ from the plain network's.")

"""The reliability report in the terminal: plain text of 80 columns, in the order of the server's page.

The server's texts are cleaned of control characters, here as everywhere. Knows no HTTP.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from epaas_client.console import aligned, clean
from epaas_shared.quantities import count, decimal, duration, percent, points, span
from epaas_shared.report import Report
from epaas_shared.report.accuracy import Accuracy
from epaas_shared.report.agreement import Agreement
from epaas_shared.report.calibration import Calibration, CalibrationMeasures
from epaas_shared.report.document import Claim
from epaas_shared.report.generalisation import Generalisation
from epaas_shared.report.measures import Rate
from epaas_shared.report.robustness import Attack, Robustness, ThreatEvaluation
from epaas_shared.report.words import BUDGETS, MARKS, THREATS, family, measure, rate, strongest, verdicts

_COLUMNS = 80
_BAR = 24
_SUBGROUPS = 12
_NAME = 26


def known_report(document: Any) -> Report | None:
    """The report in a server's answer; None where it has another format than this release knows."""
    try:
        return Report.model_validate(document)
    except ValidationError:
        return None


def report_lines(report: Report) -> list[str]:
    """Lines of at most 80 columns."""
    return [
        *_wrapped(report.title),
        *_wrapped(f"model {report.model}, task {report.task}, {count(len(report.classes))} classes"),
        "",
        *_wrapped(f"For: {report.intended_use}"),
        *(line for limit in report.limits for line in _item(limit)),
        *_heading("in short"),
        *(
            line
            for verdict in verdicts(report)
            for line in (
                *_wrapped(f"{MARKS[verdict.standing]} {verdict.subject}: {verdict.headline}", "    "),
                *_wrapped(verdict.sentence, "    ", "    "),
            )
        ),
        *_heading("accuracy"),
        *_accuracy(report.accuracy),
        *_heading("calibration"),
        *_calibration(report.calibration),
        *_heading("robustness"),
        *_robustness(report.robustness),
        *_heading("generalisation"),
        *_generalisation(report.generalisation),
        *_heading("agreement and cost"),
        *_agreement(report.agreement),
        *_heading("claimed and measured"),
        *_claims(report.claims),
        *_heading("provenance"),
        *_provenance(report),
    ]


def _accuracy(found: Accuracy) -> list[str]:
    auroc = found.auroc.value if found.auroc else None
    predictors = [("this model", found.accuracy, found.balanced_accuracy.value, auroc)]
    predictors += [(base.name, base.accuracy, base.balanced_accuracy, base.auroc) for base in found.baselines]
    rows = [("", "ACCURACY (95 %)", "BALANCED", "AUROC")]
    rows += [
        (_cut(name, _NAME), rate(accuracy), percent(balanced), "-" if area is None else decimal(area))
        for name, accuracy, balanced, area in predictors
    ]
    lines = aligned(rows)
    ranked = sorted((shown for shown in found.classes if shown.recall), key=lambda shown: _value(shown.recall))
    if ranked:
        worst, best = ranked[0], ranked[-1]
        lines += _wrapped(
            f"best recognised is {best.label} ({percent(_value(best.recall))}), "
            f"worst {worst.label} ({percent(_value(worst.recall))})"
        )
    if found.subgroups:
        rows = [("SUBGROUP", "ROWS", "ACCURACY (95 %)", "MAJORITY")]
        rows += [
            (
                _cut(f"{group.column}: {group.value}", _NAME),
                count(group.accuracy.rows),
                rate(group.accuracy),
                percent(group.majority),
            )
            for group in sorted(found.subgroups, key=lambda group: group.accuracy.value)[:_SUBGROUPS]
        ]
        lines += ["", *aligned(rows)]
        if len(found.subgroups) > _SUBGROUPS:
            lines.append(f"and {len(found.subgroups) - _SUBGROUPS} subgroups with a higher accuracy")
    return lines


def _calibration(found: Calibration) -> list[str]:
    rows = [("", "TEMPERATURE", "ECE (95 %)", "BY CHANCE ALONE")]
    for name, measures in (("before scaling", found.before), ("after scaling", found.after)):
        band = span(measures.null_band, decimal)
        rows.append((name, decimal(measures.temperature), measure(measures.expected_calibration_error), band))
    seen = "clients get scores" if found.seen_by_client else "clients get labels without a confidence"
    warnings = [line for warning in found.warnings for line in _item(warning)]
    return [*aligned(rows), *_wrapped(f"{found.verdict}; {seen}"), *warnings, "", *_bins(found.after)]


def _bins(measures: CalibrationMeasures) -> list[str]:
    """A bar a bin: as long as its accuracy, with ``|`` where its confidence is."""
    lines = ["after scaling: # accuracy, | confidence, which should meet"]
    rows = []
    for found in measures.bins:
        if found.confidence is None or found.accuracy is None:
            continue
        cells = list("#" * round(_BAR * found.accuracy) + "." * (_BAR - round(_BAR * found.accuracy)))
        cells[min(_BAR - 1, int(_BAR * found.confidence))] = "|"
        span = f"{found.low:.2f}-{found.high:.2f}"
        rows.append((span, "".join(cells), percent(found.accuracy), f"{count(found.rows)} rows"))
    return [*lines, *(aligned(rows) if rows else ())]


def _robustness(found: Robustness) -> list[str]:
    lines = [*_wrapped(found.verdict), *(line for warning in found.warnings for line in _item(warning))]
    for evaluation in found.evaluations:
        lines += ["", *_evaluation(evaluation)]
    return lines


def _evaluation(found: ThreatEvaluation) -> list[str]:
    lines = _wrapped(f"{THREATS[found.threat.norm]}: {found.threat.description}")
    lines += _wrapped(f"rows still right of {count(found.rows)}, by {BUDGETS[found.threat.norm]}:")
    families: dict[str, list[Attack]] = {}
    for attack in found.attacks:
        families.setdefault(family(attack), []).append(attack)
    curves = [("worst of all attacks", found.worst)]
    curves += [("proven", certificate.points) for certificate in found.certificates]
    curves += [(name, strongest(attacks)) for name, attacks in families.items()]
    budgets = _spaced(found.threat.budgets)
    rows = [("", *(decimal(budget) for budget in budgets))]
    for name, shown in curves:
        by_budget = {point.budget: percent(point.accuracy.value).removesuffix(" %") for point in shown}
        rows.append((_cut(name, _NAME), *(by_budget.get(budget, "-") for budget in budgets)))
    lines += [*aligned(rows), "(in per cent)"]
    for check in found.checks:
        outcome = "passed" if check.passed else "FAILED"
        whose = " (naive attacks only)" if check.subject == "naive gradients" else ""
        lines += _wrapped(f"check {outcome}{whose}: {check.name}; {check.detail}", "    ")
    return lines


def _spaced(budgets: Sequence[float], most: int = 6) -> list[float]:
    """At most so many budgets, the first and the last among them."""
    if len(budgets) <= most:
        return list(budgets)
    return [budgets[round(index * (len(budgets) - 1) / (most - 1))] for index in range(most)]


def _generalisation(found: Generalisation) -> list[str]:
    rows = [
        ("training rows", rate(found.train_accuracy)),
        ("test rows", rate(found.test_accuracy)),
        ("gap", points(found.gap)),
        ("median margin, test rows", decimal(found.test_margin.median)),
    ]
    return aligned(rows)


def _agreement(found: Agreement) -> list[str]:
    rows = []
    if found.torch is not None:
        rows.append(("as trained", f"same sums on {count(found.torch.agree)} of {count(found.torch.rows)} test rows"))
    if found.encrypted is None:
        rows.append(("encrypted", "not measured yet"))
    else:
        encrypted = found.encrypted
        rows.append(("encrypted", f"{count(encrypted.agree)} of {count(encrypted.rows)} records equal to plain"))
        if encrypted.seconds is not None:
            rows.append(("a record took", duration(encrypted.seconds)))
        rows.append(("on", _cut(encrypted.machine, _COLUMNS - 16)))
    return aligned(rows)


def _claims(found: Sequence[Claim]) -> list[str]:
    if not found:
        return ["nothing was claimed beforehand"]
    rows = [("CLAIM", "BY", "CLAIMED", "MEASURED", "")]
    rows += [
        (
            _cut(claim.claim, _NAME),
            _cut(claim.by, 18),
            decimal(claim.claimed),
            decimal(claim.measured),
            "holds" if claim.holds else "FAILS",
        )
        for claim in found
    ]
    return aligned(rows)


def _provenance(report: Report) -> list[str]:
    made, data = report.made, report.data
    sizes = ", ".join(
        f"{count(rows)} {what}"
        for rows, what in (
            (data.training_rows, "training"),
            (data.validation_rows, "validation"),
            (data.test_rows, "test rows"),
        )
    )
    facts = (
        f"data: {data.source}; {data.split}; {sizes}",
        f"made with seed {made.seed}, {made.thoroughness}, on {made.machine}, {made.created}",
        f"again by: {made.command}",
    )
    lines = [line for fact in facts for line in _wrapped(fact, "    ")]
    return [*lines, f"weights {report.weights}"]


def _heading(text: str) -> list[str]:
    return ["", text.upper()]


def _item(text: str) -> list[str]:
    return _wrapped(f"- {text}", "  ")


def _wrapped(text: str, indent: str = "", first: str = "") -> list[str]:
    return textwrap.wrap(clean(text), _COLUMNS, initial_indent=first, subsequent_indent=indent)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 3]}..."


def _value(found: Rate | None) -> float:
    return found.value if found else 0.0

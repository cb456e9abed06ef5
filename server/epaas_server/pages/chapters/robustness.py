"""What small changes of a record can do, a threat at a time, and whether the attacks are to be believed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from epaas_shared.quantities import count, decimal
from epaas_shared.report.robustness import Attack, Check, MinimalPerturbation, Point, Robustness, ThreatEvaluation
from epaas_shared.report.words import BUDGETS, THREATS, broken_at, family, strongest
from epaas_web.pages.diagrams.canvas import Diagram
from epaas_web.pages.diagrams.curves import Curve, curves
from epaas_web.pages.elements import (
    Block,
    Cell,
    Chapter,
    Figures,
    Folded,
    Heading,
    Table,
    Text,
    Warnings,
    count_cell,
    number_cell,
    rate_cell,
    share_cell,
    text_cell,
)

_STYLES = {
    "straight-through gradients": "straight",
    "search with full knowledge": "search",
    "queries without gradients": "queries",
    "transfer from another model": "transfer",
    "naive gradients": "naive",
    "random noise": "noise",
}


def robustness_chapter(found: Robustness) -> Chapter:
    blocks: list[Block] = [Warnings(found.warnings)] if found.warnings else []
    for evaluation in found.evaluations:
        blocks += _evaluation(evaluation)
    return Chapter("robustness", "Robustness", found.verdict, tuple(blocks))


def _evaluation(found: ThreatEvaluation) -> list[Block]:
    doubt = "" if found.believable else " Checks FAILED: the true curve may be lower than this one."
    blocks: list[Block] = [
        Heading(THREATS[found.threat.norm], f"{broken_at(found).capitalize()}.{doubt}"),
        Text(f"{found.threat.description} Tried on {count(found.rows)} test rows."),
        Figures((_accuracy_curves(found),)),
    ]
    if found.checks:
        blocks.append(_checks(found.checks))
    if found.minimal:
        blocks.append(_minimal(found.minimal))
    for certificate in found.certificates:
        exact = (
            "Rows without this proof can certainly be altered."
            if certificate.exact
            else ("Rows without this proof may or may not be alterable.")
        )
        blocks.append(Text(f"Proven, not tried: {certificate.name}. {certificate.argument} {exact}"))
    details: list[Block] = [_by_attack(found), _settings(found.attacks)]
    stepped = tuple(_step_curves(attack) for attack in found.attacks if attack.steps)
    if stepped:
        details.append(Figures(stepped))
    blocks.append(Folded("Each attack", tuple(details)))
    return blocks


def _accuracy_curves(found: ThreatEvaluation) -> Diagram:
    families = {name: [attack for attack in found.attacks if family(attack) == name] for name in _STYLES}
    shown = [
        Curve(
            "worst of all attacks",
            "worst",
            _places(found.worst),
            tuple((point.budget, *point.accuracy.interval) for point in found.worst),
        )
    ]
    shown += [
        Curve(f"proven: {certificate.name}", "proof", _places(certificate.points)) for certificate in found.certificates
    ]
    shown += [Curve(name, _STYLES[name], _places(strongest(attacks))) for name, attacks in families.items() if attacks]
    return curves(
        f"Accuracy under attack: {THREATS[found.threat.norm].lower()}",
        "Share of the attacked rows that are still right, by how much may be changed. A family of attacks is shown by "
        "its strongest at each budget. The shaded band is the 95 % interval of the worst.",
        shown,
        x_title=BUDGETS[found.threat.norm],
        y_title="rows still right",
    )


def _places(points: Iterable[Point]) -> tuple[tuple[float, float], ...]:
    return tuple((point.budget, point.accuracy.value) for point in points)


def _checks(found: Sequence[Check]) -> Table:
    rows = tuple(
        (
            text_cell(check.name),
            Cell("passed", style="good") if check.passed else Cell("FAILED", style="poor"),
            text_cell("naive attacks only" if check.subject == "naive gradients" else "the evaluation"),
            text_cell(check.detail),
        )
        for check in found
    )
    return Table(
        "Are the attacks to be believed?", ("Check", "Outcome", "What it judges", "Detail"), rows, style="wordy"
    )


def _minimal(found: Sequence[MinimalPerturbation]) -> Table:
    rows = tuple(
        (
            text_cell(minimal.attack),
            count_cell(minimal.rows),
            share_cell(minimal.found),
            number_cell(minimal.median),
            number_cell(minimal.rho),
            text_cell(minimal.library),
        )
        for minimal in found
    )
    headers = ("Attack", "Right before", "Altered", "Median change", "rho", "Library")
    return Table("The smallest change found that alters a prediction (rho: relative to the record)", headers, rows)


def _by_attack(found: ThreatEvaluation) -> Table:
    budgets = found.threat.budgets
    named = [(_name(attack), attack.points) for attack in found.attacks]
    named += [("worst of all", found.worst)]
    named += [(f"proven: {certificate.name}", certificate.points) for certificate in found.certificates]
    rows = []
    for name, points in named:
        by_budget = {point.budget: point.accuracy for point in points}
        rows.append((text_cell(name), *(rate_cell(by_budget.get(budget)) for budget in budgets)))
    return Table(
        f"Rows still right, by {BUDGETS[found.threat.norm]} (95 % intervals)",
        ("Attack", *(decimal(budget) for budget in budgets)),
        tuple(rows),
        style="attacks",
    )


def _settings(found: Sequence[Attack]) -> Table:
    rows = tuple(
        (
            text_cell(_name(attack)),
            text_cell(attack.knowledge),
            text_cell(attack.goal),
            text_cell("at success" if attack.stops_at_success else "at its last step"),
            text_cell(attack.library),
            text_cell(", ".join(f"{name} {value}" for name, value in attack.settings.items())),
        )
        for attack in found
    )
    headers = ("Attack", "Knows", "Goal", "Stops", "Library", "Settings")
    return Table("How the attacks were made", headers, rows, style="wordy")


def _step_curves(attack: Attack) -> Diagram:
    budget = attack.settings.get("steps_budget")
    at = f" at a budget of {budget}" if budget is not None else ""
    return curves(
        f"{_name(attack)}, step by step{at}",
        "Instantaneous: right at this step. Cumulative: right at this step and all before.",
        (
            Curve("cumulative", "worst", tuple((step.step, step.cumulative) for step in attack.steps)),
            Curve("instantaneous", "straight", tuple((step.step, step.instantaneous) for step in attack.steps)),
        ),
        x_title="step",
        y_title="rows still right",
    )


def _name(attack: Attack) -> str:
    gradient = {"naive": " (naive gradients)", "straight-through": " (straight-through)"}.get(attack.gradient, "")
    return f"{attack.name}{gradient}"

"""What a report comes down to: verdicts follow its numbers."""

from __future__ import annotations

import pytest
from tests.full_report_making import attack, full_report, points, rate

from epaas_shared.report import Report
from epaas_shared.report.accuracy import Baseline
from epaas_shared.report.robustness import Attack, Robustness
from epaas_shared.report.words import Standing, broken_at, budget, family, strongest, verdicts


@pytest.fixture(scope="module")
def report() -> Report:
    return full_report()


@pytest.mark.parametrize(
    ("baseline", "rows", "standing"),
    [(0.9, 10000, "good"), (0.975, 10000, "mixed"), (0.9777, 10000, "poor"), (0.99, 10000, "poor"), (0.9, 10, "mixed")],
)
def test_accuracy_is_held_against_the_best_baseline(
    report: Report, baseline: float, rows: int, standing: Standing
) -> None:
    given = tuple(
        Baseline(name=name, accuracy=rate(value, rows), balanced_accuracy=0.5, auroc=None)
        for name, value in (("worse", 0.1), ("best", baseline))
    )
    accuracy = report.accuracy.model_copy(update={"baselines": given})
    found = verdicts(report.model_copy(update={"accuracy": accuracy}))[0]
    assert found.standing == standing
    assert "best (" in found.sentence
    assert found.headline == "97.8 % (97.5 to 98.0 %)"


@pytest.mark.parametrize(
    ("verdict", "standing"), [("consistent with perfect calibration", "good"), ("over-confident", "mixed")]
)
def test_calibration_is_the_reports_own_verdict(report: Report, verdict: str, standing: Standing) -> None:
    found = report.calibration.model_copy(update={"verdict": verdict, "seen_by_client": False})
    shown = verdicts(report.model_copy(update={"calibration": found}))[1]
    assert (shown.standing, shown.headline) == (standing, "ECE 0.0049")
    assert verdict in shown.sentence.lower()
    assert "without a confidence" in shown.sentence


def test_an_attack_that_fails_its_checks_is_no_comfort(report: Report) -> None:
    pixels, bits = report.robustness.evaluations
    assert pixels.believable, "a naive attack may fail: the others do not depend on it"
    assert not bits.believable
    assert verdicts(report)[2].standing == "poor"
    only = report.robustness.model_copy(update={"evaluations": (pixels,)})
    found = verdicts(report.model_copy(update={"robustness": only}))[2]
    assert found.standing == "mixed"
    assert found.headline == "Fewer than half of the records stay right from 0.1 of the range on"
    none = Robustness(evaluations=(), verdict="Nothing was tried.")
    assert verdicts(report.model_copy(update={"robustness": none}))[2].standing == "unknown"


def test_where_attacks_do_not_get_the_greatest_budget_is_named(report: Report) -> None:
    (pixels, _) = report.robustness.evaluations
    strong = pixels.model_copy(update={"worst": points((0.0, 0.2), (0.98, 0.91))})
    assert broken_at(strong) == "91.0 % stay right at 0.2 of the range, the largest budget tried"


@pytest.mark.parametrize(("agree", "standing"), [(50, "good"), (49, "poor")])
def test_one_record_that_differs_is_too_many(report: Report, agree: int, standing: Standing) -> None:
    assert report.agreement.encrypted is not None
    encrypted = report.agreement.encrypted.model_copy(update={"agree": agree})
    agreement = report.agreement.model_copy(update={"encrypted": encrypted})
    found = verdicts(report.model_copy(update={"agreement": agreement}))[3]
    assert (found.standing, found.headline) == (standing, f"{agree} of 50 records")
    agreement = report.agreement.model_copy(update={"encrypted": None})
    assert verdicts(report.model_copy(update={"agreement": agreement}))[3].standing == "unknown"


@pytest.mark.parametrize(
    ("knowledge", "gradient", "name"),
    [
        ("white box", "naive", "naive gradients"),
        ("white box", "straight-through", "straight-through gradients"),
        ("transfer", "surrogate", "transfer from another model"),
        ("transfer", "none", "transfer from another model"),
        ("none", "none", "random noise"),
        ("scores", "none", "queries without gradients"),
        ("decisions", "none", "queries without gradients"),
        ("white box", "none", "search with full knowledge"),
    ],
)
def test_families(knowledge: str, gradient: str, name: str) -> None:
    assert family(attack("any", knowledge, gradient, [0.9] * 8)) == name


def test_the_strongest_is_chosen_at_each_budget() -> None:
    attacks: list[Attack] = [
        attack("one", "white box", "naive", (0.9, 0.5, 0.4), budgets=(0.0, 0.1, 0.2)),
        attack("other", "white box", "naive", (0.9, 0.6, 0.1, 0.0), budgets=(0.0, 0.1, 0.2, 0.3)),
    ]
    assert [(point.budget, point.accuracy.value) for point in strongest(attacks)] == [
        (0.0, 0.9),
        (0.1, 0.5),
        (0.2, 0.1),
        (0.3, 0.0),
    ]


def test_budgets_have_units() -> None:
    assert budget("bits", 1) == "1 bit"
    assert budget("columns", 2) == "2 columns"
    assert budget("linf-pixels", 0.1) == "0.1 of the range"
    assert budget("linf-numbers", 0.5) == "0.5 standard deviations"

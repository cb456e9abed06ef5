"""Evaluations of the discrete threats as they stand in a report."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest
from enumerated_making import (
    Enumerated,
    number_schema,
    picture_schema,
    random_network,
    table_schema,
)
from numpy.typing import NDArray

from epaas_models.reliability.robustness.certificates import Proof
from epaas_models.reliability.robustness.changes import (
    ChangeSettings,
    consistent,
    evaluate_changes,
    monotone,
    weaker,
)
from epaas_models.reliability.robustness.numbers import NumberSettings, evaluate_numbers
from epaas_models.reliability.robustness.outcomes import Outcome
from epaas_models.reliability.subject import Subject
from epaas_shared.report.robustness import ThreatEvaluation
from epaas_shared.schema import InputSchema

SETTINGS = ChangeSettings(budgets=(1, 2, 3), rows=30, candidates=4, certified=2)
DEVIATIONS = {"bins": 3.0, "steps": 1.5, "bit": 0.3, "more": 9.0}


def quiet(what: str, done: int, total: int) -> None:
    pass


def rows_of(schema: InputSchema, rows: int, seed: int = 0) -> dict[str, NDArray[Any]]:
    random = np.random.default_rng(seed)
    columns: dict[str, NDArray[Any]] = {}
    for feature in schema.features:
        if feature.kind == "image":
            columns[feature.name] = random.integers(0, 256, (rows, feature.height, feature.width))
        elif feature.kind == "categories":
            columns[feature.name] = random.choice(np.array(feature.values, dtype=object), rows)
        else:
            columns[feature.name] = random.uniform(feature.minimum, feature.maximum, rows)
    return columns


def labelled(schema: InputSchema, head: Any, hidden: int, seed: int) -> tuple[Subject, Any, NDArray[np.int64]]:
    """A subject and rows of which it gets about every fifth wrong."""
    subject = Subject(random_network(schema, head, hidden, seed), schema, 1.0)
    columns = rows_of(schema, 50, seed)
    labels = subject.predict_columns(columns)
    labels[::5] = 1 - np.minimum(labels[::5], 1)
    return subject, columns, labels


def accuracies(evaluation: ThreatEvaluation, name: str) -> list[float]:
    (found,) = [part for part in (*evaluation.attacks, *evaluation.certificates) if part.name == name]
    return [point.accuracy.value for point in found.points]


@pytest.mark.parametrize("schema", [table_schema(), picture_schema(2, 3)])
@pytest.mark.parametrize("head", ["bit", "argmax", "scores"])
@pytest.mark.parametrize("hidden", [0, 1, 2])
def test_an_evaluation_of_changes_holds_together(schema: InputSchema, head: str, hidden: int) -> None:
    subject, columns, labels = labelled(schema, head, hidden, hidden)
    every = Enumerated.of(schema, subject.network)
    norms: tuple[Literal["bits", "columns"], ...] = ("bits", "columns")
    for norm in norms:
        seen: list[tuple[str, int, int]] = []

        def progress(what: str, done: int, total: int, seen: list[tuple[str, int, int]] = seen) -> None:
            seen.append((what, done, total))

        found = evaluate_changes(
            norm,
            subject,
            columns,
            labels,
            reference_bits=schema.encode_columns(columns),
            settings=SETTINGS,
            seed=4,
            progress=progress,
        )
        assert found.threat.norm == norm
        assert found.rows == 30
        assert {done == total for _, done, total in seen[-1:]} == {True}
        assert all(check.passed for check in found.checks if check.name != "random is weaker")
        # What exhaustive search over the same rows says, of one change and of all within the budget.
        rows = np.random.default_rng(4).permutation(50)[:30]
        codes = every.book.codes_of(schema.encode_columns({name: column[rows] for name, column in columns.items()}))
        places = [int(np.flatnonzero((every.codes == code).all(axis=1))[0]) for code in codes]
        right = every.predicted[places] == labels[rows]
        truth = [
            float(np.mean(right & [not every.alterable(place, norm, budget) for place in places]))
            for budget in (1, 2, 3)
        ]
        worst = [point.accuracy.value for point in found.worst]
        assert worst[0] == pytest.approx(truth[0])
        assert accuracies(found, "exhaustive search")[0] == pytest.approx(truth[0])
        assert all(one >= other - 1e-9 for one, other in zip(worst, truth, strict=True))
        proven = [point.accuracy.value for point in found.certificates[0].points]
        assert all(one <= other + 1e-9 for one, other in zip(proven, truth[:2], strict=True))
        if found.certificates[0].exact:
            assert proven == pytest.approx(truth[:2])
        assert found.minimal[0].rows == right.sum()


@pytest.mark.parametrize("hidden", [0, 1])
def test_the_same_seed_gives_the_same_evaluation(hidden: int) -> None:
    subject, columns, labels = labelled(table_schema(), "argmax", hidden, 2)
    bits = subject.schema.encode_columns(columns)

    def evaluated(seed: int, settings: ChangeSettings = SETTINGS) -> ThreatEvaluation:
        return evaluate_changes(
            "bits", subject, columns, labels, reference_bits=bits, settings=settings, seed=seed, progress=quiet
        )

    assert evaluated(1) == evaluated(1)
    assert evaluated(1) != evaluated(2)
    none = evaluated(1, SETTINGS.model_copy(update={"certified": 0, "exhaustive": False, "candidates": None}))
    assert none.certificates == ()
    assert "every single change" not in [attack.name for attack in none.attacks]


@pytest.mark.parametrize("head", ["bit", "argmax", "scores"])
@pytest.mark.parametrize("hidden", [0, 1])
def test_an_evaluation_of_numbers_holds_together(head: str, hidden: int) -> None:
    budgets = (0.01, 0.1, 0.3, 1.0)
    subject, columns, labels = labelled(number_schema(), head, hidden, 5)
    found = evaluate_numbers(
        subject,
        columns,
        labels,
        deviations=DEVIATIONS,
        settings=NumberSettings(budgets=budgets, rows=40),
        seed=0,
        progress=quiet,
    )
    assert all(check.passed for check in found.checks if check.name == "attacks respect the certificate")
    attacked, unchanged = accuracies(found, "greedy changes"), accuracies(found, "no threshold within reach")
    bounds = found.certificates[1]
    proven = [point.accuracy.value for point in bounds.points]
    assert all(low <= middle <= high for low, middle, high in zip(unchanged, proven, attacked, strict=True))
    assert bounds.exact == (hidden == 0 and head != "scores")
    if hidden == 0 and head == "bit":
        assert attacked == pytest.approx(proven)

    # By hand: numbers at the ends of their range and on either side of every edge within it.
    rows, exhaustive = np.random.default_rng(0).permutation(50)[:40], []
    for budget in budgets:
        kept = 0
        for row in rows:
            choices = []
            for feature in number_schema().features:
                value, distance = columns[feature.name][row], budget * DEVIATIONS[feature.name]
                least, most = max(value - distance, feature.minimum), min(value + distance, feature.maximum)
                edges = np.array([edge for edge in feature.edges if least < edge <= most])
                choices.append([least, most, *edges, *np.nextafter(edges, -np.inf)])
            table = np.array(np.meshgrid(*choices)).reshape(4, -1)
            near = dict(zip(DEVIATIONS, table, strict=True))
            kept += bool((subject.predict_columns(near) == labels[row]).all())
        exhaustive.append(kept / 40)
    assert all(low <= kept + 1e-9 for low, kept in zip(proven, exhaustive, strict=True))
    assert all(kept <= high + 1e-9 for kept, high in zip(exhaustive, attacked, strict=True))
    if bounds.exact:
        assert proven == pytest.approx(exhaustive)


def test_deviations_are_those_of_the_numbers() -> None:
    subject, columns, labels = labelled(table_schema(), "bit", 0, 0)
    settings = NumberSettings(budgets=(0.1,), rows=5)
    for deviations in ({"bins": 1.0}, {"bins": 1.0, "steps": 1.0, "bit": 1.0, "colour": 1.0}):
        with pytest.raises(ValueError, match="deviations"):
            evaluate_numbers(subject, columns, labels, deviations=deviations, settings=settings, seed=0, progress=quiet)
    found = evaluate_numbers(
        subject,
        columns,
        labels,
        deviations={"bins": 1.0, "steps": 1.0, "bit": 1.0},
        settings=settings,
        seed=0,
        progress=quiet,
    )
    assert found.rows == 5


def outcome(name: str, wrong: list[list[int]]) -> Outcome:
    altered = np.array(wrong, dtype=np.bool_)
    return Outcome(name, "none", "none", "none", (1.0, 2.0), altered, altered, stops_at_success=False)


def test_checks_fail_where_they_should() -> None:
    weak, strong = outcome("weak", [[0, 0, 0], [0, 1, 0]]), outcome("strong", [[0, 1, 0], [1, 1, 0]])
    proof = Proof("proof", "", False, (1.0, 2.0), np.array([[True, False, True], [False, False, True]]))
    right = np.array([True, True, True])
    assert monotone(weak).passed
    assert not monotone(replace(weak, wrong=weak.wrong[::-1])).passed
    assert weaker(weak, strong).passed
    assert not weaker(strong, weak).passed
    assert consistent([weak, strong], proof, right).passed
    assert not consistent([weak, strong], replace(proof, proven=proof.proven[::-1] | True), right).passed
    assert consistent([weak, strong], replace(proof, proven=proof.proven | True), right & False).passed
    assert weak.section().rows == 3

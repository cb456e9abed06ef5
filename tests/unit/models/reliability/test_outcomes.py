"""What attacks came to: equations 3.15 and 3.16 and the worst of all by hand."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import ArrayLike
from picture_making import attacked
from torch import Tensor

from epaas_models.reliability.robustness.campaign import Plan, carry_out
from epaas_models.reliability.robustness.outcomes import Outcome, altered, steps_of, worst_points


def outcome(wrong: ArrayLike) -> Outcome:
    table = np.array(wrong, dtype=bool)
    return Outcome("an attack", "a library", "white box", "naive", (0.1, 0.2)[: len(table)], table, table, False)


def test_steps_are_equations_3_15_and_3_16() -> None:
    """Four rows over three steps: one changes and changes back, one changes at the end, one at once, one never."""
    changed = np.array([[1, 0, 1, 0], [0, 0, 1, 0], [0, 1, 1, 0]], dtype=bool)
    steps = steps_of(changed)
    assert [step.step for step in steps] == [1, 2, 3]
    assert [step.instantaneous for step in steps] == [0.5, 0.75, 0.5]
    assert [step.cumulative for step in steps] == [0.5, 0.5, 0.25]


def test_the_worst_is_row_by_row_and_never_forgets_a_smaller_budget() -> None:
    one = outcome([[1, 0, 0, 0], [0, 0, 0, 0]])
    other = outcome([[0, 0], [0, 1]])  # on the first two rows only
    np.testing.assert_array_equal(altered([one, other], 4), [[1, 0, 0, 0], [1, 1, 0, 0]])
    first, second = worst_points([one, other], np.array([False, False, False, True]))
    assert (first.budget, first.accuracy.value, first.accuracy.rows) == (0.1, 0.5, 4)
    assert (second.budget, second.accuracy.value) == (0.2, 0.25)


def test_a_section_has_a_point_a_budget_with_its_interval() -> None:
    section = outcome([[1, 0, 0, 0], [1, 1, 1, 0]]).section()
    assert [point.accuracy.value for point in section.points] == [0.75, 0.25]
    assert [point.changed for point in section.points] == [0.25, 0.75]
    low, high = section.points[0].accuracy.interval
    assert low < 0.75 < high
    assert section.rows == 4


@pytest.mark.parametrize(("counts", "expected"), [("last", [1.0]), ("any", [0.5]), ("both", [1.0, 0.5])])
def test_an_attack_that_comes_back_counts_only_if_it_stops_at_success(counts: str, expected: list[float]) -> None:
    """Half of the rows are turned into the opposite quadrant, and back."""
    rows = attacked(40)
    rows = rows.only(rows.clean == rows.labels)
    rows = rows.only(rows.predicted(np.flip(rows.levels, (1, 2))) != rows.labels).first(20)
    assert len(rows) == 20

    def pictures(budget: float) -> Iterator[Tensor]:
        moved = rows.pictures.clone()
        moved[:10] = rows.pictures[:10].flip(2).flip(3)
        yield moved
        yield rows.pictures

    plan = Plan("there and back", "a test", "white box", "none", rows, pictures, counts, steps_budget=1.0)  # type: ignore[arg-type]
    seen: list[str] = []
    outcomes = carry_out([plan], (1.0,), seen.append)
    assert [found.section().points[0].accuracy.value for found in outcomes] == expected
    assert [found.stops_at_success for found in outcomes] == [value == 0.5 for value in expected]
    assert seen == ["there and back within 1"]
    if counts != "any":
        assert [(step.instantaneous, step.cumulative) for step in outcomes[0].steps] == [(0.5, 0.5), (1.0, 0.5)]


def test_what_is_wrong_unattacked_stays_wrong() -> None:
    rows = attacked(40)
    labels = rows.labels.copy()
    labels[:4] = (rows.clean[:4] + 1) % 4
    rows = type(rows)(rows.subject, rows.levels, labels)

    def put_right(budget: float) -> list[Tensor]:
        return [rows.pictures]

    (found,) = carry_out([Plan("none", "a test", "none", "none", rows, put_right)], (0.5,), lambda _: None)
    np.testing.assert_array_equal(found.wrong[0], rows.clean != labels)
    assert found.wrong[0, :4].all()
    assert not found.changed.any()

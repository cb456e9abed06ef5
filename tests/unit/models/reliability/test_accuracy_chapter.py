"""The chapter on accuracy, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from classifiers_making import echo, echoing
from hypothesis import given
from hypothesis import strategies as st

from epaas_models.reliability.accuracy.baselines import majority_baseline
from epaas_models.reliability.accuracy.chapter import measure_accuracy, spread
from epaas_models.reliability.intervals import wilson_interval
from epaas_shared.report.accuracy import Accuracy


def chapter(predicted: list[int], truth: list[int], training: list[int], classes: int = 2) -> Accuracy:
    return measure_accuracy(
        echo(classes),
        echoing(np.array(predicted), classes),
        np.array(truth),
        np.array(training),
        seed=0,
        resamples=200,
    )


def test_a_small_chapter_is_as_worked_out_by_hand() -> None:
    made = chapter(predicted=[0, 0, 1, 1, 1, 1, 0, 1, 1, 1], truth=[0, 0, 0, 1, 1, 1, 1, 1, 1, 1], training=[0, 1, 1])
    assert (made.accuracy.value, made.accuracy.rows) == (0.8, 10)
    # (0.8 + 3.8415/20) / 1.38415 = 0.71674, half width 1.96/1.38415 * sqrt(0.016 + 0.0096037) = 0.22657
    assert made.accuracy.interval == pytest.approx((0.49016, 0.94332), abs=1e-4)
    assert made.confusion == ((2, 1), (1, 6))
    assert made.balanced_accuracy.value == pytest.approx((2 / 3 + 6 / 7) / 2)
    assert made.auroc is not None
    assert made.auroc.value == pytest.approx((2 / 3 + 6 / 7) / 2)  # of a bit, the two are the same
    first, second = made.classes
    assert first.recall is not None
    assert first.recall.model_dump() == {"value": 2 / 3, "interval": wilson_interval(2, 3), "rows": 3}
    assert first.precision is not None
    assert first.precision.model_dump() == {"value": 2 / 3, "interval": wilson_interval(2, 3), "rows": 3}
    assert second.recall is not None
    assert second.recall.model_dump() == {"value": 6 / 7, "interval": wilson_interval(6, 7), "rows": 7}
    assert [found.label for found in made.classes] == ["zero", "one"]


def test_the_intervals_hold_the_numbers_and_are_made_again_by_the_seed() -> None:
    random = np.random.default_rng(0)
    truth = random.integers(0, 3, 200)
    predicted = np.where(random.random(200) < 0.7, truth, random.integers(0, 3, 200))
    made = chapter(predicted.tolist(), truth.tolist(), [0], classes=3)
    assert made == chapter(predicted.tolist(), truth.tolist(), [0], classes=3)
    for found in (made.balanced_accuracy, made.auroc):
        assert found is not None
        assert found.interval is not None
        low, high = found.interval
        assert low < found.value < high
        assert 0.05 < high - low < 0.3


def test_the_interval_of_a_mean_recall_is_as_wide_as_the_binomials_say() -> None:
    """Recalls of 0.5 and 0.9 of 500 rows each: their mean has a standard error of sqrt(.25 + .09) / 500) / 2."""
    truth = np.repeat([0, 1], 500)
    predicted = np.concatenate([np.arange(500) < 250, np.arange(500) >= 50]).astype(int)
    interval = chapter(predicted.tolist(), truth.tolist(), [0]).balanced_accuracy.interval
    assert interval is not None
    expected = 2 * 1.96 * np.sqrt((0.25 + 0.09) / 500) / 2
    assert interval[1] - interval[0] == pytest.approx(expected, rel=0.25)


def test_a_class_without_rows_or_never_predicted_has_null() -> None:
    made = chapter(predicted=[1, 1], truth=[1, 1], training=[1])
    assert made.classes[0].recall is made.classes[0].precision is None
    assert made.auroc is None
    assert made.balanced_accuracy.model_dump() == {"value": 1, "interval": (1, 1)}
    never = chapter(predicted=[1, 1], truth=[1, 0], training=[1])
    assert never.classes[0].recall is not None
    assert never.classes[0].recall.value == 0
    assert never.classes[0].precision is None


def test_the_majority_is_the_first_baseline() -> None:
    other = majority_baseline(np.array([1]), np.array([0, 1]), ("zero", "one"))
    made = measure_accuracy(
        echo(2),
        echoing(np.array([1, 1]), 2),
        np.array([1, 0]),
        np.array([0, 0]),
        baselines=[other],
        seed=0,
        resamples=5,
    )
    assert [found.name for found in made.baselines] == [
        "the most frequent class of the training rows, zero",
        "the most frequent class of the training rows, one",
    ]


@given(st.lists(st.floats(0, 1), min_size=2, max_size=9))
def test_the_spread_is_that_of_the_splits(accuracies: list[float]) -> None:
    made = spread(accuracies)
    mean = sum(accuracies) / len(accuracies)
    variance = sum((value - mean) ** 2 for value in accuracies) / (len(accuracies) - 1)
    assert (made.splits, made.minimum, made.maximum) == (len(accuracies), min(accuracies), max(accuracies))
    assert made.mean == pytest.approx(mean)
    assert made.standard_deviation == pytest.approx(variance**0.5)
    assert spread(accuracies[:1]).standard_deviation is None

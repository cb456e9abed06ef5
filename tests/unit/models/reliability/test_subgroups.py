"""Subgroups: each is what the measures are of its rows alone."""

from __future__ import annotations

import numpy as np
import pytest
from classifiers_making import random_bits, unscored

from epaas_models.reliability.accuracy.subgroups import MISSING, measure_subgroups
from epaas_models.reliability.calibration.chapter import measure_calibration
from epaas_models.reliability.calibration.measures import expected_calibration_error
from epaas_models.reliability.intervals import wilson_interval
from epaas_models.reliability.subject import softmax

SUBJECT = unscored(3, 4.0)
BITS = random_bits(1000, 12)
RANDOM = np.random.default_rng(0)
LABELS = np.where(RANDOM.random(1000) < 0.6, SUBJECT.predict(BITS), RANDOM.integers(0, 3, 1000))
COLUMNS = {
    "sex": np.array(["woman"] * 480 + ["man"] * 470 + [""] * 30 + ["rare"] * 20, dtype=object),
    "visits": np.repeat([0.0, 1.0, 2.5], [500, 490, 10]),
}
CALIBRATION = measure_calibration(SUBJECT, BITS, LABELS, BITS, LABELS, seed=0, resamples=20)
FOUND = measure_subgroups(
    SUBJECT, COLUMNS, BITS, LABELS, ("sex", "visits"), calibration=CALIBRATION, seed=0, resamples=50
)


def test_values_with_too_few_rows_are_left_out_and_missing_ones_are_named() -> None:
    assert [(found.column, found.value) for found in FOUND] == [
        ("sex", MISSING),
        ("sex", "man"),
        ("sex", "woman"),
        ("visits", "0"),
        ("visits", "1"),
    ]


@pytest.mark.parametrize(
    ("place", "rows"), list(enumerate([slice(950, 980), slice(480, 950), slice(480), slice(500), slice(500, 990)]))
)
def test_a_subgroup_is_measured_on_its_rows(place: int, rows: slice) -> None:
    found, truth, predicted = FOUND[place], LABELS[rows], SUBJECT.predict(BITS[rows])
    right = int((truth == predicted).sum())
    assert found.accuracy.value == pytest.approx(right / len(truth))
    assert (found.accuracy.rows, found.accuracy.interval) == (len(truth), wilson_interval(right, len(truth)))
    assert found.majority == pytest.approx(max(np.mean(truth == label) for label in range(3)))
    recalls = [np.mean(predicted[truth == label] == label) for label in np.unique(truth)]
    assert found.balanced_accuracy == pytest.approx(np.mean(recalls))


@pytest.mark.parametrize(("place", "rows"), [(1, slice(480, 950)), (2, slice(480)), (3, slice(500))])
def test_its_calibration_error_is_after_scaling(place: int, rows: slice) -> None:
    error = FOUND[place].expected_calibration_error
    assert error is not None
    probabilities = softmax(SUBJECT.confidence_logits(BITS[rows]), CALIBRATION.temperature_by_nll)
    assert CALIBRATION.bins == 15
    assert error.value == pytest.approx(expected_calibration_error(probabilities, LABELS[rows], 15))
    assert error.interval is not None
    assert error.interval[0] <= error.value <= error.interval[1]


def test_too_few_rows_for_the_bins_have_no_calibration_error() -> None:
    assert FOUND[0].accuracy.rows == 30
    assert FOUND[0].expected_calibration_error is None

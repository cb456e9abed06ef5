"""Intervals: they are those of the literature, and hold what they say as often as they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from probabilities_making import Reals, drawn, softmax
from scipy.stats import bootstrap as scipy_bootstrap

from epaas_models.reliability import intervals
from epaas_models.reliability.calibration.measures import (
    binned_gaps,
    equal_width,
    expected_calibration_error,
    top_label,
    total_gap,
)
from epaas_models.reliability.intervals import (
    bootstrap,
    centred_interval,
    null_band,
    percentile_interval,
    rate,
    wilson_interval,
)

Z = 1.959963984540054


@given(st.integers(1, 500), st.floats(0, 1))
def test_the_interval_of_a_share_is_that_of_wilson(rows: int, share: float) -> None:
    """Centre plus and minus half width, as in Wilson (1927)."""
    right = round(share * rows)
    value = right / rows
    centre = (value + Z**2 / (2 * rows)) / (1 + Z**2 / rows)
    half = Z / (1 + Z**2 / rows) * math.sqrt(value * (1 - value) / rows + Z**2 / (4 * rows**2))
    assert wilson_interval(right, rows) == pytest.approx((centre - half, centre + half), abs=1e-9)
    assert rate(right, rows).model_dump() == {"value": value, "interval": wilson_interval(right, rows), "rows": rows}


def test_no_rows_say_nothing() -> None:
    assert wilson_interval(0, 0) == (0, 1)


def test_every_resample_has_as_many_rows_as_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intervals, "_ENTRIES_AT_ONCE", 100)
    counts = bootstrap(lambda counts: counts, 30, resamples=50, seed=1)
    assert counts.shape == (30, 50)
    assert np.all(counts.sum(axis=0) == 30)
    assert len(np.unique(counts, axis=1).T) == 50
    assert np.array_equal(counts, bootstrap(lambda counts: counts, 30, resamples=50, seed=1))
    assert not np.array_equal(counts, bootstrap(lambda counts: counts, 30, resamples=50, seed=2))


def test_rows_are_drawn_as_often_as_with_replacement() -> None:
    counts = bootstrap(lambda counts: counts, 20, resamples=20_000, seed=0)
    assert counts.mean(axis=1) == pytest.approx(np.ones(20), abs=0.05)
    assert (counts == 0).mean() == pytest.approx(0.95**20, abs=0.01)


def test_the_interval_of_a_mean_is_that_of_scipy() -> None:
    values = np.random.default_rng(0).exponential(size=200)
    ours = percentile_interval(bootstrap(lambda counts: values[None] @ counts / 200, 200, resamples=5000, seed=0)[0])
    theirs = scipy_bootstrap((values,), np.mean, n_resamples=5000, method="percentile", rng=1).confidence_interval
    assert ours == pytest.approx((theirs.low, theirs.high), abs=0.02)


def test_resamples_without_a_value_are_left_out() -> None:
    assert percentile_interval(np.array([np.nan, 1.0, 1.0])) == (1, 1)
    assert percentile_interval(np.array([np.nan])) is None


def resampled_errors(rows: int, seed: int) -> tuple[float, Reals]:
    logits, labels = drawn(rows, 3, seed)
    confidence, right = top_label(softmax(logits), labels)
    gaps = binned_gaps(confidence, right, equal_width(confidence, 15))
    replicates = bootstrap(
        lambda counts: np.abs(gaps.T @ counts / rows).sum(axis=0, keepdims=True), rows, resamples=300, seed=seed
    )
    return total_gap(gaps), replicates[0]


def test_plain_percentiles_of_a_small_calibration_error_are_too_great_and_centred_ones_are_not() -> None:
    """Of 100 perfectly calibrated models of 400 rows, the expected error at that size is to be in the interval."""
    models = [resampled_errors(400, seed) for seed in range(100)]
    expected = np.mean([value for value, _ in models])
    plain = [percentile_interval(replicates) or (0.0, 1.0) for _, replicates in models]
    centred = [centred_interval(replicates, value) for value, replicates in models]
    assert np.mean([low > expected for low, _ in plain]) > 0.1
    assert np.mean([low <= expected <= high for low, high in centred]) > 0.9
    assert all(low <= value <= high for (low, high), (value, _) in zip(centred, models, strict=True))


def test_no_error_is_below_nothing() -> None:
    assert centred_interval(np.array([0.0, 0.5, 1.0]), 0.1) == (0, pytest.approx(0.575))


@pytest.mark.parametrize("classes", [2, 4])
def test_the_null_band_has_the_error_of_a_calibrated_model_95_times_in_100(classes: int) -> None:
    inside = 0
    for seed in range(200):
        logits, labels = drawn(300, classes, seed)
        probabilities = softmax(logits)
        low, high = null_band(probabilities.max(axis=1), 10, resamples=200, seed=seed + 1000)
        inside += low <= expected_calibration_error(probabilities, labels, 10) <= high
    # the standard error of 0.95 over 200 models is 0.015
    assert 0.9 <= inside / 200 <= 0.99


def test_the_null_band_is_narrower_with_more_rows_and_far_below_an_overconfident_model() -> None:
    logits, labels = drawn(4000, 3, 0)
    band = null_band(softmax(logits[:200]).max(axis=1), 10, resamples=200, seed=0)
    assert null_band(softmax(logits).max(axis=1), 10, resamples=200, seed=0)[1] < band[1] / 2
    sharper = softmax(logits * 3)
    assert (
        expected_calibration_error(sharper, labels, 10) > null_band(sharper.max(axis=1), 10, resamples=200, seed=0)[1]
    )


def test_a_model_that_is_sure_and_calibrated_is_never_wrong() -> None:
    assert null_band(np.ones(50), 15, resamples=20, seed=0) == (0, 0)

"""Measures of calibration against second implementations, and against numbers worked out by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from probabilities_making import Labels, Reals, drawn, forecasts, softmax
from sklearn.metrics import brier_score_loss, top_k_accuracy_score
from torchmetrics.functional.classification import multiclass_calibration_error

from epaas_models.reliability.calibration.measures import (
    Binning,
    above_99,
    adaptive_calibration_error,
    bars,
    brier,
    classwise_calibration_error,
    equal_mass,
    equal_width,
    expected_calibration_error,
    maximum_calibration_error,
    overconfidence,
    top_k,
    top_label,
)

HAND = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.4, 0.6], [0.45, 0.55]])
TRUTH = np.array([0, 1, 0, 1, 1])
"""Confidences .9 .8 .7 .6 .55, of which all but the second are right. With 2 bins all are in [1/2, 1]; with 4, .7 .6
.55 are in [1/2, 3/4) with accuracy 1 and mean 1.85/3, and .9 .8 in [3/4, 1] with accuracy 1/2 and mean .85."""


def test_errors_worked_out_by_hand() -> None:
    assert expected_calibration_error(HAND, TRUTH, 2) == pytest.approx(0.8 - 0.71)
    assert expected_calibration_error(HAND, TRUTH, 4) == pytest.approx((3 - 1.85) / 5 + (1.7 - 1) / 5)
    assert maximum_calibration_error(HAND, TRUTH, 4) == pytest.approx(1 - 1.85 / 3)
    assert overconfidence(HAND, TRUTH) == pytest.approx(0.71 - 0.8)
    # class 0 in 2 bins: .9 .8 .7 with 2 of 3, .4 .45 with none; class 1 is the mirror image
    assert classwise_calibration_error(HAND, TRUTH, 2) == pytest.approx((2.4 - 2) / 5 + 0.85 / 5)
    # 2 bins of equal mass: .55 .6 and, the middle one being past the half, .7 .8 .9
    assert adaptive_calibration_error(HAND, TRUTH, 2) == pytest.approx((2 - 1.15) / 5 + (2.4 - 2) / 5)


@pytest.mark.parametrize("bins", [1, 5, 15])
@pytest.mark.parametrize("classes", [2, 3, 10])
def test_errors_are_those_of_torchmetrics_away_from_a_confidence_of_1(classes: int, bins: int) -> None:
    logits, labels = drawn(600, classes, seed=bins)
    probabilities = softmax(logits)
    assert probabilities.max() < 1
    for norm, measured in (("l1", expected_calibration_error), ("max", maximum_calibration_error)):
        theirs = multiclass_calibration_error(
            torch.from_numpy(probabilities), torch.from_numpy(labels), classes, n_bins=bins, norm=norm
        )
        assert measured(probabilities, labels, bins) == pytest.approx(float(theirs), abs=1e-6)


def test_torchmetrics_puts_a_confidence_of_exactly_1_into_a_bin_of_its_own() -> None:
    """Its issue 3510. In one bin, a row of 0.95 that is right makes up for a little of one of 1 that is wrong."""
    probabilities, labels = np.array([[0.95, 0.05], [1.0, 0.0]]), np.array([0, 1])
    assert equal_width(probabilities[:, 0], 15).index.tolist() == [14, 14]
    assert expected_calibration_error(probabilities, labels) == pytest.approx((1 - 0.05) / 2)
    theirs = multiclass_calibration_error(torch.from_numpy(probabilities), torch.from_numpy(labels), 2, n_bins=15)
    assert float(theirs) == pytest.approx((1 + 0.05) / 2)


@given(forecasts(), st.integers(1, 20))
def test_errors_are_what_they_are_defined_as(made: tuple[Reals, Labels], bins: int) -> None:
    """Equations 3.21 to 3.23, bin by bin."""
    probabilities, labels = made
    classes = probabilities.shape[1]
    edges = np.linspace(0, 1, bins + 1)

    def gaps(values: Reals, hits: Labels) -> list[tuple[float, float]]:
        """Share of rows and |accuracy - confidence| of each bin that has rows."""
        found = []
        for place in range(bins):
            inside = (edges[place] <= values) & ((values < edges[place + 1]) | (place == bins - 1))
            if inside.any():
                found.append((inside.mean(), abs(hits[inside].mean() - values[inside].mean())))
        return found

    top = gaps(probabilities.max(axis=1), probabilities.argmax(axis=1) == labels)
    each = [gaps(probabilities[:, c], labels == c) for c in range(classes)]
    assert expected_calibration_error(probabilities, labels, bins) == pytest.approx(sum(s * g for s, g in top))
    assert maximum_calibration_error(probabilities, labels, bins) == pytest.approx(max(g for _, g in top))
    classwise = sum(s * g for found in each for s, g in found) / classes
    assert classwise_calibration_error(probabilities, labels, bins) == pytest.approx(classwise)


@given(forecasts(), st.integers(1, 20), st.integers(0, 100))
def test_measures_are_bounded_and_do_not_depend_on_the_order_of_rows(
    made: tuple[Reals, Labels], bins: int, seed: int
) -> None:
    probabilities, labels = made
    order = np.random.default_rng(seed).permutation(len(labels))
    for measure in (
        expected_calibration_error,
        maximum_calibration_error,
        adaptive_calibration_error,
        classwise_calibration_error,
    ):
        value = measure(probabilities, labels, bins)
        assert -1e-12 <= value <= 1 + 1e-12
        assert measure(probabilities[order], labels[order], bins) == pytest.approx(value)
    ece = expected_calibration_error(probabilities, labels, bins)
    assert abs(overconfidence(probabilities, labels)) <= ece + 1e-9
    assert ece <= maximum_calibration_error(probabilities, labels, bins) + 1e-9


@given(forecasts(), st.integers(1, 20))
def test_bins_of_equal_mass_drop_no_row_and_part_no_ties(made: tuple[Reals, Labels], bins: int) -> None:
    values = made[0].max(axis=1)
    binning = equal_mass(values, bins)
    rows = np.bincount(binning.index)
    assert rows.sum() == len(values)
    assert 1 <= len(binning) <= bins
    assert rows.min() > 0
    for value in np.unique(values):
        assert len(set(binning.index[values == value])) == 1
    assert np.all(binning.high[:-1] < binning.low[1:])
    assert np.all(values >= binning.low[binning.index])
    assert np.all(values <= binning.high[binning.index])


@given(st.integers(1, 200), st.integers(1, 20), st.integers(0, 100))
def test_without_ties_their_sizes_differ_by_one_at_most(rows: int, bins: int, seed: int) -> None:
    values = np.random.default_rng(seed).permutation(np.linspace(0.3, 0.9, rows))
    sizes = np.bincount(equal_mass(values, bins).index)
    assert len(sizes) == min(bins, rows)
    assert sizes.max() - sizes.min() <= 1


@given(forecasts())
def test_the_brier_score_is_that_of_sklearn(made: tuple[Reals, Labels]) -> None:
    probabilities, labels = made
    every = list(range(probabilities.shape[1]))
    theirs = brier_score_loss(labels, probabilities, labels=every, scale_by_half=False)
    assert brier(probabilities, labels).value == pytest.approx(theirs)


@given(forecasts(), st.integers(1, 20))
def test_the_parts_of_the_brier_score_add_up(made: tuple[Reals, Labels], bins: int) -> None:
    score = brier(*made, bins)
    together = score.reliability - score.resolution + score.uncertainty + score.within_bins
    assert together == pytest.approx(score.value, abs=1e-12)
    assert min(score.reliability, score.resolution, score.uncertainty) >= 0
    assert score.uncertainty == pytest.approx(1 - np.sum((np.bincount(made[1]) / len(made[1])) ** 2))
    assert score.resolution <= score.uncertainty + 1e-12


def test_parts_of_the_brier_score_worked_out_by_hand() -> None:
    """Class 0 is forecast .9 twice (right, wrong) and .2 twice (wrong, wrong); class 1 is the mirror image."""
    first = np.array([0.9, 0.9, 0.2, 0.2])
    score = brier(np.stack([first, 1 - first], axis=1), np.array([0, 1, 1, 1]), 2)
    assert score.reliability == pytest.approx(2 * (0.4**2 / 2 + 0.2**2 / 2))
    assert score.resolution == pytest.approx(2 * (0.25**2 / 2 + 0.25**2 / 2))
    assert score.uncertainty == pytest.approx(2 * 0.25 * 0.75)
    assert score.within_bins == pytest.approx(0)


def test_s99_is_the_share_of_rows_over_99_percent() -> None:
    assert above_99(np.array([[0.99, 0.01], [0.991, 0.009], [0.0, 1.0], [0.5, 0.5]])) == 0.5


@pytest.mark.parametrize("k", [1, 2, 3])
def test_the_true_class_is_among_the_k_most_probable_as_sklearn_counts(k: int) -> None:
    logits, labels = drawn(300, 5, seed=k)
    theirs = top_k_accuracy_score(labels, softmax(logits), k=k, labels=range(5))
    assert top_k(softmax(logits), labels, k) == pytest.approx(theirs)


def test_of_equally_probable_classes_the_first_are_taken() -> None:
    equal = np.full((3, 3), 1 / 3)
    assert [top_k(equal, np.array([0, 1, 2]), k) for k in (1, 2, 3)] == pytest.approx([1 / 3, 2 / 3, 1])


@given(forecasts(), st.integers(1, 15), st.sampled_from([equal_width, equal_mass]))
def test_the_bars_of_a_diagram_make_up_the_error(
    made: tuple[Reals, Labels], bins: int, binned: Callable[[Reals, int], Binning]
) -> None:
    confidence, right = top_label(*made)
    found = bars(confidence, right, binned(confidence, bins))
    assert sum(bar.rows for bar in found) == len(confidence)
    error = 0.0
    for bar in found:
        assert (bar.rows == 0) == (bar.accuracy is None) == (bar.confidence is None)
        if bar.accuracy is not None and bar.confidence is not None:
            assert bar.low - 1e-12 <= bar.confidence <= bar.high + 1e-12
            error += bar.rows / len(confidence) * abs(bar.accuracy - bar.confidence)
    measure = expected_calibration_error if binned is equal_width else adaptive_calibration_error
    assert error == pytest.approx(measure(*made, bins))

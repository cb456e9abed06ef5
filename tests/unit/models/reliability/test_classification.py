"""Measures of classification against scikit-learn and by counting, and of resamples against measuring them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from classifiers_making import echo, echoing
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import recall_score

from epaas_models.reliability.accuracy.classification import (
    accuracy,
    auroc,
    balanced_accuracy,
    confusion,
    resampled_auroc,
    resampled_balanced_accuracy,
)

PAIRS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=60)
SCORES = st.lists(st.tuples(*[st.integers(-3, 3)] * 3), min_size=3, max_size=12)


def test_accuracy_is_the_share_of_right_answers() -> None:
    bits = echoing(np.array([0, 1, 1, 1]), 2)
    assert accuracy(echo(2).network, bits, np.array([0, 1, 0, 1])) == 0.75


@given(PAIRS)
def test_rows_are_counted_by_truth_and_prediction(pairs: list[tuple[int, int]]) -> None:
    labels, predicted = np.array(pairs).T
    counts = confusion(labels, predicted, 3)
    assert counts.tolist() == [[pairs.count((t, p)) for p in range(3)] for t in range(3)]


@given(PAIRS)
def test_the_balanced_accuracy_is_the_mean_recall_of_sklearn(pairs: list[tuple[int, int]]) -> None:
    labels, predicted = np.array(pairs).T
    theirs = recall_score(labels, predicted, labels=np.unique(labels), average="macro", zero_division=0)
    assert balanced_accuracy(labels, predicted) == pytest.approx(theirs)


def pairs_in_order(scores: list[int], truth: list[bool]) -> float:
    """Share of pairs of a positive and a negative row in which the positive has the greater score; ties count half."""
    rows = list(zip(scores, truth, strict=True))
    pairs = [(p, n) for p, yes in rows if yes for n, no in rows if not no]
    return sum((p > n) + 0.5 * (p == n) for p, n in pairs) / len(pairs)


@settings(max_examples=30)
@given(SCORES)
def test_the_area_under_the_curve_is_the_share_of_pairs_in_order(rows: list[tuple[int, int, int]]) -> None:
    scores, labels = np.array(rows), np.arange(len(rows)) % 3
    areas = [pairs_in_order(scores[:, label].tolist(), (labels == label).tolist()) for label in range(3)]
    assert auroc(scores, labels) == pytest.approx(np.mean(areas))
    two = np.arange(len(rows)) % 2
    assert auroc(scores[:, :1], two) == pytest.approx(pairs_in_order(scores[:, 0].tolist(), (two == 1).tolist()))


def test_a_class_without_rows_has_no_area() -> None:
    assert auroc(np.array([[1, 2, 3], [3, 2, 1]]), np.array([0, 1])) is None
    assert auroc(np.array([[1], [2]]), np.array([1, 1])) is None


@settings(max_examples=30)
@given(SCORES, st.integers(0, 100), st.sampled_from([1, 3]))
def test_resamples_have_the_measures_of_the_rows_that_were_drawn(
    rows: list[tuple[int, int, int]], seed: int, columns: int
) -> None:
    scores = np.array(rows)[:, :columns]
    labels, predicted = np.arange(len(rows)) % max(2, columns), np.array(rows)[:, 1] % max(2, columns)
    draws = np.random.default_rng(seed).integers(0, len(rows), (6, len(rows)))
    counts = np.stack([np.bincount(draw, minlength=len(rows)) for draw in draws], axis=1).astype(float)

    def again(measure: Callable[[np.ndarray], float | None]) -> list[float]:
        found = [measure(draw) for draw in draws]
        return [np.nan if value is None else value for value in found]

    areas = again(lambda draw: auroc(scores[draw], labels[draw]))
    assert resampled_auroc(scores, labels, counts) == pytest.approx(areas, nan_ok=True)
    balanced = again(lambda draw: balanced_accuracy(labels[draw], predicted[draw]))
    assert resampled_balanced_accuracy(labels, predicted, counts) == pytest.approx(balanced)

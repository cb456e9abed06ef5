"""The numbers of the report, worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from epaas_models.report import accuracy, auroc, classification_report, spread
from epaas_shared.layers import DenseLayer
from epaas_shared.network import Network

COPY = Network((DenseLayer(np.array([[1]]), np.array([1])),))
"""Answers with its one bit."""
Z = 1.959963984540054


def wilson(right: int, rows: int) -> tuple[float, float]:
    """Centre plus and minus half width, as in Wilson (1927)."""
    share = right / rows
    centre = (share + Z**2 / (2 * rows)) / (1 + Z**2 / rows)
    half = Z / (1 + Z**2 / rows) * math.sqrt(share * (1 - share) / rows + Z**2 / (4 * rows**2))
    return centre - half, centre + half


def report(predicted: list[int], truth: list[int], training: list[int]) -> dict[str, object]:
    bits = np.array(predicted, dtype=np.uint8)[:, None]
    return classification_report(COPY, bits, np.array(truth), np.array(training), ("malignant", "benign"))


def test_a_small_report_is_as_worked_out_by_hand() -> None:
    made = report(predicted=[0, 0, 1, 1, 1, 1, 0, 1, 1, 1], truth=[0, 0, 0, 1, 1, 1, 1, 1, 1, 1], training=[0, 1, 1])
    assert made["rows"] == 10
    assert made["accuracy"] == 0.8
    # (0.8 + 3.8415/20) / 1.38415 = 0.71674, half width 1.96/1.38415 * sqrt(0.016 + 0.0096037) = 0.22657
    assert made["accuracy_interval_95"] == pytest.approx([0.49016, 0.94332], abs=1e-4)
    assert made["majority_baseline"] == {"label": "benign", "accuracy": 0.7}
    assert made["per_class"] == {
        "malignant": {"rows": 3, "recall": pytest.approx(2 / 3)},
        "benign": {"rows": 7, "recall": pytest.approx(6 / 7)},
    }
    assert made["confusion"] == {"rows_are": "truth", "columns_are": "prediction", "counts": [[2, 1], [1, 6]]}


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=80))
def test_the_interval_is_that_of_wilson(pairs: list[tuple[int, int]]) -> None:
    predicted, truth = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    right = sum(p == t for p, t in pairs)
    interval = report(predicted, truth, [0])["accuracy_interval_95"]
    assert interval == pytest.approx(wilson(right, len(pairs)), abs=1e-9)


def test_the_majority_is_that_of_the_training_rows_and_judged_on_the_test_rows() -> None:
    made = report(predicted=[1, 1, 1, 0], truth=[1, 1, 1, 0], training=[0, 0, 0, 1])
    assert made["majority_baseline"] == {"label": "malignant", "accuracy": 0.25}


def test_a_class_without_rows_has_no_recall() -> None:
    made = report(predicted=[1, 1], truth=[1, 1], training=[1])
    assert made["per_class"] == {"malignant": {"rows": 0, "recall": None}, "benign": {"rows": 2, "recall": 1.0}}


def test_accuracy_is_the_share_of_right_answers() -> None:
    assert accuracy(COPY, np.array([[0], [1], [1], [1]], dtype=np.uint8), np.array([0, 1, 0, 1])) == 0.75


def test_the_spread_is_that_of_the_splits() -> None:
    assert spread([0.9, 0.95, 1.0]) == {
        "splits": 3,
        "mean": pytest.approx(0.95),
        "standard_deviation": pytest.approx(0.05),
        "minimum": 0.9,
        "maximum": 1.0,
    }
    assert spread([0.9])["standard_deviation"] is None


def test_a_report_of_many_classes() -> None:
    copy = Network((DenseLayer(np.eye(3, dtype=np.int64), np.zeros(3, dtype=np.int64)),))
    bits = np.eye(3, dtype=np.uint8)[[0, 1, 2, 1]]
    made = classification_report(copy, bits, np.array([0, 1, 2, 2]), np.array([2, 2, 1]), ("a", "b", "c"))
    assert made["confusion"]["counts"] == [[1, 0, 0], [0, 1, 0], [0, 1, 1]]
    assert made["majority_baseline"] == {"label": "c", "accuracy": 0.5}
    assert made["balanced_accuracy"] == pytest.approx((1 + 1 + 0.5) / 3)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=60))
def test_the_balanced_accuracy_is_the_mean_recall_of_the_classes_that_there_are(pairs: list[tuple[int, int]]) -> None:
    copy = Network((DenseLayer(np.eye(3, dtype=np.int64), np.zeros(3, dtype=np.int64)),))
    predicted, truth = np.array(pairs).T
    made = classification_report(copy, np.eye(3, dtype=np.uint8)[predicted], truth, truth, ("a", "b", "c"))
    recalls = [np.mean(predicted[truth == label] == label) for label in np.unique(truth)]
    assert made["balanced_accuracy"] == pytest.approx(np.mean(recalls))


def pairs_in_order(scores: list[int], truth: list[bool]) -> float:
    """Share of pairs of a positive and a negative row in which the positive has the greater score; ties count half."""
    pairs = [
        (p, n)
        for p, yes in zip(scores, truth, strict=True)
        if yes
        for n, no in zip(scores, truth, strict=True)
        if not no
    ]
    return sum((p > n) + 0.5 * (p == n) for p, n in pairs) / len(pairs)


ROWS = st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3), st.integers(-3, 3)), min_size=3, max_size=12)


@settings(max_examples=30)
@given(ROWS)
def test_the_area_under_the_curve_is_the_share_of_pairs_in_order(rows: list[tuple[int, int, int]]) -> None:
    scores, truth = np.array(rows), np.arange(len(rows)) % 3
    areas = [pairs_in_order(scores[:, label].tolist(), (truth == label).tolist()) for label in range(3)]
    assert auroc(scores, truth) == pytest.approx(np.mean(areas))
    two = np.arange(len(rows)) % 2
    assert auroc(scores[:, :1], two) == pytest.approx(pairs_in_order(scores[:, 0].tolist(), (two == 1).tolist()))


def test_a_class_without_rows_has_no_area() -> None:
    assert auroc(np.array([[1, 2, 3], [3, 2, 1]]), np.array([0, 1])) is None
    assert auroc(np.array([[1], [2]]), np.array([1, 1])) is None

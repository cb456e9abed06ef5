"""Confidence: the temperature and the scale that are chosen are the best of those that could be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import log_loss
from training_making import random_bits, softmax

from epaas_models.confidence import class_sums, fit_scale, fit_temperature, negative_log_likelihood, seen_scores
from epaas_shared.layers import DenseLayer
from epaas_shared.network import RECORDS_AT_ONCE, Network
from epaas_shared.scores import ScoreScale


def sums_and_labels(rows: int, classes: int, seed: int, heat: float = 6.0) -> tuple[NDArray[Any], NDArray[Any]]:
    """Integers, and labels drawn with the probabilities softmax(sums / heat)."""
    random = np.random.default_rng(seed)
    sums = random.normal(0, 12, (rows, classes)).round().astype(np.int64)
    drawn = (softmax(sums / heat).cumsum(axis=1) < random.random((rows, 1))).sum(axis=1)
    return sums, np.minimum(drawn, classes - 1)


@given(st.integers(2, 5), st.integers(0, 100))
def test_the_loss_is_that_of_sklearn(classes: int, seed: int) -> None:
    sums, labels = sums_and_labels(30, classes, seed)
    expected = log_loss(labels, softmax(sums / 10), labels=list(range(classes)))
    assert negative_log_likelihood(sums / 10, labels) == pytest.approx(expected)


def test_great_scores_do_not_overflow() -> None:
    logits = np.array([[1e6, 0.0], [0.0, 1e6]])
    assert negative_log_likelihood(logits, np.array([0, 1])) == 0
    assert negative_log_likelihood(logits, np.array([1, 1])) == pytest.approx(5e5)


@settings(max_examples=25)
@given(st.integers(2, 4), st.floats(1, 30), st.integers(0, 100))
def test_the_temperature_is_the_best_of_a_grid(classes: int, heat: float, seed: int) -> None:
    sums, labels = sums_and_labels(200, classes, seed, heat)
    scores = sums.astype(np.float64)
    losses = [negative_log_likelihood(scores / tried, labels) for tried in np.geomspace(0.05, 5000, 300)]
    found = negative_log_likelihood(scores / fit_temperature(scores, labels), labels)
    assert found <= min(losses) + 1e-6


def test_the_temperature_is_what_the_labels_were_drawn_with() -> None:
    sums, labels = sums_and_labels(20_000, 3, 0, heat=7.0)
    assert fit_temperature(sums.astype(np.float64), labels) == pytest.approx(7, rel=0.05)


@pytest.mark.parametrize("bits", [2, 4])
@pytest.mark.parametrize("seed", range(3))
def test_no_scale_of_those_that_are_tried_is_better(bits: int, seed: int) -> None:
    sums, labels = sums_and_labels(150, 3, seed)
    chosen = fit_scale(sums, labels, bits)
    assert chosen.bits == bits
    assert chosen.temperature is not None

    def loss(scale: ScoreScale, temperature: float) -> float:
        return negative_log_likelihood(seen_scores(sums, scale) / temperature, labels)

    random, greatest = np.random.default_rng(seed), 2**bits - 1
    widest = -(-(int(sums.max()) - int(sums.min())) // greatest)
    for _ in range(12):
        step = int(random.integers(1, widest + 1))
        end = int(np.quantile(sums.max(axis=1), random.choice([0.5, 0.75, 0.9, 0.98, 1.0])))
        other = ScoreScale(bits=bits, minimum=end - step * greatest, step=step)
        best = fit_temperature(seen_scores(sums, other), labels)
        assert loss(chosen, chosen.temperature) <= loss(other, best) + 1e-5


def test_a_scale_with_room_for_all_sums_loses_little() -> None:
    sums, labels = sums_and_labels(500, 3, 1)
    exact = negative_log_likelihood(sums / fit_temperature(sums.astype(np.float64), labels), labels)
    scale = fit_scale(sums, labels, 6)
    assert scale.temperature is not None
    assert negative_log_likelihood(seen_scores(sums, scale) / scale.temperature, labels) < exact + 0.01


def test_sums_that_are_all_the_same_have_a_scale() -> None:
    sums = np.full((10, 2), 5, dtype=np.int64)
    scale = fit_scale(sums, np.arange(10) % 2, 3)
    assert seen_scores(sums, scale).tolist() == [[5.0, 5.0]] * 10


def test_the_scores_are_those_that_a_client_reads() -> None:
    scale = ScoreScale(bits=2, minimum=-4, step=3)
    sums = np.array([[-100, -4, -2], [-1, 1, 2], [4, 5, 900]])
    assert seen_scores(sums, scale).tolist() == [[-4, -4, -4], [-1, -1, 2], [2, 5, 5]]


def test_the_sums_of_the_classes_are_those_of_the_last_layer() -> None:
    random = np.random.default_rng(0)
    first = DenseLayer(random.integers(-1, 2, (5, 8)), np.array([0, 1, -1, 2, 0]))
    last = DenseLayer(random.integers(-3, 4, (3, 5)), np.array([1, -2, 0]))
    bits = random_bits(RECORDS_AT_ONCE + 9, 8)
    hidden = bits.astype(int) @ first.weights.T >= first.thresholds
    expected = hidden.astype(int) @ last.weights.T - last.thresholds
    assert class_sums(Network((first, last)), bits).tolist() == expected.tolist()

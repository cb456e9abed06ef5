"""Toy-MNIST and data in the plane: what they are drawn from, and attacks on whole discs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import LinearSVC
from torch import nn

from epaas_models.label_noise.plane import blobs, decision_map, errors_within, parity_balls, predictor
from epaas_models.label_noise.toy_mnist import toy_mnist


def test_toy_mnist_is_two_pictures_under_noise_of_a_variance() -> None:
    pair = np.stack([np.linspace(0, 1, 50), np.ones(50)]).astype(np.float32)
    rows, labels = toy_mnist(pair, 4000, 0.3, seed=0)
    noise = rows - pair[labels]
    assert rows.shape == (4000, 50)
    assert noise.var() == pytest.approx(0.3, rel=0.02)
    assert noise.mean() == pytest.approx(0, abs=0.01)
    assert labels.mean() == pytest.approx(0.5, abs=0.04)
    assert np.array_equal(toy_mnist(pair, 10, 0.3, 5)[0], toy_mnist(pair, 10, 0.3, 5)[0])


@given(balls=st.integers(1, 6), radius=st.floats(0.01, 0.5), seed=st.integers(0, 2**32 - 1))
def test_parity_balls_are_where_the_thesis_has_them(balls: int, radius: float, seed: int) -> None:
    points, ball = parity_balls(50, balls, radius, seed)
    centres = np.column_stack([ball // 2 + 1 + ball % 2, ball // 2 + 1])
    assert (np.linalg.norm(points - centres, axis=1) <= radius + 1e-5).all()
    assert ball.min() >= 0
    assert ball.max() < 2 * balls
    assert np.array_equal(centres.sum(axis=1) % 2, ball % 2)  # the parity of a + b of Theorem 3


def test_parity_balls_are_linearly_separable() -> None:
    """Lemma 6: w = (1, -1), w0 = -1/2, for every radius below 1/(2 sqrt 2)."""
    points, ball = parity_balls(2000, 5, 1 / np.sqrt(8) - 1e-4, seed=0)
    assert np.array_equal(points @ [1, -1] - 0.5 > 0, ball % 2 == 1)
    assert LinearSVC(C=1e3).fit(points, ball % 2).score(points, ball % 2) > 0.97


def test_blobs_stay_apart_and_each_is_of_one_class() -> None:
    points, labels = blobs(1500, 4, 0.25, 0.1, seed=0)
    distances = np.linalg.norm(points[:, None] - points, axis=2)
    # 2 (0.25 + 0.1) of the lattice's 1 is the most that two discs take
    assert distances[labels[:, None] != labels].min() > 0.29
    assert labels.mean() == pytest.approx(0.5, abs=0.15)


def test_on_a_linear_classifier_the_error_within_a_disc_is_known() -> None:
    """Wrong within a budget where the boundary is nearer; directions along the axes are among those looked at."""
    points = np.random.default_rng(0).uniform(-1, 1, (300, 2)).astype(np.float32)
    labels = (points[:, 0] > 0).astype(np.int64)

    def predict(rows: np.ndarray) -> np.ndarray:
        return (rows[:, 0] > 0).astype(np.int64)

    assert np.array_equal(errors_within(predict, points, labels, 0.3), np.abs(points[:, 0]) < 0.3)
    assert not errors_within(predict, points, labels, 0).any()
    assert errors_within(predict, points, 1 - labels, 0).all()


def test_errors_grow_with_the_budget_and_the_nearest_neighbour_keeps_half_the_gap() -> None:
    points, labels = blobs(400, 3, 0.2, 0.05, seed=1)
    predict = KNeighborsClassifier(n_neighbors=1).fit(points, labels).predict
    # discs are at least 1 - 2 (0.2 + 0.05) = 0.5 apart
    assert not errors_within(predict, points, labels, 0.24).any()
    assert errors_within(predict, points, labels, 1.2).all()


def test_a_map_of_a_network_has_its_classes_at_the_corners() -> None:
    network = nn.Linear(2, 2)
    with torch.no_grad():
        network.weight.copy_(torch.tensor([[0.0, 0.0], [1.0, 0.0]]))
        network.bias.zero_()
    drawn = decision_map(predictor(network), np.array([[-1, -1], [1, 1]], dtype=np.float32), 4)
    assert drawn == [[0, 0, 1, 1]] * 4

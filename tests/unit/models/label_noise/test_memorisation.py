"""Memorisation and influence: by hand, and against leaving each row out of learners that are known in closed form."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.linear_model import RidgeClassifier
from sklearn.neighbors import KNeighborsClassifier

from epaas_models.label_noise.memorisation import influence, self_influence, subsets


@given(rows=st.integers(1, 40), count=st.integers(1, 10), share=st.floats(0, 1), seed=st.integers(0, 2**32 - 1))
def test_every_training_has_its_share_of_the_rows(rows: int, count: int, share: float, seed: int) -> None:
    inside = subsets(rows, count, share, seed)
    assert inside.shape == (count, rows)
    assert (inside.sum(axis=1) == round(share * rows)).all()
    assert np.array_equal(inside, subsets(rows, count, share, seed))


def test_every_row_is_as_often_in_as_any_other() -> None:
    counts = subsets(20, 4000, 0.7, seed=0).sum(axis=0)
    assert counts == pytest.approx(2800, abs=5 * np.sqrt(4000 * 0.7 * 0.3))


@given(seed=st.integers(0, 2**32 - 1))
def test_estimates_are_differences_of_shares(seed: int) -> None:
    """Counted one by one."""
    random = np.random.default_rng(seed)
    inside = random.random((12, 5)) < 0.5
    inside[:, 0], inside[0], inside[1] = inside[:, 0], True, False
    right, tests = random.random((12, 5)) < 0.5, random.random((12, 3)) < 0.5
    own, others = self_influence(inside, right), influence(inside, tests)
    for row in range(5):
        within, without = np.flatnonzero(inside[:, row]), np.flatnonzero(~inside[:, row])
        assert own[row] == pytest.approx(right[within, row].mean() - right[without, row].mean())
        for test in range(3):
            assert others[row, test] == pytest.approx(tests[within, test].mean() - tests[without, test].mean())


def test_a_row_that_is_always_in_has_no_estimate() -> None:
    inside = np.array([[True, True], [True, False]])
    assert np.array_equal(np.isnan(self_influence(inside, inside)), [True, False])
    assert np.array_equal(np.isnan(influence(inside, inside)), [[True, True], [False, False]])


def outlying() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Two clusters of six and, far from both, one row of class 1."""
    random = np.random.default_rng(0)
    centres = np.repeat([[0.0, 0.0], [4.0, 0.0]], 6, axis=0)
    points = np.concatenate([centres + 0.3 * random.normal(size=(12, 2)), [[0.0, 3.0]]])
    return points, np.array([0] * 6 + [1] * 7)


@pytest.mark.parametrize("learner", [KNeighborsClassifier(n_neighbors=1), RidgeClassifier(alpha=1.0)])
def test_all_subsets_without_one_row_are_leaving_one_out(learner: RidgeClassifier | KNeighborsClassifier) -> None:
    """Where trainings are each on all rows but one, a learner without chance has exactly mem(A, S, i) but for the
    trainings that left out another row: brute force of those is the definition."""
    points, labels = outlying()
    inside = ~np.eye(len(labels), dtype=np.bool_)
    right = np.array([learner.fit(points[kept], labels[kept]).predict(points) == labels for kept in inside])
    own = self_influence(inside, right)
    for row in range(len(labels)):
        out = learner.fit(np.delete(points, row, axis=0), np.delete(labels, row)).predict(points[[row]])[0]
        assert own[row] == pytest.approx(right[inside[:, row], row].mean() - float(out == labels[row]))


def nearest(points: NDArray[np.float64], labels: NDArray[np.int64], kept: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The labels that the nearest of the kept rows have."""
    distances = np.where(kept, np.linalg.norm(points[:, None] - points, axis=2), np.inf)
    return labels[distances.argmin(axis=1)]


def test_what_the_nearest_neighbour_knows_by_heart_is_the_outlier() -> None:
    """All subsets of 9 of 13 rows: the exact expectation, which random subsets come near to."""
    points, labels = outlying()

    def estimates(inside: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        right = np.array([nearest(points, labels, kept) == labels for kept in inside])
        return self_influence(inside, right), influence(inside, right)

    every = np.zeros((715, 13), dtype=np.bool_)
    for number, chosen in enumerate(combinations(range(13), 9)):
        every[number, list(chosen)] = True
    exact, exact_influence = estimates(every)
    assert exact == pytest.approx([0] * 12 + [1])  # a cluster is never left out whole
    assert np.array_equal(np.diag(exact_influence), exact)
    sampled, _ = estimates(subsets(13, 150, 9 / 13, seed=1))
    assert sampled == pytest.approx(exact, abs=0.15)

"""Theorem 1 and Algorithm 4 against full singular value decompositions, competitors and the thesis's own example."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from matrices_making import normal, seeds, singular_values, stable_rank_by_svd, with_values
from torch import Tensor

from epaas_models.stable_rank.spectral import Triples
from epaas_models.stable_rank.stable_rank import normalise_stable_rank, stable_rank

EYE = torch.eye(3, dtype=torch.float64)
UNIT_AXES = Triples(EYE, torch.ones(3, dtype=torch.float64), EYE)
"""Of the identity, whose singular vectors are any orthonormal ones."""


def exact(matrix: Tensor) -> Triples:
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    return Triples(left, values, right.T)


def test_the_identity_brought_to_stable_rank_two() -> None:
    """Equation (4.8), and the order of distances that follows it."""
    second = normalise_stable_rank(EYE, 2, k=1, triples=UNIT_AXES).matrix
    third = normalise_stable_rank(EYE, 2, k=0, triples=UNIT_AXES).matrix
    root = 2**0.5
    assert second.numpy() == pytest.approx(np.diag([1, 1 / root, 1 / root]), abs=1e-15)
    assert third.numpy() == pytest.approx(np.diag([(root + 1) / 2] + [(root + 1) / (2 * root)] * 2), abs=1e-15)
    cut = torch.diag(torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64))
    for matrix in (cut, second, third):
        assert stable_rank_by_svd(matrix) == pytest.approx(2)
    assert (EYE - cut).norm() > (EYE - second).norm() > (EYE - third).norm()
    found = [float((EYE - normalise_stable_rank(EYE, 2, k).matrix).norm()) for k in (1, 0)]
    assert found == pytest.approx([float((EYE - second).norm()), float((EYE - third).norm())])


@settings(max_examples=20, deadline=None)
@given(seeds, st.tuples(st.integers(2, 6), st.integers(2, 6)), st.floats(1, 6), st.integers(0, 4))
def test_the_target_is_met_and_what_is_kept_is_kept(seed: int, shape: tuple[int, int], target: float, k: int) -> None:
    matrix, k = normal(seed, shape), min(k, *shape)
    values, before = singular_values(matrix), stable_rank_by_svd(matrix)
    found = normalise_stable_rank(matrix, target, k)
    after = singular_values(found.matrix)
    if before <= target:
        assert torch.equal(found.matrix, matrix)
        assert found.preserved == k
        return
    assert stable_rank_by_svd(found.matrix) == pytest.approx(target, rel=1e-5)
    room = int(((values[:k] ** 2).cumsum() <= target * values[0] ** 2 * (1 + 1e-12)).sum())
    assert found.preserved == (max(1, room) if k else 0)
    assert after[: found.preserved] == pytest.approx(values[: found.preserved], rel=1e-5)
    again = normalise_stable_rank(found.matrix, target, k)
    assert again.matrix.numpy() == pytest.approx(found.matrix.numpy(), abs=1e-5)


@settings(max_examples=20, deadline=None)
@given(seeds, st.floats(1.05, 2.5), st.integers(1, 3))
def test_kept_vectors_are_those_of_the_decomposition(seed: int, target: float, k: int) -> None:
    matrix = with_values([3.0, 2.0, 1.9, 1.5, 0.4], (5, 7), seed)
    left, values, right = np.linalg.svd(matrix.numpy(), full_matrices=False)
    found = normalise_stable_rank(matrix, target, k)
    kept, squares = found.preserved, values**2
    tail = np.sqrt((target * squares[0] - squares[:kept].sum()) / squares[kept:].sum())
    expected = (left * np.concatenate([values[:kept], tail * values[kept:]])) @ right
    if stable_rank_by_svd(matrix) > target:
        assert found.matrix.numpy() == pytest.approx(expected, abs=1e-7)


@settings(max_examples=20, deadline=None)
@given(seeds, st.floats(1.1, 3.0), st.integers(0, 2))
def test_no_competitor_is_nearer(seed: int, target: float, k: int) -> None:
    """Competitors have the target stable rank and the first k values; their vectors and other values are random."""
    matrix = normal(seed, (4, 5))
    triples = exact(matrix)
    assume(stable_rank_by_svd(matrix) > target)
    found = normalise_stable_rank(matrix, target, k, triples)
    assume(found.preserved == k)
    distance = float((matrix - found.matrix).norm())
    random = np.random.default_rng(seed)
    for scale in (0.01, 0.1, 1.0):
        left, values, right = np.linalg.svd(found.matrix.numpy() + scale * random.normal(size=(4, 5)), False)
        if k:
            values[:k] = triples.values[:k].numpy()
        others = max(1, k)
        budget = target * values[0] ** 2 - (values[:others] ** 2).sum()
        if budget <= 0:
            continue
        values[others:] *= np.sqrt(budget / (values[others:] ** 2).sum())
        if values[others:].max() > values[:others].min():
            continue
        competitor = torch.from_numpy((left * values) @ right)
        assert stable_rank_by_svd(competitor) == pytest.approx(target)
        assert distance <= float((matrix - competitor).norm()) + 1e-12


@settings(max_examples=20, deadline=None)
@given(seeds, st.floats(1.0, 3.0))
def test_the_more_is_kept_the_farther_the_result(seed: int, target: float) -> None:
    """Theorem 1 (c), and k = 0 nearest of all; the scales of the two parts lie either side of 1."""
    matrix = normal(seed, (5, 5))
    triples = exact(matrix)
    assume(stable_rank_by_svd(matrix) > target)
    results = [normalise_stable_rank(matrix, target, k, triples) for k in range(4)]
    distances = [float((matrix - each.matrix).norm()) for each in results]
    assert all(near <= far + 1e-9 for near, far in pairwise(distances))
    free, before = singular_values(results[0].matrix), triples.values.numpy()
    assert free[0] >= before[0] - 1e-9
    assert (free[1:] <= before[1:] + 1e-9).all()


def test_one_is_the_least_stable_rank() -> None:
    matrix = normal(5, (4, 3))
    left, values, right = np.linalg.svd(matrix.numpy(), full_matrices=False)
    for k in (0, 1, 2):
        found = normalise_stable_rank(matrix, 1.0, k)
        assert found.matrix.numpy() == pytest.approx(values[0] * np.outer(left[:, 0], right[0]), abs=1e-7)
        assert found.preserved == min(k, 1)
    with pytest.raises(ValueError, match="at least 1"):
        normalise_stable_rank(matrix, 0.99)


def test_values_that_the_target_cannot_hold_are_given_up() -> None:
    """Algorithm 4: with values 2, 1.9, 1 a stable rank of 1.5 has no room for the second."""
    matrix = with_values([2.0, 1.9, 1.0], (3, 3))
    found = normalise_stable_rank(matrix, 1.5, k=2)
    assert found.preserved == 1
    assert stable_rank_by_svd(found.matrix) == pytest.approx(1.5)
    assert singular_values(found.matrix)[0] == pytest.approx(2.0)


def test_matrices_of_zeros_and_values_that_are_not_there_are_refused() -> None:
    with pytest.raises(ValueError, match="zeros"):
        normalise_stable_rank(torch.zeros(2, 2), 1.5)
    with pytest.raises(ValueError, match="zeros"):
        stable_rank(torch.zeros(2, 2))
    with pytest.raises(ValueError, match="to keep"):
        normalise_stable_rank(torch.eye(2), 1.5, k=3)


@settings(max_examples=20, deadline=None)
@given(seeds, st.floats(0.01, 100))
def test_stable_rank_is_that_of_a_decomposition_and_knows_no_scale(seed: int, scale: float) -> None:
    matrix = normal(seed, (6, 4))
    assert stable_rank(matrix) == pytest.approx(stable_rank_by_svd(matrix))
    assert stable_rank(matrix * scale) == pytest.approx(stable_rank(matrix))
    assert 1 <= stable_rank(matrix) <= 4

"""Power iteration and Algorithm 3 against full singular value decompositions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from matrices_making import normal, seeds, sides, singular_values, with_values

from epaas_models.stable_rank.spectral import cap_spectrum, power_iteration, top_triples


def test_the_greatest_singular_values_and_their_vectors() -> None:
    matrix = with_values([5.0, 3.0, 2.5, 1.0, 0.2], (5, 8))
    found = top_triples(matrix, 3)
    left, values, right = np.linalg.svd(matrix.numpy(), full_matrices=False)
    assert found.values.numpy() == pytest.approx(values[:3])
    assert found.matrix().numpy() == pytest.approx((left[:, :3] * values[:3]) @ right[:3], abs=1e-9)
    assert (found.left.T @ found.left).numpy() == pytest.approx(np.eye(3), abs=1e-9)
    assert (found.right.T @ found.right).numpy() == pytest.approx(np.eye(3), abs=1e-9)


@settings(max_examples=15, deadline=None)
@given(seeds, sides)
def test_all_singular_values_of_any_matrix(seed: int, shape: tuple[int, int]) -> None:
    matrix = normal(seed, shape)
    assert top_triples(matrix, min(shape)).values.numpy() == pytest.approx(singular_values(matrix), abs=1e-6)


def test_equal_singular_values_and_single_precision_end_the_iteration() -> None:
    assert top_triples(torch.eye(4), 4).values.numpy() == pytest.approx(np.ones(4))
    matrix = normal(3, (60, 90)).float()
    left, right = power_iteration(matrix)
    assert float(left @ matrix @ right) == pytest.approx(singular_values(matrix)[0], rel=1e-5)


def test_a_known_vector_is_where_it_goes_on() -> None:
    """From the exact vector a single step stays exact; from a random one it does not."""
    matrix = with_values([2.0, 1.9, 1.0], (3, 3))
    exact = torch.from_numpy(np.linalg.svd(matrix.numpy())[2][0])
    left, right = power_iteration(matrix, exact, iterations=1)
    assert float(left @ matrix @ right) == pytest.approx(2.0, abs=1e-12)
    left, right = power_iteration(matrix, normal(1, (3,)), iterations=1)
    assert abs(float(left @ matrix @ right) - 2.0) > 1e-6


@pytest.mark.parametrize("k", [-1, 4])
def test_there_are_no_more_values_than_the_shorter_side(k: int) -> None:
    with pytest.raises(ValueError, match="singular values"):
        top_triples(torch.ones(3, 5), k)
    assert top_triples(torch.ones(3, 5), 0).matrix().shape == (3, 5)


@settings(max_examples=15, deadline=None)
@given(seeds, sides)
def test_capping_cuts_values_and_leaves_vectors(seed: int, shape: tuple[int, int]) -> None:
    matrix, greatest = normal(seed, shape), 1.3
    left, values, right = np.linalg.svd(matrix.numpy(), full_matrices=False)
    expected = (left * np.minimum(values, greatest)) @ right
    assert cap_spectrum(matrix, greatest).numpy() == pytest.approx(expected, abs=1e-6)


@settings(max_examples=15, deadline=None)
@given(seeds)
def test_no_matrix_of_that_norm_is_nearer(seed: int) -> None:
    """Against division by the norm (Miyato et al.) and random matrices within the bound."""
    matrix, greatest = normal(seed, (4, 6)), 0.8
    capped = cap_spectrum(matrix, greatest)
    distance = float((matrix - capped).norm())
    divided = matrix * greatest / singular_values(matrix)[0]
    assert distance < float((matrix - divided).norm())
    for number in range(20):
        other = capped + 0.05 * normal(seed + number, (4, 6))
        other = other * min(1.0, greatest / singular_values(other)[0])
        assert distance <= float((matrix - other).norm())


def test_what_is_within_the_cap_stays_and_a_cap_is_positive() -> None:
    matrix = with_values([0.9, 0.5], (2, 3))
    assert torch.equal(cap_spectrum(matrix, 1.0), matrix)
    with pytest.raises(ValueError, match="positive"):
        cap_spectrum(matrix, 0.0)

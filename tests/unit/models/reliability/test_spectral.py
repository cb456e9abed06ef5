"""Spectral quantities against other routes to them, and what the theory says of all matrices."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.linalg
import torch
from generalisation_making import random_convolution, random_dense, whole
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from epaas_models.reliability.generalisation.spectral import spectrum, weight_matrix
from epaas_shared.layers import DenseLayer

matrices = arrays(
    np.float64,
    st.tuples(st.integers(1, 7), st.integers(1, 7)),
    elements=st.integers(-4, 4).map(float),
)


@given(matrices)
def test_norms_and_ranks_are_those_of_other_libraries(matrix: NDArray[np.float64]) -> None:
    found, tensor = spectrum(matrix), torch.from_numpy(matrix)
    assert found.spectral_norm == pytest.approx(float(torch.linalg.matrix_norm(tensor, ord=2)), abs=1e-9)
    assert found.frobenius == pytest.approx(math.sqrt(float((tensor**2).sum())))
    assert found.rank == torch.linalg.matrix_rank(tensor)
    np.testing.assert_allclose(found.singular_values, scipy.linalg.svdvals(matrix), atol=1e-9)
    assert found.two_one == pytest.approx(sum(math.hypot(*neuron) for neuron in matrix.tolist()))


@given(matrices)
def test_the_spectral_norm_is_the_root_of_the_greatest_eigenvalue(matrix: NDArray[np.float64]) -> None:
    greatest = scipy.linalg.eigvalsh(matrix.T @ matrix)[-1]
    assert spectrum(matrix).spectral_norm ** 2 == pytest.approx(greatest, abs=1e-8)


@given(matrices, st.integers(-5, 5).filter(bool))
def test_the_stable_rank_is_from_1_to_the_rank_and_knows_no_scale(matrix: NDArray[np.float64], scale: int) -> None:
    found = spectrum(matrix)
    if not matrix.any():
        assert (found.stable_rank, found.rank) == (0, 0)
        return
    assert 1 - 1e-9 <= found.stable_rank <= found.rank + 1e-9
    assert spectrum(matrix * scale).stable_rank == pytest.approx(found.stable_rank)
    assert spectrum(matrix * scale).spectral_norm == pytest.approx(found.spectral_norm * abs(scale))


def test_known_matrices() -> None:
    identity = spectrum(np.eye(3))
    assert (identity.spectral_norm, identity.stable_rank, identity.rank) == pytest.approx((1, 3, 3))
    hadamard = spectrum(scipy.linalg.hadamard(8).astype(float))  # orthogonal up to its scale
    assert (hadamard.spectral_norm, hadamard.stable_rank, hadamard.rank) == pytest.approx((math.sqrt(8), 8, 8))
    one = spectrum(np.outer([1.0, -2.0, 3.0], [4.0, 5.0]))
    assert (one.spectral_norm, one.stable_rank, one.rank) == pytest.approx((math.sqrt(14 * 41), 1, 1))
    # thesis 4.3.2: of the identity, the nearest matrix of stable rank 2 that keeps the first singular value
    halved = spectrum(np.diag([1.0, math.sqrt(0.5), math.sqrt(0.5)]))
    assert (halved.stable_rank, halved.rank) == pytest.approx((2, 3))


def test_the_2_1_norm_is_over_neurons() -> None:
    assert spectrum(np.array([[3.0, 4.0], [0.0, 1.0], [0.0, 0.0]])).two_one == pytest.approx(6)


def test_a_dense_layer_is_its_matrix() -> None:
    layer = random_dense(4, 6)
    np.testing.assert_array_equal(weight_matrix(layer), layer.weights)


def test_a_convolution_is_a_row_a_filter() -> None:
    layer = random_convolution()
    matrix = weight_matrix(layer)
    assert matrix.shape == (3, 12)
    np.testing.assert_array_equal(matrix[1], [layer.weights[1, c, y, x] for c, y, x in np.ndindex(2, 3, 2)])


def test_one_neuron_has_its_length() -> None:
    found = spectrum(weight_matrix(DenseLayer(whole([[2, -1, 2, 0]]), whole([1]))))
    assert (found.spectral_norm, found.stable_rank, found.rank, found.two_one) == pytest.approx((3, 1, 1, 3))

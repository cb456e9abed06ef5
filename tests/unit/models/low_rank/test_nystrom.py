"""The Nyström approximation against whole decompositions and against the formula by numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from epaas_models.low_rank.nystrom import (
    SMOOTHING,
    best_factor,
    ensembled_nystrom_factor,
    nystrom_factor,
    truncated,
)


def semidefinite(size: int, rank: int, seed: int) -> Tensor:
    """A symmetric positive semidefinite matrix of that rank."""
    factor = torch.randn(size, rank, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return factor @ factor.T


def product(factor: Tensor) -> Tensor:
    return factor @ factor.T


shapes = st.tuples(st.integers(2, 12), st.integers(1, 12), st.integers(0, 1000)).filter(
    lambda shape: shape[1] <= shape[0]
)


@settings(max_examples=40)
@given(shapes, st.integers(0, 12))
def test_it_is_exact_where_the_rank_fits_into_the_sampled_columns(shape: tuple[int, int, int], more: int) -> None:
    size, rank, seed = shape
    matrix = semidefinite(size, rank, seed)
    columns = torch.randperm(size, generator=torch.Generator().manual_seed(seed))[: rank + more]
    sampled = matrix[columns][:, columns]
    if torch.linalg.cond(sampled) < 1e10 or len(columns) == size:
        assert torch.allclose(product(nystrom_factor(matrix, rank, columns)), matrix, atol=1e-4 * float(matrix.norm()))


def test_it_is_the_formula_of_the_thesis() -> None:
    matrix, columns, rank = semidefinite(9, 9, 1), [7, 2, 4, 0, 5], 3
    c = matrix.numpy()[:, columns]
    left, values, right = np.linalg.svd(c[columns])
    expected = c @ (right[:rank].T @ np.diag(1 / values[:rank]) @ left[:, :rank].T) @ c.T
    found = product(nystrom_factor(matrix, rank, torch.tensor(columns))).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@settings(max_examples=40)
@given(shapes, st.integers(1, 12), st.integers(1, 4), st.booleans())
def test_what_it_gives_is_symmetric_and_semidefinite_of_the_rank(
    shape: tuple[int, int, int], sampled: int, runs: int, definite: bool
) -> None:
    """Lemma 3; of a matrix that is symmetric only as well, thanks to the smoothing."""
    size, rank, seed = shape
    matrix = semidefinite(size, rank, seed)
    if not definite:
        matrix = matrix - 3 * semidefinite(size, 1, seed + 1)
    generator = torch.Generator().manual_seed(seed)
    mean = ensembled_nystrom_factor(matrix, rank, sampled=max(sampled, rank), runs=runs, generator=generator)
    found = product(truncated(mean, rank))
    values = torch.linalg.eigvalsh(found)
    assert torch.allclose(found, found.T)
    assert values[0] >= -1e-9 * (1 + values[-1])
    assert int(torch.linalg.matrix_rank(found, hermitian=True, rtol=1e-9)) <= rank


def test_no_approximation_of_that_rank_is_nearer_than_the_truncated_decomposition() -> None:
    for seed in range(10):
        matrix, rank = semidefinite(20, 20, seed), 4
        left, values, right = np.linalg.svd(matrix.numpy())
        least = float(np.linalg.norm(values[rank:]))
        best = product(best_factor(matrix, rank)).numpy()
        np.testing.assert_allclose(best, (left[:, :rank] * values[:rank]) @ right[:rank], atol=1e-9)
        columns = torch.randperm(20, generator=torch.Generator().manual_seed(seed))[:12]
        error = float((product(nystrom_factor(matrix, rank, columns)) - matrix).norm())
        assert least - 1e-9 <= error < float(matrix.norm())


def test_the_nearest_semidefinite_matrix_leaves_out_negative_eigenvalues() -> None:
    assert torch.allclose(
        product(best_factor(torch.diag(torch.tensor([2.0, -5.0, -1.0])), 2)), torch.diag(torch.tensor([2.0, 0.0, 0.0]))
    )


def test_an_ensemble_is_the_mean_of_its_members() -> None:
    matrix, rank = semidefinite(10, 10, 2), 3
    generator = torch.Generator().manual_seed(5)
    drawn = [torch.randperm(10, generator=generator)[:6] for _ in range(4)]
    mean = torch.stack([product(nystrom_factor(matrix, rank, columns)) for columns in drawn]).mean(dim=0)
    generator.manual_seed(5)
    found = ensembled_nystrom_factor(matrix, rank, sampled=6, runs=4, generator=generator)
    assert torch.allclose(product(found), mean)
    assert found.shape == (10, 12)


def test_an_ensemble_errs_less_than_its_members_on_average() -> None:
    matrix, rank, generator = (
        semidefinite(40, 8, 3) + 0.1 * semidefinite(40, 40, 4),
        8,
        torch.Generator().manual_seed(0),
    )

    def error(runs: int) -> float:
        draws = [ensembled_nystrom_factor(matrix, rank, sampled=16, runs=runs, generator=generator) for _ in range(20)]
        return float(np.mean([float((product(factor) - matrix).norm()) for factor in draws]))

    assert error(8) < error(1)


def test_truncation_is_that_of_a_whole_decomposition() -> None:
    factor = torch.randn(9, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    left, values, right = np.linalg.svd(product(factor).numpy())
    np.testing.assert_allclose(product(truncated(factor, 2)).numpy(), (left[:, :2] * values[:2]) @ right[:2], atol=1e-9)


@pytest.mark.parametrize(("least", "shift"), [(-0.001, SMOOTHING), (-0.013, 2 * SMOOTHING), (0.0, 0.0), (0.5, 0.0)])
def test_smoothing_adds_the_least_multiple_that_does(least: float, shift: float) -> None:
    """A diagonal matrix is the approximation of itself with all columns, but for what was added."""
    matrix = torch.diag(torch.tensor([1.0, 2.0, least], dtype=torch.float64))
    found = product(nystrom_factor(matrix, 3, torch.arange(3)))
    assert torch.allclose(found, matrix + shift * torch.eye(3, dtype=torch.float64))


def test_a_matrix_of_zeros_stays_so() -> None:
    assert not nystrom_factor(torch.zeros(4, 4), 2, torch.tensor([0, 1, 2])).any()

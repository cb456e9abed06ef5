"""The greatest singular values of a matrix by power iteration, and the nearest matrix whose values are capped.

Works on torch matrices of any floating type, on their device. Knows no networks.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

ITERATIONS = 10_000
"""A power iteration gives up here. It has then met two values so near each other that telling their vectors apart
hardly changes what is made of them."""

_TINY = 1e-30


@dataclass(frozen=True)
class Triples:
    """The ``k`` greatest singular values of a matrix (m, n), greatest first, with their vectors."""

    left: Tensor
    """Unit columns u_i, shape (m, k)."""
    values: Tensor
    """sigma_i, at least 0, shape (k,)."""
    right: Tensor
    """Unit columns v_i, shape (n, k)."""

    def matrix(self) -> Tensor:
        """The sum of sigma_i u_i v_i^T, shape (m, n)."""
        return (self.left * self.values) @ self.right.T


def power_step(matrix: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """One iteration for a matrix (m, n): unit vectors (m,) and (n,), nearer to the greatest singular value's.

    Zeros where the matrix maps ``right``, shape (n,), to zero.
    """
    left = functional.normalize(matrix @ right, dim=0, eps=_TINY)
    return left, functional.normalize(matrix.T @ left, dim=0, eps=_TINY)


def start_vector(matrix: Tensor) -> Tensor:
    """A unit vector (n,) for a matrix (m, n), always the same: what is found depends on nothing but the matrix."""
    normal = torch.randn(matrix.shape[1], generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return functional.normalize(normal, dim=0).to(matrix)


def power_iteration(matrix: Tensor, right: Tensor | None = None, iterations: int = ITERATIONS) -> tuple[Tensor, Tensor]:
    """Singular vectors (m,) and (n,) of the greatest value of a matrix (m, n), as well as its precision tells them.

    ``right``, shape (n,), is where to start from. The error falls by (sigma_2 / sigma_1)^2 an iteration.
    """
    right = start_vector(matrix) if right is None else right
    least = 4 * torch.finfo(matrix.dtype).eps
    left, right = power_step(matrix, right)
    for _ in range(iterations):
        before = right
        left, right = power_step(matrix, right)
        if torch.linalg.vector_norm(right - before) <= least:
            break
    return left, right


@torch.no_grad()
def top_triples(matrix: Tensor, k: int) -> Triples:
    """The k greatest singular values of a matrix (m, n) and their vectors, k at most min(m, n), by deflation."""
    if not 0 <= k <= min(matrix.shape):
        raise ValueError(f"a matrix of shape {tuple(matrix.shape)} has no {k} singular values")
    rest, found = matrix.clone(), []
    for _ in range(k):
        left, right = power_iteration(rest)
        value = left @ rest @ right
        rest -= value * torch.outer(left, right)
        found.append((left, value, right))
    if not found:
        empty = matrix.new_zeros
        return Triples(empty(matrix.shape[0], 0), empty(0), empty(matrix.shape[1], 0))
    lefts, values, rights = zip(*found, strict=True)
    return Triples(torch.stack(lefts, dim=1), torch.stack(values), torch.stack(rights, dim=1))


@torch.no_grad()
def cap_spectrum(matrix: Tensor, greatest: float) -> Tensor:
    """The nearest matrix in Frobenius norm whose singular values are at most ``greatest``, above 0 (Algorithm 3).

    Dividing by the spectral norm (Miyato et al. 2018) reaches the same norm, but shrinks values that need not shrink.
    """
    if greatest <= 0:
        raise ValueError("a spectral norm is capped at a positive number")
    capped, rest = torch.zeros_like(matrix), matrix.clone()
    for _ in range(min(matrix.shape)):
        left, right = power_iteration(rest)
        value = left @ rest @ right
        if value < greatest:
            break
        direction = torch.outer(left, right)
        capped += greatest * direction
        rest -= value * direction
    return capped + rest

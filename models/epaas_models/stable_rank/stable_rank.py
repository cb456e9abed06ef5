"""The stable rank of a matrix, and the nearest matrix of a given stable rank (thesis 4.3.2).

Works on torch matrices, by power iteration for the few singular values that the solution needs. Knows no networks.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from epaas_models.stable_rank.spectral import Triples, top_triples


@dataclass(frozen=True)
class Normalised:
    """A matrix of the wanted stable rank, and how many of its greatest singular values are those it had before."""

    matrix: Tensor
    preserved: int


@torch.no_grad()
def stable_rank(matrix: Tensor) -> float:
    """||W||_F^2 / ||W||_2^2 of a matrix that is not all zeros, from 1 to its rank (Definition 18)."""
    spectral_norm = top_triples(matrix, 1).values[0]
    if not spectral_norm > 0:
        raise ValueError("a matrix of zeros has no stable rank")
    return float((torch.linalg.matrix_norm(matrix) / spectral_norm) ** 2)


@torch.no_grad()
def normalise_stable_rank(matrix: Tensor, target: float, k: int = 1, triples: Triples | None = None) -> Normalised:
    """The nearest matrix in Frobenius norm with stable rank ``target``, at least 1, among those that keep the k
    greatest singular values (Theorem 1; Algorithm 4 where k is at least 1).

    Unchanged where its stable rank is no greater than the target. Where no matrix of that stable rank has all k values,
    as many are kept as one can have, never fewer than one: :attr:`Normalised.preserved` says how many. With k = 0
    nothing is kept and the spectral norm may grow: the nearest matrix of all.

    ``triples``, at least max(1, k) of the matrix (m, n), are found where they are not given. Raises ValueError for a
    target below 1, which no matrix has, for k outside 0 to min(m, n), and for a matrix of zeros.
    """
    if not target >= 1:
        raise ValueError("a stable rank is at least 1")
    if not 0 <= k <= min(matrix.shape):
        raise ValueError(f"a matrix of shape {tuple(matrix.shape)} has no {k} singular values to keep")
    triples = top_triples(matrix, max(1, k)) if triples is None else triples
    squares = triples.values**2
    if not squares[0] > 0:
        raise ValueError("a matrix of zeros has no stable rank")
    budget = target * squares[0] * (1 + 8 * torch.finfo(matrix.dtype).eps)
    if torch.linalg.matrix_norm(matrix) ** 2 <= budget:
        return Normalised(matrix.clone(), k)
    kept = max(1, int((squares[: max(1, k)].cumsum(0) <= budget).sum()))
    head = Triples(triples.left[:, :kept], triples.values[:kept], triples.right[:, :kept]).matrix()
    tail = matrix - head
    # What the target leaves to the tail, over what the tail has, is gamma of the theorem, below 1.
    left_over = (target * squares[0] - squares[:kept].sum()).clamp(min=0).sqrt()
    has = torch.linalg.matrix_norm(tail)
    gamma = left_over / has.clamp(min=max(float(left_over), torch.finfo(matrix.dtype).tiny))
    if k:
        return Normalised(head + tail * gamma, kept)
    # gamma_1 = gamma_2 / gamma, written so that it is 1 at a target of 1, where both of these are 0.
    scale = (1 + (target - 1) ** 0.5 * has / triples.values[0]) / target
    return Normalised(head * scale + tail * (scale * gamma), 0)

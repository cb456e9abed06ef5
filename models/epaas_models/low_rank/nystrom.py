"""Low-rank approximation of a symmetric positive semidefinite matrix by the ensembled Nyström method (thesis 6.3.3).

Works with factors F, of which F F^T is the approximation: they are small, and what they stand for is symmetric and
positive semidefinite whatever rounding does (Lemma 3). Knows no layers.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

SMOOTHING = 0.01
"""Times the identity, added until the sampled matrix is positive semidefinite (6.3.2)."""


def nystrom_factor(matrix: Tensor, rank: int, columns: Tensor) -> Tensor:
    """F (m, rank) with F F^T = C Z_r^+ C^T (Equation (6.4)) of a symmetric ``matrix`` (m, m).

    ``columns`` (l,) are distinct indices, C those columns and Z those rows of C; Z_r is the best approximation of Z of
    that ``rank``. Zero columns of F stand for what Z lacks in rank. A matrix whose Z is not positive semidefinite is
    first smoothed by the least multiple of 0.01 I that makes it so.
    """
    sampled = matrix[:, columns]
    values, vectors = torch.linalg.eigh(sampled[columns])
    least = float(values[0])
    if least < -_zero(values):
        shift = SMOOTHING * math.ceil(-least / SMOOTHING)
        sampled = sampled.clone()
        sampled[columns, torch.arange(len(columns), device=columns.device)] += shift
        values = values + shift
    values, vectors = values[-rank:], vectors[:, -rank:]
    kept = values > _zero(values)
    scales = torch.where(kept, values, 1).rsqrt() * kept
    factor: Tensor = sampled @ (vectors * scales)
    return factor


def ensembled_nystrom_factor(
    matrix: Tensor, rank: int, *, sampled: int, runs: int, generator: torch.Generator | None = None
) -> Tensor:
    """F (m, runs * rank) whose F F^T is the mean of ``runs`` Nyström approximations (Kumar et al. 2009).

    Each draws its ``sampled`` columns, at most all m, uniformly, from torch's own generator unless one is given. The
    rank of the mean is up to runs times ``rank``: :func:`truncated` brings it down.
    """
    size = len(matrix)
    drawn = (torch.randperm(size, generator=generator)[: min(sampled, size)] for _ in range(runs))
    factors = [nystrom_factor(matrix, rank, columns.to(matrix.device)) for columns in drawn]
    return torch.cat(factors, dim=1) / math.sqrt(runs)


def truncated(factor: Tensor, rank: int) -> Tensor:
    """G (m, rank) with G G^T the best approximation of that rank of F F^T; the factor F has at least so many columns.

    The decomposition is of F^T F, as small as F has columns, and not of an (m, m) matrix.
    """
    _, vectors = torch.linalg.eigh(factor.T @ factor)
    best: Tensor = factor @ vectors[:, -rank:]
    return best


def best_factor(matrix: Tensor, rank: int) -> Tensor:
    """F (m, rank) with F F^T the nearest positive semidefinite matrix of that rank to a symmetric ``matrix`` (m, m).

    Equation (6.3) by a whole decomposition: what the Nyström method approximates.
    """
    values, vectors = torch.linalg.eigh(matrix)
    factor: Tensor = vectors[:, -rank:] * values[-rank:].clamp(min=0).sqrt()
    return factor


def _zero(values: Tensor) -> float:
    """What rounding leaves of an eigenvalue that is zero."""
    return float(values.abs().max()) * len(values) * torch.finfo(values.dtype).eps

"""How many dimensions hold representations: measures of the singular values of an activation matrix (thesis 6.4.1).

As in the thesis the matrix is not centred, so that the mean of the rows counts as a direction. Knows no networks.
"""

from __future__ import annotations

import torch
from torch import Tensor


def singular_values(activations: Tensor) -> Tensor:
    """All min(n, m) of activations (n, m), greatest first, in double precision."""
    values: Tensor = torch.linalg.svdvals(activations.double())
    return values


def cut(activations: Tensor, rank: int) -> Tensor:
    """The nearest matrix (n, m) of that rank, in double precision."""
    left, values, right = torch.linalg.svd(activations.double(), full_matrices=False)
    nearest: Tensor = (left[:, :rank] * values[:rank]) @ right[:rank]
    return nearest


def variance_ratio(values: Tensor, count: int) -> float:
    """The share, from 0 to 1, of the sum of squared singular ``values`` that the ``count`` greatest have (6.4.1).

    1 where all are zero: nothing is left out.
    """
    squares = values.square()
    total = float(squares.sum())
    return float(squares[:count].sum()) / total if total else 1.0


def effective_rank(values: Tensor, share: float = 0.99) -> int:
    """The least number of singular ``values``, greatest first, whose variance ratio is at least ``share``."""
    return next(count for count in range(len(values) + 1) if variance_ratio(values, count) >= share)


def stable_rank(values: Tensor) -> float:
    """||A||_F^2 / ||A||_2^2 (thesis Definition 18), from 1 to the rank; 0 for a matrix of zeros."""
    return float(values.square().sum() / values[0].square()) if values[0] else 0.0

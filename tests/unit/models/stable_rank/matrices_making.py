"""Matrices of known singular values, and the answers of a full decomposition."""

from __future__ import annotations

from collections.abc import Sequence

import hypothesis.strategies as st
import numpy as np
import torch
from torch import Tensor

seeds = st.integers(0, 2**32 - 1)
sides = st.tuples(st.integers(1, 7), st.integers(1, 7))


def normal(seed: int, shape: tuple[int, ...]) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


def with_values(values: Sequence[float], shape: tuple[int, int], seed: int = 0) -> Tensor:
    """A matrix (m, n) with these singular values, min(m, n) of them, and random vectors."""
    random = np.random.default_rng(seed)
    left, right = (np.linalg.qr(random.normal(size=(side, side)))[0][:, : len(values)] for side in shape)
    return torch.from_numpy((left * np.array(values)) @ right.T)


def singular_values(matrix: Tensor) -> np.ndarray:  # type: ignore[type-arg]
    return np.linalg.svd(matrix.detach().double().numpy(), compute_uv=False)


def stable_rank_by_svd(matrix: Tensor) -> float:
    values = singular_values(matrix)
    return float((values**2).sum() / values[0] ** 2)

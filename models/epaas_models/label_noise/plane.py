"""Classification in the plane: the thesis's synthetic data of sections 5.3 and 5.4, how near decision boundaries are to
them, and maps of the boundaries.

Two dimensions are few enough to look at the whole disc around a row, so that any classifier can be attacked, with
gradients or without.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

Predict = Callable[[NDArray[np.float32]], NDArray[np.int64]]
"""Classes (n,) of points (n, 2)."""

_DIRECTIONS = 32
_RINGS = 4


def parity_balls(rows: int, balls: int, radius: float, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Points (rows, 2) and which ball each is of (rows,), from 0 to 2 * balls - 1; the class is its parity.

    The (r, k) 1-bit parity class conditional model of appendix D.1: class y, and uniform in the disc of ``radius``
    around (i + y, i) with i from 1 to ``balls``. Ball 2 (i - 1) + y. Linearly separable for a radius below 1/(2 √2).
    """
    random = np.random.default_rng(seed)
    ball = random.integers(0, 2 * balls, rows)
    number, label = ball // 2 + 1, ball % 2
    centres = np.column_stack([number + label, number])
    return (centres + _in_disc(random, rows, radius)).astype(np.float32), ball


def blobs(
    rows: int, side: int, radius: float, jitter: float, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Points (rows, 2) of discs of ``radius`` around a jittered ``side`` x ``side`` lattice, each disc of one class.

    The kind of binary problem that Figure 5.7 draws; the thesis does not give its blobs. Centres move by at most
    ``jitter`` in either direction, so that discs stay apart while 2 (radius + jitter) < 1. Classes 0 and 1 at random.
    """
    random = np.random.default_rng(seed)
    lattice = np.stack(np.meshgrid(np.arange(side), np.arange(side)), axis=-1).reshape(-1, 2)
    centres = lattice + random.uniform(-jitter, jitter, lattice.shape)
    classes = random.permutation(np.arange(side * side) % 2)
    blob = random.integers(0, side * side, rows)
    return (centres[blob] + _in_disc(random, rows, radius)).astype(np.float32), classes[blob]


def errors_within(
    predict: Predict, points: NDArray[np.float32], labels: NDArray[np.int64], budget: float
) -> NDArray[np.bool_]:
    """Whether some point within Euclidean distance ``budget`` of each row (n,) is not classified as the row's label.

    Of the disc, its centre and 4 rings in 32 directions are looked at: an estimate from below, the same for all.
    """
    turns = np.linspace(0, 2 * np.pi, _DIRECTIONS, endpoint=False)
    directions = np.column_stack([np.cos(turns), np.sin(turns)])
    lengths = budget * np.arange(1, _RINGS + 1) / _RINGS
    moves = np.concatenate([np.zeros((1, 2)), (lengths[:, None, None] * directions).reshape(-1, 2)])
    around = (points[:, None, :] + moves).astype(np.float32)
    wrong = predict(around.reshape(-1, 2)).reshape(len(points), -1) != labels[:, None]
    return np.asarray(wrong.any(axis=1))


def decision_map(predict: Predict, points: NDArray[np.float32], cells: int) -> list[list[float]]:
    """Classes on a grid of ``cells`` x ``cells`` over the points' bounding box, rows from the least y on: a figure."""
    (left, bottom), (right, top) = points.min(axis=0), points.max(axis=0)
    grid = np.stack(np.meshgrid(np.linspace(left, right, cells), np.linspace(bottom, top, cells)), axis=-1)
    classes = predict(grid.reshape(-1, 2).astype(np.float32)).reshape(cells, cells)
    return [[float(cell) for cell in row] for row in classes]


def predictor(network: nn.Module) -> Predict:
    """The class of a network's greatest logit, in evaluation mode."""
    network.eval()

    def predict(points: NDArray[np.float32]) -> NDArray[np.int64]:
        with torch.no_grad():
            classes: NDArray[np.int64] = network(torch.from_numpy(points)).argmax(dim=1).numpy()
        return classes

    return predict


def _in_disc(random: np.random.Generator, rows: int, radius: float) -> NDArray[np.float64]:
    """Uniform in a disc around the origin, (rows, 2)."""
    turns, lengths = 2 * np.pi * random.random(rows), radius * np.sqrt(random.random(rows))
    return np.column_stack([lengths * np.cos(turns), lengths * np.sin(turns)])

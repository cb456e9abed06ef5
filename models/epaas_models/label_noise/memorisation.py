"""Memorisation and influence (Feldman and Zhang 2020; thesis 5.2.3), estimated from networks of random subsets of rows.

Leaving one row out at a time would take a training a row; instead each network is trained on a random share of the
rows, and serves every row, with those where it was in on one side and those where it was out on the other. Knows no
networks: a caller trains and says what was right.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def subsets(rows: int, count: int, share: float, seed: int) -> NDArray[np.bool_]:
    """Which rows are in each training, (count, rows): ``round(share * rows)`` of them, without replacement."""
    random = np.random.default_rng(seed)
    ranks = random.permuted(np.tile(np.arange(rows), (count, 1)), axis=1)
    return np.asarray(ranks < round(share * rows))


def self_influence(inside: NDArray[np.bool_], right: NDArray[np.bool_]) -> NDArray[np.float64]:
    """mem(A, S, i), (rows,), from -1 to 1: how much likelier row i is right where it was in the training.

    ``inside`` (trainings, rows) as :func:`subsets` gives it, ``right`` (trainings, rows) whether each network then
    predicted the row's training label. nan for a row that was in all trainings or in none.
    """
    within = _share(right & inside, inside)
    without = _share(right & ~inside, ~inside)
    return within - without


def influence(inside: NDArray[np.bool_], right: NDArray[np.bool_]) -> NDArray[np.float64]:
    """infl(A, S, i, j), (rows, tests), from -1 to 1: how much likelier test row j is right where row i was trained on.

    ``right`` (trainings, tests) is of the test rows. nan for a row that was in all trainings or in none.
    """
    hits = right.astype(np.float64)
    counts = inside.sum(axis=0)[:, None]
    within, without = inside.T.astype(np.float64) @ hits, (~inside).T.astype(np.float64) @ hits
    with np.errstate(invalid="ignore"):
        difference: NDArray[np.float64] = within / counts - without / (len(inside) - counts)
    return difference


def _share(hits: NDArray[np.bool_], of: NDArray[np.bool_]) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore"):
        share: NDArray[np.float64] = hits.sum(axis=0) / of.sum(axis=0)
    return share

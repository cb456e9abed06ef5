"""Two representations of one problem with label noise (thesis Theorem 4): parities of bits, and unions of intervals.

Rows are numbers near a few integers; the class is the parity of some bits of the nearest one. A parity cannot fit
noise; a union of intervals can, at no cost in natural error, and is then open to attack.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Labels = NDArray[np.int64]

REACH = 0.25
"""Half the length of an interval of the support."""


@dataclass(frozen=True)
class Parity:
    """The class C of Theorem 4: whether the bits of the nearest integer that ``mask`` (bits,) has are odd in number."""

    mask: Labels
    """0 and 1, the least significant bit first."""

    def predict(self, rows: Numbers) -> Labels:
        return bits_of(np.rint(rows).astype(np.int64), len(self.mask)) @ self.mask % 2

    @classmethod
    def fitted(cls, rows: Numbers, labels: Labels, bits: int) -> Parity:
        """By a majority vote on each interval, then Gaussian elimination over GF(2) (Lemma 8).

        Raises ValueError where no parity agrees with the votes: there were too few rows for the noise.
        """
        integers, votes = majorities(rows, labels)
        return cls(_solve(bits_of(integers, bits), votes))


@dataclass(frozen=True)
class Union:
    """The class H of Theorem 4: intervals around integers, less or more the single points of ``exceptions`` (k,)."""

    integers: Labels
    classes: Labels
    exceptions: Numbers

    def predict(self, rows: Numbers) -> Labels:
        classes = self.classes[np.searchsorted(self.integers, np.rint(rows).astype(np.int64))]
        return np.where(np.isin(rows, self.exceptions), 1 - classes, classes)

    @classmethod
    def fitted(cls, rows: Numbers, labels: Labels) -> Union:
        """The majority on each interval, and every row that is not of it an interval of its own (Lemma 9)."""
        integers, classes = majorities(rows, labels)
        against = classes[np.searchsorted(integers, np.rint(rows).astype(np.int64))] != labels
        return cls(integers, classes, rows[against])

    def errors_within(self, rows: Numbers, labels: Labels, budget: float) -> NDArray[np.bool_]:
        """Whether a number within ``budget``, at most 1/4, of each row (n,) has another class than its label; exact."""
        wrong: NDArray[np.bool_] = self.predict(rows) != labels
        if len(self.exceptions):
            # within 1/4, rows of the support reach no other integer's interval
            wrong |= np.abs(rows[:, None] - self.exceptions).min(axis=1) <= budget
        return wrong


def parity_intervals(rows: int, support: Labels, mask: Labels, seed: int) -> tuple[Numbers, Labels]:
    """Numbers (rows,), uniform within 1/4 of the integers of ``support``, and their parities (appendix D.2)."""
    random = np.random.default_rng(seed)
    numbers = random.choice(support, rows) + random.uniform(-REACH, REACH, rows)
    return numbers, Parity(mask).predict(numbers)


def majorities(rows: Numbers, labels: Labels) -> tuple[Labels, Labels]:
    """The integers that rows are near to, ascending, and the class that most rows near each have."""
    integers, interval = np.unique(np.rint(rows).astype(np.int64), return_inverse=True)
    votes = np.bincount(interval, weights=2 * labels - 1)
    return integers, (votes > 0).astype(np.int64)


def bits_of(integers: Labels, count: int) -> Labels:
    """(rows, count), the least significant bit first."""
    return integers[:, None] >> np.arange(count) & 1


def _solve(system: Labels, values: Labels) -> Labels:
    """A solution of ``system`` (equations, unknowns) over GF(2), its free unknowns 0."""
    rows = np.column_stack([system, values])
    pivots: list[int] = []
    for unknown in range(system.shape[1]):
        found = np.flatnonzero(rows[len(pivots) :, unknown])
        if not len(found):
            continue
        at = len(pivots)
        rows[[at, at + found[0]]] = rows[[at + found[0], at]]
        others = rows[:, unknown].astype(np.bool_)
        others[at] = False
        rows[others] ^= rows[at]
        pivots.append(unknown)
    if rows[len(pivots) :, -1].any():
        raise ValueError("no parity agrees with the majority of every interval")
    solution = np.zeros(system.shape[1], dtype=np.int64)
    solution[pivots] = rows[: len(pivots), -1]
    return solution

"""Proofs that no change within a budget alters a prediction, and their sections of the report.

Owns what is claimed and why it holds, in words; the arithmetic is :mod:`epaas_models.reliability.robustness.bounds`'.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from epaas_models.reliability.robustness.attacked_pictures import picture_feature
from epaas_models.reliability.robustness.bounds import certain, exact
from epaas_models.reliability.robustness.codes import CodeBook
from epaas_models.reliability.robustness.outcomes import rate
from epaas_models.reliability.robustness.reachable import Reach, reachable
from epaas_models.reliability.subject import Columns, Subject
from epaas_shared.features import WHITE, ImageFeature
from epaas_shared.layers import Integers
from epaas_shared.report.robustness import Certificate, Point

_UNCHANGED = "None of its values is within reach of a threshold, so that no bit of the record can change."
_EXACT = (
    "The network has one layer: the changes that move its sums farthest are found column by column, so that the worst "
    "of all records within the budget is known."
)
_BOUNDS = (
    "The least and the greatest sum of every neuron of the first layer over all records within the budget are known "
    "exactly; behind it, neurons that can be either are taken to be so independently of one another. The differences "
    "between the sums of the classes stay on the same side."
)


@dataclass(frozen=True)
class Proof:
    """A certificate row by row: ``proven`` (budgets, rows), whether a row's prediction is certain."""

    name: str
    argument: str
    exact: bool
    budgets: tuple[float, ...]
    proven: NDArray[np.bool_]

    def section(self, right: NDArray[np.bool_]) -> Certificate:
        """``right`` (rows,): whether the clean row is predicted as its class."""
        points = tuple(
            Point(budget=budget, accuracy=rate(right & proven))
            for budget, proven in zip(self.budgets, self.proven, strict=True)
        )
        return Certificate(name=self.name, argument=self.argument, exact=self.exact, points=points)


def picture_certificates(
    subject: Subject, columns: Columns, labels: NDArray[np.int64], budgets: Sequence[float]
) -> tuple[Certificate, ...]:
    """Certificates for ``linf-pixels``; ``budgets`` are shares of the range from black to white."""
    right = subject.predict_columns(columns) == labels
    return tuple(proof.section(right) for proof in picture_proofs(subject, columns, budgets))


def picture_proofs(subject: Subject, columns: Columns, budgets: Sequence[float]) -> tuple[Proof, ...]:
    """The same row by row, for a task of pictures."""
    name = picture_feature(subject).name
    reaches = [reachable(subject.schema, columns, {name: budget * WHITE}) for budget in budgets]
    return reach_proofs(subject, columns, reaches, budgets)


def reach_proofs(
    subject: Subject, columns: Columns, reaches: Sequence[Reach], budgets: Sequence[float]
) -> tuple[Proof, Proof]:
    """That no bit can change, and that no prediction can, where each column moves within its own reach."""
    book = CodeBook.of(subject.schema)
    codes = book.codes_of(subject.schema.encode_columns(columns))
    proven = np.empty((len(reaches), len(codes)), dtype=np.bool_)
    for index, reach in enumerate(reaches):
        # Rows that cannot change need no arithmetic.
        proven[index] = reach.fixed
        moving = np.flatnonzero(~reach.fixed)
        costs = book.reach_costs(reach.low[moving], reach.high[moving])
        proven[index, moving] = certain(subject.network, subject.schema, codes[moving], costs, (0,))[0]
    unchanged = np.array([reach.fixed for reach in reaches])
    return (
        Proof("no threshold within reach", _UNCHANGED, False, tuple(budgets), unchanged),
        _bounds_proof(subject, tuple(budgets), proven, complete=not _standardised(subject)),
    )


def change_proof(subject: Subject, codes: Integers, costs: Integers, budgets: Sequence[int]) -> Proof:
    """That no prediction changes for so many changes; ``codes`` and ``costs`` as :class:`CodeBook` has them."""
    proven = certain(subject.network, subject.schema, codes, costs, tuple(budgets))
    return _bounds_proof(subject, tuple(map(float, budgets)), proven, complete=True)


def _bounds_proof(subject: Subject, budgets: tuple[float, ...], proven: NDArray[np.bool_], *, complete: bool) -> Proof:
    """``complete``: whether every code that was said to be within reach is."""
    if complete and exact(subject.network):
        return Proof("worst case", _EXACT, True, budgets, proven)
    return Proof("bounds of sums", _BOUNDS, False, budgets, proven)


def _standardised(subject: Subject) -> bool:
    return any(isinstance(feature, ImageFeature) and feature.standardised for feature in subject.schema.features)

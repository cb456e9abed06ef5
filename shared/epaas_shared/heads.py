"""Heads: how the sums of the last layer become the prediction, in the clear and as threshold layers to be encrypted.

A sum is never shown as it is: a head turns sums into bits by more thresholds, and bits into values by one levelled
combination. :meth:`Head.values` is the plain reference and :meth:`Head.layers` with :attr:`Head.combination` what is
evaluated under encryption; the two agree for every input.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from epaas_shared.layers import DenseLayer, Integers
from epaas_shared.scores import ScoreScale


class Head(Protocol):
    """Takes sums around the thresholds of the last layer, (records, outputs), to small values, (records, values)."""

    @property
    def outputs(self) -> int:
        """How many neurons the last layer must have."""
        ...

    @property
    def combination(self) -> Integers:
        """Values from the bits of the last of :meth:`layers`: values = combination @ bits; shape (values, bits)."""
        ...

    def values(self, sums: Integers) -> Integers:
        """The values by plain arithmetic, (records, outputs) to (records, values)."""
        ...

    def layers(self, last: DenseLayer) -> tuple[DenseLayer, ...]:
        """The layers evaluated in place of ``last``."""
        ...

    def indices(self, values: Integers) -> list[int]:
        """Index of the predicted class of each record, from values of shape (records, values)."""
        ...


@dataclass(frozen=True)
class LabelBit:
    """One neuron for two classes: the label is its bit."""

    @property
    def outputs(self) -> int:
        return 1

    @property
    def combination(self) -> Integers:
        return np.ones((1, 1), dtype=np.int64)

    def values(self, sums: Integers) -> Integers:
        return (sums >= 0).astype(np.int64)

    def layers(self, last: DenseLayer) -> tuple[DenseLayer, ...]:
        return (last,)

    def indices(self, values: Integers) -> list[int]:
        return labels(values)


@dataclass(frozen=True)
class LabelArgmax:
    """The label is the class with the greatest sum, the first of several, in binary digits, least significant first.

    Two layers compute it: ``pairs`` compares S_i >= S_j for every i < j, and ``winners`` has one neuron a class, which
    fires if the class is as good as all later ones and better than all earlier ones. Exactly one does.
    """

    classes: int

    @property
    def outputs(self) -> int:
        return self.classes

    @property
    def combination(self) -> Integers:
        digits = np.arange(label_digits(self.classes))[:, None]
        return np.arange(self.classes) >> digits & 1

    def values(self, sums: Integers) -> Integers:
        digits: Integers = sums.argmax(axis=1)[:, None] >> np.arange(label_digits(self.classes)) & 1
        return digits

    def layers(self, last: DenseLayer) -> tuple[DenseLayer, ...]:
        earlier, later = np.triu_indices(self.classes, 1)
        pairs = DenseLayer(
            last.weights[earlier] - last.weights[later], last.thresholds[earlier] - last.thresholds[later]
        )
        each = np.arange(self.classes)[:, None]
        winners = (earlier == each).astype(np.int64) - (later == each)
        return pairs, DenseLayer(winners, np.arange(self.classes)[::-1].copy())

    def indices(self, values: Integers) -> list[int]:
        return labels(values)


@dataclass(frozen=True)
class Scores:
    """Each class's sum, cut into the levels of a scale: q = clip(floor((S - minimum) / step), 0, greatest level)."""

    classes: int
    scale: ScoreScale

    @property
    def outputs(self) -> int:
        return self.classes

    @property
    def combination(self) -> Integers:
        return np.repeat(np.eye(self.classes, dtype=np.int64), self.scale.greatest_level, axis=1)

    def values(self, sums: Integers) -> Integers:
        levels: Integers = np.clip((sums - self.scale.minimum) // self.scale.step, 0, self.scale.greatest_level)
        return levels

    def layers(self, last: DenseLayer) -> tuple[DenseLayer, ...]:
        """A thermometer: one neuron a class and level, which fires from that level on."""
        levels = [self.scale.score(level) for level in range(1, self.scale.greatest_level + 1)]
        thresholds = last.thresholds[:, None] + np.array(levels)
        return (DenseLayer(np.repeat(last.weights, len(levels), axis=0), thresholds.ravel()),)

    def indices(self, values: Integers) -> list[int]:
        """The class with the greatest level, the first of several."""
        return [int(best) for best in values.argmax(axis=1)]


def label_digits(classes: int) -> int:
    """How many binary digits a label has, of 2 or more classes."""
    return (classes - 1).bit_length()


def labels(values: Integers) -> list[int]:
    """Class index of each record from its digits, (records, digits), least significant first."""
    return [int(index) for index in values.astype(np.int64) @ (1 << np.arange(values.shape[1]))]

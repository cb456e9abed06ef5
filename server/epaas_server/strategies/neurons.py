"""The neurons of a layer as netlists, with or without the +1 trick (thesis 8.4.2, 8.4.3).

Inputs of weight 0 drop out, and a neuron that is constant costs nothing. With the +1 trick, a neuron of a dense layer
does not add up all its inputs: with P the number of ones where w = 1, N where w = -1, Z where w = 0 and X all ones,

    w x = P - N = 2 P + Z - X = X - 2 N - Z,

so that at most half of the inputs of a binary neuron are added, and X, once for the whole layer, is compared with.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from epaas_server.strategies.comparisons import Comparison
from epaas_server.strategies.netlist import Netlist, Wire
from epaas_shared.layers import DenseLayer, Integers, Layer, Rows

_OVERHEAD = 16
"""Inputs that must be saved before comparing with X, instead of a clear threshold, is worth it."""


@dataclass(frozen=True)
class Neuron:
    """A netlist and where its inputs come from: ``sources`` are inputs of the layer, or, beyond them, outputs of X."""

    netlist: Netlist
    sources: Integers
    negated: Integers
    """1 where the input is the negation of its source, else 0."""


@dataclass(frozen=True)
class PlusOne:
    """What the neurons of a layer share: X + offset, X the number of ones among all ``inputs``."""

    inputs: int
    offset: int

    def total(self, comparison: Comparison) -> Netlist:
        return comparison.total(self.inputs, self.offset)


def neurons(rows: Rows, comparison: Comparison, plus_one: PlusOne | None) -> Iterator[Neuron]:
    """The neurons of a block of rows in order."""
    for weights, threshold in zip(rows.weights, rows.thresholds, strict=True):
        yield _neuron(weights, int(threshold), rows.inputs, comparison, plus_one)


def plus_one_of(layer: Layer, comparison: Comparison) -> PlusOne | None:
    """What to share, or None where adding X up costs more than it saves, or the layer is not dense and ternary."""
    if not isinstance(layer, DenseLayer) or layer.largest_weight > 1:
        return None
    plus, minus = (layer.weights == 1).sum(axis=1), (layer.weights == -1).sum(axis=1)
    zero = layer.inputs - plus - minus
    saved = plus + minus - np.minimum(plus, minus) - zero - _OVERHEAD
    shares = (zero == 0) | comparison.takes_single
    if np.maximum(saved[shares], 0).sum() <= layer.inputs:
        return None
    # whichever of 2P + Z - T and 2N + Z + T - 1 a neuron compares with X, offset makes it non-negative
    rows = layer.rows(0, layer.outputs)
    return PlusOne(layer.inputs, int(max(0, rows.thresholds.max(), 1 - rows.thresholds.min())))


def _neuron(
    weights: Integers, threshold: int, inputs: Integers, comparison: Comparison, plus_one: PlusOne | None
) -> Neuron:
    size = np.abs(weights)
    positive_threshold = threshold - int(np.minimum(weights, 0).sum())
    if positive_threshold <= 0 or positive_threshold > size.sum():
        return Neuron(
            Netlist(0, (), (Wire(int(positive_threshold <= 0)),)), np.empty(0, np.int64), np.empty(0, np.int64)
        )
    if plus_one is not None and (shared := _against_total(weights, threshold, inputs, comparison, plus_one)):
        return shared
    used = np.flatnonzero(weights)
    order = used[np.argsort(size[used], kind="stable")]
    netlist = comparison.direct(tuple(size[order].tolist()), positive_threshold)
    return Neuron(netlist, inputs[order], (weights[order] < 0).astype(np.int64))


def _against_total(
    weights: Integers, threshold: int, inputs: Integers, comparison: Comparison, plus_one: PlusOne
) -> Neuron | None:
    plus, minus, zero = (np.flatnonzero(weights == value) for value in (1, -1, 0))
    flipped = len(minus) < len(plus)
    doubled = minus if flipped else plus
    if len(doubled) + len(zero) + _OVERHEAD >= len(plus) + len(minus):
        return None
    clear = plus_one.offset + (threshold - 1 if flipped else -threshold)
    outputs = len(plus_one.total(comparison).outputs)
    netlist = comparison.against_total(len(doubled), len(zero), clear, outputs, flipped)
    if netlist is None:
        return None
    sources = np.concatenate([doubled, zero, len(inputs) + np.arange(outputs)])
    return Neuron(netlist, sources, np.zeros(len(sources), np.int64))

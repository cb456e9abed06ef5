"""A threshold over a sum that no circuit covers, exactly: digits of its parts, then digits of what they leave.

The inputs are cut into parts whose sums stay below 1,024. DIGIT gives the two top bits u of each part's sum, as a
number and in their place, 256 u, which is taken off. What is left of all parts (up to 255 each) is again below 1,024
and gives up its own top bits, so that

    sum = 256 (u_1 + ... + u_m + v) + r,  0 <= r < 256,

and with T = 256 t_h + t_l, sum >= T exactly if u_1 + ... + u_m + v + [r >= t_l] >= t_h + 1. The thesis has no such
circuit; it would build a reduce tree of all inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from epaas_server.circuits.definitions import DIGIT, THRESHOLDS, Circuit
from epaas_server.engine.batches import Bootstrapper
from epaas_server.engine.levelled import add_clear, weighted_sums
from epaas_server.strategies.strategy import NothingShared, Run, Work, calls_of
from epaas_shared.layers import Layer, Rows
from epaas_shared.zerokey import Torus

_RANGE = 1 << DIGIT.message_bits
_LOW_BITS = DIGIT.message_bits - 2
_LOW = 1 << _LOW_BITS
_SHIFT = 63 - DIGIT.message_bits

REMAINDER: Circuit = THRESHOLDS[-1]
"""Decides [r >= t_l], within 255 on either side; it has the noise budget of a whole sum."""
TOTAL: Circuit = THRESHOLDS[0]
"""Decides over the few digits."""
ADDED_NORM = 8
"""Squared norm that the digits which are taken off add to that of the sum, at most."""


@dataclass(frozen=True)
class Parts:
    """``digits`` parts of absolute weights up to ``capacity`` give up their top bits; one more, maybe, is small."""

    capacity: int
    digits: int


def parts_of(layer: Layer) -> Parts | None:
    """How a layer is cut, by its fan-in and largest weight alone; None where it is too large."""
    largest = layer.largest_weight
    if largest >= _RANGE // 2:
        return None
    capacity = _RANGE - largest
    total = layer.fan_in * largest
    digits, rest = divmod(total, capacity)
    if digits * (_LOW - 1) + rest >= _RANGE:
        digits, rest = digits + 1, 0
    return Parts(capacity, digits) if digits * (_LOW - 1) + rest < _RANGE else None


def parts_or_raise(layer: Layer) -> Parts:
    """Like :func:`parts_of`, of a layer that was not refused."""
    parts = parts_of(layer)
    if parts is None:
        raise ValueError("the layer is too large to be split")
    return parts


def refusal(layer: Layer) -> str | None:
    """Why a layer cannot be split, None if it can."""
    if parts_of(layer) is None:
        return f"{layer.fan_in} inputs with weights up to {layer.largest_weight} are too many to be split"
    return None


def work(layer: Layer, neurons: int) -> Work:
    """The work of a block of neurons."""
    parts = parts_or_raise(layer)
    calls = calls_of(DIGIT, neurons * parts.digits) + calls_of(DIGIT, neurons)
    calls += calls_of(REMAINDER, neurons) + calls_of(TOTAL, neurons)
    decisions = REMAINDER.bootstraps + TOTAL.bootstraps
    bootstraps = neurons * ((parts.digits + 1) * DIGIT.bootstraps + decisions)
    depth = (1 + bool(parts.digits)) * DIGIT.bootstraps + decisions
    return Work(bootstraps, depth, calls, 0, (4 * parts.digits + 4) * neurons)


@dataclass(frozen=True)
class Split(NothingShared):
    """Sums through their digits."""

    parts: Parts

    def evaluate(self, block: Sequence[Run], bootstrap: Bootstrapper) -> Torus:
        digits = self.parts.digits
        sums = np.concatenate([_part_sums(run.rows, run.bits[run.rows.inputs], self.parts) for run in block], axis=1)
        rows = [run.rows for run in block]
        thresholds = np.concatenate([one.thresholds - np.minimum(one.weights, 0).sum(axis=1) for one in rows])
        remainder = sums.sum(axis=0, dtype=np.uint64)
        total = np.zeros_like(remainder)
        if digits:
            _take_off(bootstrap(DIGIT, sums[:digits].reshape(-1, sums.shape[2])), total, remainder)
        _take_off(bootstrap(DIGIT, remainder), total, remainder)

        add_clear(remainder, REMAINDER.half_range - thresholds % _LOW, _SHIFT)
        total += bootstrap(REMAINDER, remainder)
        needed = np.clip((thresholds >> _LOW_BITS) + 1, 0, 3 * (digits + 1) + 2)
        total <<= np.uint64(TOTAL.scale)
        add_clear(total, TOTAL.half_range - needed, 63 - TOTAL.message_bits)
        return bootstrap(TOTAL, total)


def _part_sums(rows: Rows, inputs: Torus, parts: Parts) -> Torus:
    """The sum of each part, made non-negative, (parts, neurons, words); the last is the small one."""
    size = np.abs(rows.weights)
    part_of = (np.cumsum(size, axis=1) - size) // parts.capacity
    sums = np.empty((parts.digits + 1, len(size), inputs.shape[1]), dtype=np.uint64)
    for part in range(parts.digits + 1):
        weights = np.where(part_of == part, rows.weights, 0)
        sums[part] = weighted_sums(weights, inputs)
        add_clear(sums[part], -np.minimum(weights, 0).sum(axis=1), _SHIFT)
    return sums


def _take_off(digits_and_places: Torus, total: Torus, remainder: Torus) -> None:
    """Move the top bits of one or more sums a neuron from ``remainder`` to ``total``, in place."""
    digits, places = digits_and_places.reshape(2, -1, *total.shape)
    total += digits.sum(axis=0, dtype=np.uint64)
    remainder -= places.sum(axis=0, dtype=np.uint64)

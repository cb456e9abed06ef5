"""Circuits in the clear: what the compiled ones are made to compute, on ciphertexts that hide nothing.

What a compiled circuit could not do is an AssertionError here: a batch that is not compiled, a message outside of its
encoding, a body with noise, and, where it is counted, more noise in a sum than the circuit provides for.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from server_making import SHIFT, trivial

from epaas_server.circuits.definitions import Circuit, Kind
from epaas_server.engine.batches import Batched
from epaas_server.strategies.strategy import Calls, Strategy
from epaas_shared.features import Bits
from epaas_shared.layers import Layer
from epaas_shared.profile import default_profile
from epaas_shared.ranges import SumRange

PROFILE = default_profile()

HALF_BOX = 128
"""Of the look-up of 2 bits in units of the encoding of 10: it steps at 2 * 256 - 128, and reads down to -128."""


class ClearCircuits:
    """A bootstrapper for compiled batches.

    Ciphertexts of one word have a body only. Where there are more, each word of the mask stands for a bit's noise, of
    which ``inputs`` are those of the inputs: what is bootstrapped has 1 in a word of its own, so that the mask of a sum
    has the coefficients of its independent noises.
    """

    def __init__(self, inputs: int = 0) -> None:
        self.calls: Calls = Counter()
        self._sources = inputs

    def __call__(self, circuit: Circuit, sums: NDArray[np.uint64]) -> NDArray[np.uint64]:
        assert len(sums) in circuit.batch_sizes, f"{circuit.name} is not compiled for {len(sums)}"
        if circuit.kind is not Kind.STEP:
            assert squared_norms(sums).max() <= circuit.squared_norm_budget << (2 * circuit.scale), "too much noise"
        outputs = trivial(_table(circuit, sums[:, -1]), sums.shape[1])
        if sums.shape[1] > 1:
            outputs[np.arange(len(outputs)), self._sources + np.arange(len(outputs))] = 1
            self._sources += len(outputs)
        self.calls[circuit, len(sums)] += 1
        return outputs


def _table(circuit: Circuit, bodies: NDArray[np.uint64]) -> NDArray[np.int64]:
    if circuit.kind is Kind.STEP:
        low, high = (-HALF_BOX << SHIFT, (1024 - HALF_BOX) << SHIFT)
        signed = bodies.view(np.int64)
        assert ((low <= signed) & (signed < high)).all(), "the sum left the range of the step"
        return (signed >= (512 - HALF_BOX) << SHIFT).astype(np.int64)
    messages, noise = np.divmod(bodies, np.uint64(1 << (63 - circuit.message_bits)))
    assert not noise.any(), "the sum is not a message of the encoding"
    assert (messages < (4 if circuit.kind is Kind.GATE else 1 << circuit.message_bits)).all(), "out of range"
    found = messages.astype(np.int64)
    if circuit.kind is Kind.GATE:
        return np.array(circuit.table)[found]
    if circuit.kind is Kind.DIGIT:
        return np.concatenate([found // 256, found // 256 * 256])
    return (found >= circuit.half_range).astype(np.int64)


def squared_norms(ciphertexts: NDArray[np.uint64]) -> NDArray[np.int64]:
    """The squared coefficients of the noises of each, added up; 0 where there is no mask."""
    norms: NDArray[np.int64] = (ciphertexts[..., :-1].view(np.int64) ** 2).sum(axis=-1)
    return norms


def messages(ciphertexts: NDArray[np.uint64]) -> NDArray[np.int64]:
    """In the profile's encoding, whatever the mask."""
    found, noise = np.divmod(ciphertexts[..., -1], np.uint64(1 << SHIFT))
    assert not noise.any()
    result: NDArray[np.int64] = found.astype(np.int64)
    return result


def reach(layer: Layer, *, fresh: bool = False) -> SumRange:
    """How far a layer's sums reach if every bit is free."""
    low, high = layer.sum_bounds(None)
    return SumRange(int(low.min()), int(high.max()), int(layer.squared_norms().max()), fresh, "worst-case")


@dataclass(frozen=True)
class Evaluated:
    """What a strategy made of a layer's inputs, and what it did for it."""

    bits: NDArray[np.int64]
    """(records, outputs)"""
    squared_norms: NDArray[np.int64]
    """Of the noise of the bits, (records, outputs); 0 where it was not counted."""
    calls: Calls
    bootstraps: int


def evaluated(strategy: Strategy, layer: Layer, bits: Bits, sums: SumRange, *, count_noise: bool = False) -> Evaluated:
    """A layer evaluated in the clear, (records, inputs) to (records, outputs)."""
    sources = bits.size if count_noise else 0
    words = 1
    if count_noise:
        calls = strategy.work(layer, sums, len(bits), PROFILE).calls
        words += sources + sum(size * circuit.outputs * times for (circuit, size), times in calls.items())
    inputs = trivial(bits, words)
    inputs.reshape(-1, words)[np.arange(sources), np.arange(sources)] = 1
    circuits = ClearCircuits(sources)
    told: list[int] = []
    blocks = list(strategy.evaluate(layer, sums, inputs, PROFILE, Batched(circuits, told.append)))
    assert all(count > 0 for count in told)
    outputs = np.concatenate(blocks).reshape(len(bits), layer.outputs, words)
    assert not outputs[..., :sources].any(), "an output is a levelled sum of inputs"
    return Evaluated(messages(outputs), squared_norms(outputs), circuits.calls, sum(told))

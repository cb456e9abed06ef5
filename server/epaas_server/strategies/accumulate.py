"""``accumulate``: a levelled sum a neuron, then one exact threshold circuit, as narrow as the layer's sums allow.

The sum costs no bootstrap. Its comparison takes one for each bit that the narrowest fitting circuit cuts off, and one
for the rest: 5 to 9. A layer whose sums no circuit covers is split (``strategies.split``). Weights may be any small
integers. What is done depends on the layer's shape and declared range, never on the values of its weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from epaas_server.circuits.definitions import THRESHOLDS, Circuit
from epaas_server.engine.batches import Bootstrapper
from epaas_server.engine.levelled import add_clear, weighted_sums
from epaas_server.strategies import split
from epaas_server.strategies.blocks import block_sizes
from epaas_server.strategies.strategy import NothingShared, Run, Strategy, Work, calls_of
from epaas_shared.layers import Integers, Layer, Rows
from epaas_shared.profile import Profile
from epaas_shared.ranges import SumRange
from epaas_shared.zerokey import Torus


class Accumulate(Strategy):
    name = "accumulate"
    exact = True
    hides_weights = True

    def refusal(self, layer: Layer, sums: SumRange, profile: Profile) -> str | None:
        if narrowest(sums, profile) is not None:
            return None
        if sums.squared_norm + split.ADDED_NORM > norm_budget(THRESHOLDS[-1], sums, profile):
            return f"its squared weights add up to {sums.squared_norm}"
        return split.refusal(layer)

    def work(self, layer: Layer, sums: SumRange, records: int, profile: Profile) -> Work:
        circuit = narrowest(sums, profile)
        work, depth = Work(), 0
        for size in block_sizes(records, layer.outputs):
            if circuit is None:
                block = split.work(layer, size)
            else:
                block = Work(size * circuit.bootstraps, circuit.bootstraps, calls_of(circuit, size), 0, 2 * size)
            work, depth = work.then(block), block.depth
        return Work(work.bootstraps, depth, work.calls, products(layer, records), work.live_ciphertexts)

    def method(self, layer: Layer, sums: SumRange, profile: Profile) -> Compared | split.Split:
        circuit = narrowest(sums, profile)
        return split.Split(split.parts_or_raise(layer)) if circuit is None else Compared(circuit)


@dataclass(frozen=True)
class Compared(NothingShared):
    """Sums through one threshold circuit."""

    circuit: Circuit

    def evaluate(self, block: Sequence[Run], bootstrap: Bootstrapper) -> Torus:
        sums = [compared(run.rows, run.bits, self.circuit) for run in block]
        return bootstrap(self.circuit, np.concatenate(sums))


def narrowest(sums: SumRange, profile: Profile) -> Circuit | None:
    """The cheapest threshold circuit that covers the range and the noise of a layer's sums."""
    for circuit in THRESHOLDS:
        covered = -circuit.half_range <= sums.minimum and sums.maximum < circuit.half_range
        if covered and sums.squared_norm <= norm_budget(circuit, sums, profile):
            return circuit
    return None


def norm_budget(circuit: Circuit, sums: SumRange, profile: Profile) -> int:
    """The squared norm that a circuit allows; freshly encrypted inputs carry far less noise."""
    return profile.fresh_squared_norm_budget >> (2 * circuit.scale) if sums.fresh else circuit.squared_norm_budget


def compared(rows: Rows, bits: Torus, circuit: Circuit) -> Torus:
    """The sums of ``rows`` as a threshold circuit takes them: with the threshold in the middle of its range."""
    return against(weighted_sums(rows.weights, bits[rows.inputs]), rows.thresholds, circuit)


def against(sums: Torus, thresholds: Integers, circuit: Circuit) -> Torus:
    """Levelled sums, changed in place, as a threshold circuit takes them."""
    sums <<= np.uint64(circuit.scale)
    add_clear(sums, circuit.half_range - thresholds, 63 - circuit.message_bits)
    return sums


def products(layer: Layer, records: int) -> int:
    """Products of weights and ciphertexts in the dense blocks of a layer."""
    first = block_sizes(1, layer.outputs)[0]
    return records * layer.outputs * len(layer.rows(0, first).inputs)

"""``approximate``: a levelled sum a neuron and one bootstrap, right but for sums near their threshold.

A sum in the encoding of 10 bits is also a number of 2 bits with the rest as its fraction, and a look-up compiled for 2
bits takes it as that. Its error is the noise of the key switch and the modulus switch, Gaussian, with a standard
deviation of 9.7 units of a sum of full range (``circuits.noise``); sums of a smaller range are scaled up first, and
err less. FHE-DiNN (Bourse et al. 2018) evaluates neurons so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from epaas_server.circuits.definitions import PROFILE_BITS, STEP
from epaas_server.engine.batches import Bootstrapper
from epaas_server.engine.levelled import add_clear, weighted_sums
from epaas_server.strategies.accumulate import narrowest, products
from epaas_server.strategies.blocks import block_sizes
from epaas_server.strategies.strategy import NothingShared, Run, Strategy, Work, calls_of
from epaas_shared.layers import Layer, Rows
from epaas_shared.profile import Profile
from epaas_shared.ranges import SumRange
from epaas_shared.zerokey import Torus

_STEP_AT = 3 << (PROFILE_BITS - 3)
"""Where the look-up steps, in the encoding of 10 bits: half a box of 2 bits below the middle."""


class Approximate(Strategy):
    name = "approximate"
    exact = False
    hides_weights = True

    def refusal(self, layer: Layer, sums: SumRange, profile: Profile) -> str | None:  # noqa: ARG002
        if narrowest(sums, profile) is None:
            return f"its sums reach from {sums.minimum} to {sums.maximum} around their thresholds"
        return None

    def work(self, layer: Layer, sums: SumRange, records: int, profile: Profile) -> Work:  # noqa: ARG002
        work = Work()
        for size in block_sizes(records, layer.outputs):
            work = work.then(Work(size, 1, calls_of(STEP, size), 0, 2 * size))
        return Work(work.bootstraps, 1, work.calls, products(layer, records), work.live_ciphertexts)

    def method(self, layer: Layer, sums: SumRange, profile: Profile) -> Stepped:  # noqa: ARG002
        return Stepped(self.scale(sums, profile))

    @staticmethod
    def scale(sums: SumRange, profile: Profile) -> int:
        """log2 of the factor by which the sums of a layer can be multiplied."""
        circuit = narrowest(sums, profile)
        if circuit is None:
            raise ValueError("the layer's sums are too large")
        return circuit.scale


@dataclass(frozen=True)
class Stepped(NothingShared):
    """Scaled sums through the step."""

    scale: int

    def evaluate(self, block: Sequence[Run], bootstrap: Bootstrapper) -> Torus:
        return bootstrap(STEP, np.concatenate([_compared(run.rows, run.bits, self.scale) for run in block]))


def _compared(rows: Rows, bits: Torus, scale: int) -> Torus:
    """The scaled sums, with the middle between the last sum below the threshold and the threshold at the step."""
    sums = weighted_sums(rows.weights, bits[rows.inputs]) << np.uint64(scale)
    shift = 63 - PROFILE_BITS
    add_clear(sums, -2 * rows.thresholds + 1, shift + scale - 1)
    add_clear(sums, _STEP_AT, shift)
    return sums

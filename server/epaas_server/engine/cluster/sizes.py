"""How many neurons go together to a machine: few enough that all machines end together, enough to be worth a call.

A call of a compiled circuit has a fixed cost besides that of its bootstraps, so that small blocks waste time; large
ones leave machines idle at the end of a layer, and are lost as a whole with their machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from epaas_server.plan import LayerPlan
from epaas_server.strategies.blocks import BLOCK
from epaas_shared.layers import DenseLayer, Layer
from epaas_shared.profile import Profile

CALL_BOOTSTRAPS = 9
"""Bootstraps of one thread that take as long as what a call costs besides (circuits.definitions)."""
_LEAST_SHARE = 6
"""In the smallest blocks bootstraps take six times as long as the calls' fixed cost, in the largest 48 times."""
_MOST_SHARE = 48


@dataclass(frozen=True)
class BlockSizes:
    """Smallest and largest block worth sending, powers of two, as the compiled batches are."""

    least: int
    most: int

    def next(self, left: int, share: float) -> int:
        """Size of the next block of ``left`` neurons for a machine whose share of the rest of the layer this is."""
        return min(max(_power_of_two_below(max(1.0, share)), self.least), self.most, left)


ONE_BY_ONE = BlockSizes(1, 1)


def block_sizes(
    layer: Layer, plan: LayerPlan, neurons: int, machines: int, threads: int, profile: Profile
) -> BlockSizes:
    """For so many neurons of the layer on machines of so many threads. Too few for blocks that are worth it still
    reach all machines.
    """
    each = max(plan.bootstraps / layer.outputs, 1.0)
    fixed = CALL_BOOTSTRAPS * threads * _calls_in_a_row(layer, plan, profile)
    fair = max(1, neurons // max(machines, 1))
    least = min(_power_of_two_above(_LEAST_SHARE * fixed / each), _power_of_two_below(fair), BLOCK)
    most = min(_power_of_two_above(_MOST_SHARE * fixed / each), BLOCK)
    return BlockSizes(least, max(least, most))


def _calls_in_a_row(layer: Layer, plan: LayerPlan, profile: Profile) -> int:
    """Of a block whose batches are not full, by the layer's first neuron."""
    rows = layer.rows(0, 1)
    if not len(rows.inputs):
        return 1
    one = DenseLayer(rows.weights, rows.thresholds)
    work = plan.strategy_used.work(one, plan.sums, 1, profile)
    return max(1, min(work.calls.total(), work.depth))


def _power_of_two_below(number: float) -> int:
    return 1 << (int(number).bit_length() - 1)


def _power_of_two_above(number: float) -> int:
    return 1 << (ceil(number) - 1).bit_length()

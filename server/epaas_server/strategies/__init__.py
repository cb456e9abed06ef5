"""Circuit strategies: how a neuron is evaluated. The server chooses one a layer; clients never know.

``accumulate`` (with ``split`` for wide sums) and ``approximate`` are levelled sums and threshold circuits;
``gates`` evaluates the thesis's boolean circuits, which ``netlist``, ``adders``, ``sorting``, ``comparisons`` and
``neurons`` build. All run on the keys that clients have.
"""

from __future__ import annotations

from epaas_server.strategies.accumulate import Accumulate
from epaas_server.strategies.adders import Form
from epaas_server.strategies.approximate import Approximate
from epaas_server.strategies.comparisons import Comparison, ReduceTree, SortingNetwork
from epaas_server.strategies.gates import Gates
from epaas_server.strategies.sorting import Network
from epaas_server.strategies.strategy import Strategy, Work

_COMPARISONS: dict[str, Comparison] = {
    "reduce-tree": ReduceTree(Form.FUSED),
    "reduce-tree-gates": ReduceTree(Form.GATES),
    "reduce-tree-levelled": ReduceTree(Form.LEVELLED),
    "sorting-network": SortingNetwork(Network.ODD_EVEN, Form.FUSED),
    "sorting-network-levelled": SortingNetwork(Network.ODD_EVEN, Form.LEVELLED),
    "sorting-network-bitonic": SortingNetwork(Network.BITONIC, Form.GATES),
}

ACCUMULATE = Accumulate()

_ALL: tuple[Strategy, ...] = (
    ACCUMULATE,
    Approximate(),
    *(Gates(name, comparison) for name, comparison in _COMPARISONS.items()),
    *(Gates(f"{name}+1", comparison, plus_one=True) for name, comparison in _COMPARISONS.items()),
)

STRATEGIES: dict[str, Strategy] = {strategy.name: strategy for strategy in _ALL}
"""All strategies by name; ``+1`` stands for the thesis's +1 trick."""

__all__ = ["ACCUMULATE", "STRATEGIES", "Strategy", "Work"]

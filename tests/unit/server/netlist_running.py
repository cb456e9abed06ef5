"""Netlists on clear bits, all cases at once, by other code than the one under test."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
from numpy.typing import NDArray

from epaas_server.strategies.netlist import Builder, Netlist, Wire

Cases = NDArray[np.int64]
"""Zeros and ones, (cases, inputs)."""


def every(inputs: int) -> Cases:
    return np.array(list(product((0, 1), repeat=inputs)), dtype=np.int64).reshape(2**inputs, inputs)


def run(netlist: Netlist, cases: Cases) -> Cases:
    """The outputs, (cases, outputs). A gate's argument beyond its table is an AssertionError."""
    assert cases.shape[1] == netlist.inputs
    nodes = list(cases.T)

    def value(wire: Wire) -> NDArray[np.int64]:
        total = np.full(len(cases), wire.constant)
        for node, coefficient in wire.terms:
            total += coefficient * nodes[node]
        return total

    for gate in netlist.gates:
        argument = value(gate.argument)
        assert argument.min() >= 0
        assert argument.max() <= 3
        nodes.append(np.array(gate.circuit.table)[argument])
    return np.stack([value(output) for output in netlist.outputs], axis=1)


def numbers(bits: Cases) -> NDArray[np.int64]:
    """Binary numbers, least significant bit first, (cases, bits) to (cases,)."""
    result: NDArray[np.int64] = bits @ (1 << np.arange(bits.shape[1]))
    return result


def built(inputs: int, build: Callable[[Builder, list[Wire]], Wire | list[Wire]]) -> Netlist:
    """The netlist of what ``build`` makes of a builder and its inputs."""
    b = Builder(inputs)
    outputs = build(b, [b.input(index) for index in range(inputs)])
    return b.netlist(outputs) if isinstance(outputs, Wire) else b.netlist(*outputs)

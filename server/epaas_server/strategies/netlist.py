"""Boolean circuits on ciphertexts: gates over levelled sums of wires. Knows no layers and evaluates nothing.

A wire is a clear constant plus a small linear combination of nodes; a node is an input or the output of a gate, each a
ciphertext of 0 or 1. Negation is 1 - x and costs nothing. A gate is one bootstrap: its table of the value 0 to 3 of a
wire. So the AND of a and b is [a + b >= 2], their OR is [a + b + 1 >= 2] and the majority of three [a + b + c >= 2]:
all are MAJORITY. XOR, and the sum bit of three, are PARITY.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

from epaas_server.circuits.definitions import MAJORITY, PARITY, Circuit


@dataclass(frozen=True)
class Wire:
    """``constant + sum(coefficient * node)``."""

    constant: int = 0
    terms: tuple[tuple[int, int], ...] = ()
    """(node, coefficient), no node twice, no coefficient zero."""

    def __add__(self, other: Wire | int) -> Wire:
        if isinstance(other, int):
            return Wire(self.constant + other, self.terms)
        terms = dict(self.terms)
        for node, coefficient in other.terms:
            total = terms.get(node, 0) + coefficient
            if total:
                terms[node] = total
            else:
                del terms[node]
        return Wire(self.constant + other.constant, tuple(terms.items()))

    def __mul__(self, factor: int) -> Wire:
        if factor == 0:
            return ZERO
        return Wire(self.constant * factor, tuple((node, coefficient * factor) for node, coefficient in self.terms))

    def __sub__(self, other: Wire) -> Wire:
        return self + other * -1

    def __invert__(self) -> Wire:
        """The negation of a bit."""
        return self * -1 + 1

    @property
    def squared_norm(self) -> int:
        """Of the coefficients: the noise of the wire in units of a bootstrapped bit's."""
        return sum(coefficient * coefficient for _, coefficient in self.terms)


ZERO, ONE = Wire(0), Wire(1)


@dataclass(frozen=True)
class Gate:
    circuit: Circuit
    argument: Wire


@dataclass(frozen=True)
class Netlist:
    """``gates[i]`` is the node ``inputs + i``; its argument names smaller nodes only."""

    inputs: int
    gates: tuple[Gate, ...]
    outputs: tuple[Wire, ...]

    @cached_property
    def levels(self) -> tuple[int, ...]:
        """The level of each gate: 1 for those that need inputs only."""
        levels: list[int] = []
        for gate in self.gates:
            above = (levels[node - self.inputs] for node, _ in gate.argument.terms if node >= self.inputs)
            levels.append(1 + max(above, default=0))
        return tuple(levels)

    @cached_property
    def depth(self) -> int:
        return max(self.levels, default=0)

    @cached_property
    def last_use(self) -> tuple[int, ...]:
        """The level at which each gate's output is read last; one beyond the depth for what the outputs need."""
        last = list(self.levels)
        for gate, level in zip(self.gates, self.levels, strict=True):
            for node, _ in gate.argument.terms:
                if node >= self.inputs:
                    last[node - self.inputs] = max(last[node - self.inputs], level)
        for output in self.outputs:
            for node, _ in output.terms:
                if node >= self.inputs:
                    last[node - self.inputs] = self.depth + 1
        return tuple(last)

    @cached_property
    def schedule(self) -> dict[tuple[int, Circuit], tuple[int, ...]]:
        """Which gates there are at a level of a circuit."""
        places: dict[tuple[int, Circuit], list[int]] = {}
        for place, (gate, level) in enumerate(zip(self.gates, self.levels, strict=True)):
            places.setdefault((level, gate.circuit), []).append(place)
        return {key: tuple(found) for key, found in places.items()}

    @cached_property
    def read_last_at(self) -> dict[int, tuple[int, ...]]:
        """The gates' nodes that are not read after a level."""
        nodes: dict[int, list[int]] = {}
        for place, level in enumerate(self.last_use):
            nodes.setdefault(level, []).append(self.inputs + place)
        return {level: tuple(found) for level, found in nodes.items() if level <= self.depth}

    @cached_property
    def gates_by_level(self) -> tuple[Counter[Circuit], ...]:
        """How many gates of each circuit there are at levels 1, 2, ..."""
        counts: list[Counter[Circuit]] = [Counter() for _ in range(self.depth)]
        for gate, level in zip(self.gates, self.levels, strict=True):
            counts[level - 1][gate.circuit] += 1
        return tuple(counts)

    @cached_property
    def live(self) -> tuple[int, ...]:
        """How many gate outputs are held while levels 1, 2, ... are evaluated."""
        change = [0] * (self.depth + 3)
        for level, last in zip(self.levels, self.last_use, strict=True):
            change[level] += 1
            change[last + 1] -= 1
        held, live = 0, []
        for level in range(1, self.depth + 1):
            held += change[level]
            live.append(held)
        return tuple(live)


class Builder:
    """Makes a netlist gate by gate. Gates whose output is known, or is their only input, are not made."""

    def __init__(self, inputs: int) -> None:
        self.inputs = inputs
        self._gates: list[Gate] = []

    def input(self, index: int) -> Wire:
        return Wire(0, ((index, 1),))

    def gate(self, circuit: Circuit, argument: Wire) -> Wire:
        """``circuit.table`` of ``argument``, a wire of value 0 to 3."""
        if not argument.terms:
            return Wire(circuit.table[argument.constant])
        if len(argument.terms) == 1:
            ((node, coefficient),) = argument.terms
            low, high = circuit.table[argument.constant], circuit.table[argument.constant + coefficient]
            return Wire(low, ((node, high - low),)) if low != high else Wire(low)
        return self.bootstrap(circuit, argument)

    def bootstrap(self, circuit: Circuit, argument: Wire) -> Wire:
        """A gate that is made whatever its argument is."""
        if argument.squared_norm > circuit.squared_norm_budget:
            raise ValueError(f"noise: a squared norm of {argument.squared_norm} into {circuit.name}")
        self._gates.append(Gate(circuit, argument))
        return Wire(0, ((self.inputs + len(self._gates) - 1, 1),))

    def both(self, a: Wire, b: Wire) -> Wire:
        """a AND b."""
        return self.gate(MAJORITY, a + b)

    def either(self, a: Wire, b: Wire) -> Wire:
        """a OR b."""
        return self.gate(MAJORITY, a + b + 1)

    def exclusive(self, a: Wire, b: Wire) -> Wire:
        """a XOR b."""
        return self.gate(PARITY, a + b)

    def netlist(self, *outputs: Wire) -> Netlist:
        return Netlist(self.inputs, tuple(self._gates), outputs)


def pruned(netlist: Netlist) -> Netlist:
    """Without the gates that no output needs."""
    needed: set[int] = set()
    pending = [node for output in netlist.outputs for node, _ in output.terms]
    while pending:
        node = pending.pop()
        if node >= netlist.inputs and node not in needed:
            needed.add(node)
            pending += [below for below, _ in netlist.gates[node - netlist.inputs].argument.terms]
    kept = sorted(needed)
    number = {node: node for node in range(netlist.inputs)} | {
        node: netlist.inputs + place for place, node in enumerate(kept)
    }

    def renumbered(wire: Wire) -> Wire:
        return Wire(wire.constant, tuple((number[node], coefficient) for node, coefficient in wire.terms))

    gates = (netlist.gates[node - netlist.inputs] for node in kept)
    return Netlist(
        netlist.inputs,
        tuple(Gate(gate.circuit, renumbered(gate.argument)) for gate in gates),
        tuple(map(renumbered, netlist.outputs)),
    )

"""Netlists: wires are linear, gates are made where they are needed, and pruning and scheduling change no output."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from netlist_running import Cases, built, every, run

from epaas_server.circuits.definitions import GATES, MAJORITY, PARITY, Circuit
from epaas_server.strategies.netlist import ONE, ZERO, Builder, Gate, Netlist, Wire, pruned

EACH_GATE = pytest.mark.parametrize("gate", GATES, ids=lambda gate: str(gate.name))
INPUTS = 5
WIRES = st.builds(
    lambda constant, terms: Wire(constant, tuple((node, value) for node, value in terms.items() if value)),
    st.integers(-3, 3),
    st.dictionaries(st.integers(0, INPUTS - 1), st.integers(-3, 3)),
)


def values(*wires: Wire) -> Cases:
    """(cases, wires)"""
    return run(Netlist(INPUTS, (), wires), every(INPUTS))


@given(WIRES, WIRES, st.integers(-3, 3))
def test_wires_are_linear_combinations(one: Wire, other: Wire, factor: int) -> None:
    a, b, *found = values(one, other, one + other, one - other, one * factor, ~one, one + factor).T
    expected = [a + b, a - b, a * factor, 1 - a, a + factor]
    assert np.array(found).tolist() == np.array(expected).tolist()


@given(WIRES, WIRES)
def test_a_wire_names_a_node_once_and_none_of_coefficient_zero(one: Wire, other: Wire) -> None:
    for wire in (one + other, one - other, one - one, one * 0, ~one):
        nodes = [node for node, _ in wire.terms]
        assert len(set(nodes)) == len(nodes)
        assert all(coefficient for _, coefficient in wire.terms)
        assert wire.squared_norm == sum(coefficient**2 for _, coefficient in wire.terms)
    assert one - one == ZERO
    assert one * 0 == ZERO


@EACH_GATE
def test_a_gate_is_its_table_of_the_sum(gate: Circuit) -> None:
    netlist = built(3, lambda b, x: b.gate(gate, x[0] + x[1] + x[2]))
    assert len(netlist.gates) == 1
    assert run(netlist, every(3))[:, 0].tolist() == [gate.table[sum(case)] for case in every(3).tolist()]


def test_and_or_and_xor_are_one_gate_each() -> None:
    netlist = built(2, lambda b, x: [b.both(*x), b.either(*x), b.exclusive(*x), ~b.both(*x)])
    assert [gate.circuit for gate in netlist.gates] == [MAJORITY, MAJORITY, PARITY, MAJORITY]
    expected = [[x and y, x or y, x ^ y, 1 - (x and y)] for x, y in every(2).tolist()]
    assert run(netlist, every(2)).tolist() == expected


@EACH_GATE
@pytest.mark.parametrize(("constant", "coefficient"), [(low, high - low) for low in range(4) for high in range(4)])
def test_a_gate_whose_output_is_known_or_one_input_is_not_made(gate: Circuit, constant: int, coefficient: int) -> None:
    netlist = built(1, lambda b, x: b.gate(gate, x[0] * coefficient + constant))
    assert netlist.gates == ()
    assert netlist.outputs[0].squared_norm <= 1
    assert run(netlist, every(1)).tolist() == [[gate.table[constant]], [gate.table[constant + coefficient]]]


def test_an_operation_with_a_constant_costs_nothing() -> None:
    x = Wire(0, ((0, 1),))
    b = Builder(1)
    assert (b.both(x, ZERO), b.both(x, ONE)) == (ZERO, x)
    assert (b.either(x, ZERO), b.either(x, ONE)) == (x, ONE)
    assert (b.exclusive(x, ZERO), b.exclusive(x, ONE)) == (x, ~x)
    assert b.netlist(x).gates == ()


@EACH_GATE
def test_a_sum_too_noisy_for_a_gate_is_refused(gate: Circuit) -> None:
    """2 * 7**2 = 98: a sum of coefficients 9, 4 and 1 has it, and one of 9, 4 and 1, 1 is beyond."""
    assert gate.squared_norm_budget == 98
    b = Builder(4)
    x = [b.input(index) for index in range(4)]
    allowed = x[0] * 9 + x[1] * 4 + x[2]
    assert allowed.squared_norm == 98
    for make in (b.gate, b.bootstrap):
        make(gate, allowed)
        with pytest.raises(ValueError, match="squared norm of 99"):
            make(gate, allowed + x[3])
    with pytest.raises(ValueError, match="noise"):
        b.bootstrap(gate, x[0] * 10)
    assert len(b.netlist().gates) == 2


@st.composite
def netlists(draw: st.DrawFn) -> Netlist:
    """Random gates of earlier nodes, negated or not, and outputs that need only some of them."""
    gates: list[Gate] = []
    for place in range(draw(st.integers(0, 12))):
        nodes = draw(st.lists(st.integers(0, INPUTS + place - 1), min_size=1, max_size=3, unique=True))
        signs = draw(st.lists(st.booleans(), min_size=len(nodes), max_size=len(nodes)))
        argument = ZERO
        for node, negated in zip(nodes, signs, strict=True):
            wire = Wire(0, ((node, 1),))
            argument = argument + (~wire if negated else wire)
        gates.append(Gate(draw(st.sampled_from(GATES)), argument))
    ends = draw(st.lists(st.integers(0, INPUTS + len(gates) - 1), max_size=3))
    outputs = tuple(Wire(index, ((node, 1 - 2 * (index % 2)),)) for index, node in enumerate(ends))
    return Netlist(INPUTS, tuple(gates), (*outputs, ONE))


@given(netlists())
def test_a_pruned_netlist_computes_the_same(netlist: Netlist) -> None:
    small = pruned(netlist)
    assert run(small, every(INPUTS)).tolist() == run(netlist, every(INPUTS)).tolist()
    read = {node for wire in (*(gate.argument for gate in small.gates), *small.outputs) for node, _ in wire.terms}
    assert read >= {INPUTS + place for place in range(len(small.gates))}, "nothing is computed in vain"
    assert len(small.gates) <= len(netlist.gates)
    assert pruned(small) == small


def test_pruning_leaves_out_what_no_output_needs() -> None:
    b = Builder(2)
    kept = b.both(b.input(0), b.input(1))
    b.either(kept, b.input(0))
    netlist = b.netlist(~kept)
    assert len(netlist.gates) == 2
    assert pruned(netlist) == replace(netlist, gates=netlist.gates[:1])


@given(netlists())
def test_levels_and_the_schedule_are_in_an_order_that_can_be_evaluated(netlist: Netlist) -> None:
    assert sorted(sum(netlist.schedule.values(), ())) == list(range(len(netlist.gates)))
    depths: dict[int, int] = dict.fromkeys(range(INPUTS), 0)
    for place, gate in enumerate(netlist.gates):
        depths[INPUTS + place] = 1 + max(depths[node] for node, _ in gate.argument.terms)
    assert list(netlist.levels) == list(depths.values())[INPUTS:]
    assert netlist.depth == max(depths.values())
    for (level, circuit), places in netlist.schedule.items():
        assert all(netlist.levels[place] == level and netlist.gates[place].circuit is circuit for place in places)
        assert netlist.gates_by_level[level - 1][circuit] == len(places)
    assert sum(netlist.gates_by_level, Counter()).total() == len(netlist.gates)


@settings(max_examples=200)
@given(netlists())
def test_a_gates_output_is_held_exactly_as_long_as_it_is_read(netlist: Netlist) -> None:
    """As the engine holds them: made at their level, read by later ones and the outputs, and then let go."""
    held: set[int] = set()
    for level in range(1, netlist.depth + 1):
        made = [place for (at, _), places in netlist.schedule.items() if at == level for place in places]
        for place in made:
            assert {node for node, _ in netlist.gates[place].argument.terms if node >= INPUTS} <= held
        held |= {INPUTS + place for place in made}
        assert netlist.live[level - 1] == len(held)
        held -= set(netlist.read_last_at.get(level, ()))
    needed = {node for output in netlist.outputs for node, _ in output.terms if node >= INPUTS}
    assert held == needed


def test_a_netlist_without_gates_has_no_depth() -> None:
    netlist = Netlist(2, (), (ONE, Wire(0, ((1, 1),))))
    assert (netlist.depth, netlist.levels, netlist.live, netlist.gates_by_level) == (0, (), (), ())
    assert run(netlist, every(2))[:, 1].tolist() == [0, 1, 0, 1]

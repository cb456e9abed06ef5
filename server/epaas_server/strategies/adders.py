"""Binary numbers on wires: adders, the reduce tree, comparators (thesis 8.4.1, Figure 8.2 left, Algorithm 7).

A number is its bits, least significant first. All circuits come in three forms:

    gates     as the thesis counts them: 2 gates a half adder, 5 a full adder, a comparator of MUX gates (2 bootstraps)
    fused     a full adder is PARITY and MAJORITY of the levelled sum of its three inputs, a comparator step MAJORITY;
              a tree adds three bits where the thesis adds two, the third as carry
    levelled  as fused, with the sum bit x + y + z - 2 carry, levelled too, while its noise allows: 1 bootstrap an adder
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from enum import StrEnum
from itertools import count, zip_longest

from epaas_server.circuits.definitions import MAJORITY, PARITY
from epaas_server.strategies.netlist import ONE, ZERO, Builder, Wire

Number = Sequence[Wire]

LEVELLED_NORM = 48
"""Largest squared norm of a levelled sum bit: two of them and a carry must fit into a gate (98)."""


class Form(StrEnum):
    GATES = "gates"
    FUSED = "fused"
    LEVELLED = "levelled"


def adder(b: Builder, bits: Sequence[Wire], form: Form) -> tuple[Wire, Wire]:
    """Sum bit and carry of two or three bits."""
    if form is Form.GATES:
        return _adder_of_gates(b, bits)
    total = sum(bits, ZERO)
    carry = b.gate(MAJORITY, total)
    levelled = total - carry * 2
    if form is Form.LEVELLED and levelled.squared_norm <= LEVELLED_NORM:
        return levelled, carry
    return b.gate(PARITY, total), carry


def _adder_of_gates(b: Builder, bits: Sequence[Wire]) -> tuple[Wire, Wire]:
    x, y, *carry_in = bits
    half, carry = b.exclusive(x, y), b.both(x, y)
    if not carry_in:
        return half, carry
    return b.exclusive(half, carry_in[0]), b.either(carry, b.both(half, carry_in[0]))


def add(b: Builder, x: Number, y: Number, carry: Wire | None, form: Form) -> list[Wire]:
    """x + y + carry by a ripple-carry adder."""
    result: list[Wire] = []
    for pair in zip_longest(x, y):
        bits = [bit for bit in (*pair, carry) if bit is not None]
        if len(bits) == 1:
            result.append(bits[0])
            carry = None
        else:
            total, carry = adder(b, bits, form)
            result.append(total)
    return result if carry is None else [*result, carry]


def sum_of(b: Builder, bits: Sequence[Wire], numbers: Sequence[Number], form: Form) -> Number:
    """The sum of single bits and of numbers: a reduce tree."""
    if form is not Form.GATES:
        numbers, bits = [_popcount(b, bits, form), *numbers], ()
    order = count()
    queue = [(len(number), next(order), number) for number in (*([bit] for bit in bits), *numbers) if number]
    heapq.heapify(queue)
    while len(queue) > 1:
        (_, _, x), (_, _, y) = heapq.heappop(queue), heapq.heappop(queue)
        total = add(b, x, y, None, form)
        heapq.heappush(queue, (len(total), next(order), total))
    return queue[0][2] if queue else [ZERO]


def _popcount(b: Builder, bits: Sequence[Wire], form: Form) -> list[Wire]:
    """The number of ones: two parts are counted, and one bit is the carry into their sum.

    A part of 2**k - 1 bits is a tree of full adders only; so the first is the largest such part.
    """
    if len(bits) <= 1:
        return list(bits)
    if len(bits) == 2:
        return list(adder(b, bits, form))
    first = (1 << (len(bits).bit_length() - 1)) - 1
    if len(bits) == first * 2 + 1 or first > len(bits) - 1:
        first = (len(bits) - 1) // 2
    return add(b, _popcount(b, bits[:first], form), _popcount(b, bits[first:-1], form), bits[-1], form)


def at_least(b: Builder, number: Number, threshold: int, form: Form) -> Wire:
    """[number >= threshold] for a clear threshold: Algorithm 7, bit by bit from the least significant."""
    if threshold <= 0:
        return ONE
    below = threshold - 1
    if below >> len(number):
        return ZERO
    outcome = ZERO
    for place, bit in enumerate(number):
        if (below >> place) & 1:
            outcome = _multiplexer(b, bit, outcome, ZERO) if form is Form.GATES else b.both(bit, outcome)
        else:
            outcome = _multiplexer(b, bit, ONE, outcome) if form is Form.GATES else b.either(bit, outcome)
    return outcome


def not_less(b: Builder, x: Number, y: Number, form: Form) -> Wire:
    """[x >= y], the carry of x + not y + 1."""
    outcome = ONE
    for own, other in zip_longest(x, y, fillvalue=ZERO):
        if form is Form.GATES:
            outcome = _multiplexer(b, b.exclusive(own, other), own, outcome)
        else:
            outcome = b.gate(MAJORITY, own + ~other + outcome)
    return outcome


def _multiplexer(b: Builder, select: Wire, if_set: Wire, if_clear: Wire) -> Wire:
    """MUX as TFHE has it: two bootstraps and a levelled sum, also where an input is a clear constant."""
    return b.bootstrap(MAJORITY, select + if_set) + b.bootstrap(MAJORITY, ~select + if_clear)


def constant(value: int) -> Number:
    """A clear number."""
    return [Wire((value >> place) & 1) for place in range(value.bit_length())]

"""Sorting networks on bits (thesis 8.4.1, Figure 8.2 right), and thresholds over sorted bits.

SWAP(a, b) = (a OR b, a AND b). A network is a list of pairs (i, j), i < j, of which the larger goes to i: the sorted
bits are all ones, then all zeros. Any number of bits is sorted by the network of the next power of two, whose missing
places hold zeros that never move.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum

from epaas_server.strategies.adders import Form
from epaas_server.strategies.netlist import ONE, ZERO, Builder, Wire

LEVELLED_NORM = 24
"""Largest squared norm of a levelled AND: two such wires fit into a gate (98) however their noises are correlated."""


class Network(StrEnum):
    ODD_EVEN = "odd-even"
    """Batcher's odd-even merge sort, the smaller one."""
    BITONIC = "bitonic"
    """The one that the thesis timed."""


def pairs(network: Network, size: int) -> Iterator[tuple[int, int]]:
    """The comparisons that sort ``size`` bits."""
    whole = 1 << max(size - 1, 0).bit_length()
    generate = _odd_even if network is Network.ODD_EVEN else _bitonic
    return ((i, j) for i, j in generate(whole) if j < size)


def _odd_even(size: int) -> Iterator[tuple[int, int]]:
    """Batcher (1968); Knuth, The Art of Computer Programming 3, 5.2.2 algorithm M."""
    run = 1
    while run < size:
        distance = run
        while distance >= 1:
            for start in range(distance % run, size - distance, 2 * distance):
                for i in range(start, min(start + distance, size - distance)):
                    if i // (2 * run) == (i + distance) // (2 * run):
                        yield i, i + distance
            distance //= 2
        run *= 2


def _bitonic(size: int) -> Iterator[tuple[int, int]]:
    """Batcher (1968), in the form where all comparisons have one direction: each merge begins with a mirrored step."""
    run = 2
    while run <= size:
        for start in range(0, size, run):
            for i in range(run // 2):
                yield start + i, start + run - 1 - i
        distance = run // 4
        while distance >= 1:
            for i in range(size):
                if not i & distance:
                    yield i, i + distance
            distance //= 2
        run *= 2


def sorted_bits(b: Builder, bits: Sequence[Wire], network: Network, form: Form) -> list[Wire]:
    """The bits in descending order."""
    wires = list(bits)
    for i, j in pairs(network, len(wires)):
        wires[i], wires[j] = _swap(b, wires[i], wires[j], form)
    return wires


def _swap(b: Builder, x: Wire, y: Wire, form: Form) -> tuple[Wire, Wire]:
    either = b.either(x, y)
    levelled = x + y - either
    if form is Form.LEVELLED and levelled.squared_norm <= LEVELLED_NORM:
        return either, levelled
    return either, b.both(x, y)


def at_least(ordered: Sequence[Wire], threshold: int) -> Wire:
    """[number of ones >= threshold]: one of the sorted wires."""
    if threshold <= 0:
        return ONE
    return ordered[threshold - 1] if threshold <= len(ordered) else ZERO

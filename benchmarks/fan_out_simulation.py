"""A layer on machines that are not here: events of computing and sending, by measured times and sizes.

The blocks are cut and assigned by the engine's own code. All inputs go out through the worker's network card, and all
results come in through it, one after the other each way, although Ray's machines may also fetch from each other. A
machine has its next block before its result is on its way.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass

from epaas_server.engine.cluster.assignment import Assignment, Block
from epaas_server.engine.cluster.sizes import BlockSizes

LATENCY = 0.001
"""Seconds from a message's last byte to where it is acted on: Ray's share, and the network's."""


@dataclass(frozen=True)
class Spread:
    """A layer as it is spread: bytes of what is sent, and the seconds that a machine takes for a block."""

    neurons: int
    sizes: BlockSizes
    inputs_bytes: int
    """Sent once to each machine."""
    rows_bytes: Callable[[int], int]
    """Of a block of so many neurons."""
    result_bytes: int
    """Of a neuron."""
    seconds: Callable[[int], float]
    """Of a block of so many neurons."""


class Link:
    """One direction of a network card."""

    def __init__(self, bytes_per_second: float) -> None:
        self._rate = bytes_per_second
        self._free = 0.0

    def send(self, now: float, size: int) -> float:
        """When the last of so many bytes has arrived that were ready to be sent at ``now``."""
        self._free = max(now, self._free) + size / self._rate
        return self._free + LATENCY


def simulated_seconds(spread: Spread, machines: int, gigabits: float) -> float:
    """From the first block that is sent to the last result that is there."""
    out, back = Link(gigabits * 1e9 / 8), Link(gigabits * 1e9 / 8)
    now, there, order = 0.0, 0.0, 0
    names = [str(machine) for machine in range(machines)]
    assignment: Assignment[None] = Assignment(spread.neurons, spread.sizes, lambda: now)
    events: list[tuple[float, int, int, Block | None]] = []
    for machine in range(machines):
        heapq.heappush(events, (0.0, order := order + 1, machine, None))
    has_inputs = set[int]()
    while events:
        now, _, machine, made = heapq.heappop(events)
        if made is not None:
            assignment.ended(made)
            assignment.done(made, None)
            list(assignment.results())
            there = back.send(now, (made.stop - made.start) * spread.result_bytes)
            heapq.heappush(events, (now + LATENCY, order := order + 1, machine, None))
            continue
        block = assignment.next(names[machine], names)
        if block is None:
            continue
        neurons = block.stop - block.start
        size = spread.rows_bytes(neurons) + (0 if machine in has_inputs else spread.inputs_bytes)
        has_inputs.add(machine)
        begun = out.send(now, size)
        heapq.heappush(events, (begun + spread.seconds(neurons), order := order + 1, machine, block))
    return there

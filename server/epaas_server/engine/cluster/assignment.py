"""Which neurons are evaluated next, by whoever is free, and which results are due. Knows no ciphertexts.

Results come out in order, whatever the order in which they were made. How far the assignment runs ahead of what has
come out is bounded, so that memory is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from epaas_server.engine.cluster.sizes import BlockSizes
from epaas_server.engine.engine import EngineFailed

Result = TypeVar("Result")

ATTEMPTS = 3
"""So often a block is begun whose machine is lost; keys may be what kills the machine's process."""
AHEAD = 4096
"""Neurons assigned beyond the last in order, at least: 64 MB of results that may have to wait for one."""


_TOLERANCE = 1.1
"""Shares are estimates: one that is so much too small for a block has it all the same."""


@dataclass(frozen=True)
class Block:
    """The positions from ``start`` to ``stop`` (exclusive)."""

    start: int
    stop: int
    attempt: int = 1


class Assignment(Generic[Result]):
    """Of ``total`` positions; each is in one result. ``repeated`` blocks were lost and assigned again."""

    def __init__(self, total: int, sizes: BlockSizes, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock`` tells seconds."""
        self.total = total
        self.repeated = 0
        self._sizes = sizes
        self._clock = clock
        self._begun: dict[Block, tuple[str, float]] = {}
        self._speeds: dict[str, float] = {}
        self._assigned = 0
        self._in_order = 0
        self._lost: list[Block] = []
        self._done: dict[int, tuple[Block, Result]] = {}

    @property
    def finished(self) -> bool:
        """Whether all results have come out."""
        return self._in_order == self.total

    def next(self, machine: str, machines: Collection[str]) -> Block | None:
        """A block for a free one of ``machines``; None if there is nothing to do until results have come out."""
        block = self._lost.pop(0) if self._lost else self._next_new(machine, machines)
        if block is not None:
            self._begun[block] = (machine, self._clock())
        return block

    def _next_new(self, machine: str, machines: Collection[str]) -> Block | None:
        left = self.total - self._assigned
        ahead = max(AHEAD, 4 * len(machines) * self._sizes.most)
        if not left or self._assigned - self._in_order >= ahead:
            return None
        start = self._assigned
        self._assigned += self._sizes.next(left, self._share(left, machine, machines))
        return Block(start, self._assigned)

    def _share(self, left: int, machine: str, machines: Collection[str]) -> float:
        """What a machine should do of the rest of the layer, so that all end together.

        The rest is what no machine has and what machines have not done yet of their blocks. So blocks become smaller
        towards the end of a layer (guided self-scheduling, Polychronopoulos and Kuck 1987), but not for a machine that
        has just begun one and takes no part in what is left.
        """
        under_way: float = sum(block.stop - block.start for block in self._begun)
        if not self._speeds:
            return (left + under_way) / len(machines)
        now, usual = self._clock(), sum(self._speeds.values()) / len(self._speeds)
        for block, (other, begun) in self._begun.items():
            done = (now - begun) * self._speeds.get(other, usual)
            under_way -= min(done, block.stop - block.start)
        speeds = {each: self._speeds.get(each, usual) for each in machines}
        return (left + under_way) * speeds[machine] / sum(speeds.values()) * _TOLERANCE

    def ended(self, block: Block) -> None:
        """Its machine is free, and its result due."""
        machine, begun = self._begun.pop(block)
        self._speeds[machine] = (block.stop - block.start) / max(self._clock() - begun, 1e-6)

    def done(self, block: Block, result: Result) -> None:
        self._done[block.start] = (block, result)

    def lost(self, block: Block) -> None:
        """It is assigned again, before others. Raises :class:`EngineFailed` where that has happened too often."""
        self._begun.pop(block, None)
        if block.attempt >= ATTEMPTS:
            raise EngineFailed(f"{ATTEMPTS} processes ended in a block of neurons")
        self.repeated += 1
        self._lost.append(replace(block, attempt=block.attempt + 1))

    def results(self) -> Iterator[Result]:
        """Those that are next in order and have not come out yet."""
        while self._in_order in self._done:
            block, result = self._done.pop(self._in_order)
            self._in_order = block.stop
            yield result

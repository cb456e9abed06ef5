"""Which neurons are evaluated next, by whoever is free, and which results are due. Knows no ciphertexts.

Results come out in order, whatever the order in which they were made. How far the assignment runs ahead of what has
come out is bounded, so that memory is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from epaas_server.engine.cluster.sizes import BlockSizes
from epaas_server.engine.engine import EngineFailed

Result = TypeVar("Result")

ATTEMPTS = 3
"""So often a block is begun whose machine is lost; keys may be what kills the machine's process."""
AHEAD = 4096
"""Neurons assigned beyond the last in order, at least: 64 MB of results that may have to wait for one."""


@dataclass(frozen=True)
class Block:
    """The positions from ``start`` to ``stop`` (exclusive)."""

    start: int
    stop: int
    attempt: int = 1


class Assignment(Generic[Result]):
    """Of ``total`` positions; each is in one result. ``repeated`` blocks were lost and assigned again."""

    def __init__(self, total: int, sizes: BlockSizes) -> None:
        self.total = total
        self.repeated = 0
        self._sizes = sizes
        self._assigned = 0
        self._in_order = 0
        self._lost: list[Block] = []
        self._done: dict[int, tuple[Block, Result]] = {}

    @property
    def finished(self) -> bool:
        """Whether all results have come out."""
        return self._in_order == self.total

    def next(self, machines: int) -> Block | None:
        """A block for a free one of ``machines``; None if there is nothing to do until results have come out."""
        if self._lost:
            return self._lost.pop(0)
        left = self.total - self._assigned
        ahead = max(AHEAD, 4 * machines * self._sizes.most)
        if not left or self._assigned - self._in_order >= ahead:
            return None
        start = self._assigned
        self._assigned += self._sizes.next(left, machines)
        return Block(start, self._assigned)

    def done(self, block: Block, result: Result) -> None:
        self._done[block.start] = (block, result)

    def lost(self, block: Block) -> None:
        """It is assigned again, before others. Raises :class:`EngineFailed` where that has happened too often."""
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

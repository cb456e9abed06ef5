"""Evaluation keys in memory, within a budget of bytes. Knows no files and no runtime: it is given a loader."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

Loaded = TypeVar("Loaded")


class KeysetCache(Generic[Loaded]):
    """Least recently used keysets leave first. One that is larger than the budget is still held, alone."""

    def __init__(self, budget_bytes: int, load: Callable[[str], tuple[Loaded, int]]) -> None:
        self._budget = budget_bytes
        self._load = load
        self._held: OrderedDict[str, tuple[Loaded, int]] = OrderedDict()

    @property
    def held_bytes(self) -> int:
        return sum(size for _, size in self._held.values())

    def get(self, digest: str) -> Loaded:
        """The keyset of this digest, loaded if need be; ``load`` returns it and its size in memory."""
        if digest not in self._held:
            self._held[digest] = self._load(digest)
        self._held.move_to_end(digest)
        while self.held_bytes > self._budget and len(self._held) > 1:
            self._held.popitem(last=False)
        return self._held[digest][0]

    def discard(self, digest: str) -> None:
        self._held.pop(digest, None)

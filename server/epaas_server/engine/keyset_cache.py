"""Evaluation keys in memory, within a budget of bytes. Knows no files and no runtime: it is given a loader."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Name = TypeVar("Name", bound=Hashable)
Loaded = TypeVar("Loaded")


class KeysetCache(Generic[Name, Loaded]):
    """Least recently used keysets leave first. One that is larger than the budget is still held, alone."""

    def __init__(self, budget_bytes: int, load: Callable[[Name], tuple[Loaded, int]]) -> None:
        self._budget = budget_bytes
        self._load = load
        self._held: OrderedDict[Name, tuple[Loaded, int]] = OrderedDict()

    @property
    def held_bytes(self) -> int:
        return sum(size for _, size in self._held.values())

    @property
    def held(self) -> tuple[Name, ...]:
        """What is in memory, least recently used first."""
        return tuple(self._held)

    def get(self, name: Name) -> Loaded:
        """The keyset of this name, loaded if need be; ``load`` returns it and its size in memory."""
        if name not in self._held:
            self._held[name] = self._load(name)
        self._held.move_to_end(name)
        while self.held_bytes > self._budget and len(self._held) > 1:
            self._held.popitem(last=False)
        return self._held[name][0]

    def discard(self, name: Name) -> None:
        self._held.pop(name, None)

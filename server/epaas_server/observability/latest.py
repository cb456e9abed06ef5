"""A value that takes time to find, for readers who cannot wait for it: a scrape, while the database does not answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

Value = TypeVar("Value")


@dataclass(frozen=True)
class Found(Generic[Value]):
    value: Value
    at: float
    """By the monotonic clock, when it had been found."""
    seconds: float
    """That finding it took."""

    @property
    def age(self) -> float:
        return time.monotonic() - self.at


class Latest(Generic[Value]):
    """``find`` runs in a thread of its own, at most once at a time, and only when somebody asks.

    What it found is kept for ``keep_seconds``, and for ``rest`` times as long as finding it took.
    """

    def __init__(self, find: Callable[[], Value], keep_seconds: float, rest: float = 0.0) -> None:
        self._find = find
        self._keep = keep_seconds
        self._rest = rest
        self._found: Found[Value] | None = None
        self._search: threading.Thread | None = None
        self._lock = threading.Lock()

    def get(self, patience_seconds: float) -> Found[Value] | None:
        """The value that was found last. For a newer one, where it is due, at most so long is waited."""
        with self._lock:
            found = self._found
            if found is not None and found.age < max(self._keep, self._rest * found.seconds):
                return found
            if self._search is None or not self._search.is_alive():
                self._search = threading.Thread(target=self._look, daemon=True)
                self._search.start()
            search = self._search
        search.join(patience_seconds)
        return self._found

    def _look(self) -> None:
        begin = time.monotonic()
        value = self._find()
        now = time.monotonic()
        self._found = Found(value, now, now - begin)

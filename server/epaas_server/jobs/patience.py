"""A database that is away is asked again until it answers: its users here wait, and what they have done is not lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import wraps
from math import inf
from typing import Any, TypeVar, cast

import structlog

from epaas_server.database import DATABASE_ERRORS, is_away

_log = structlog.get_logger()
_FIRST_PAUSE_SECONDS = 0.25
_LONGEST_PAUSE_SECONDS = 1.0
"""Short beside the time after which jobs are taken again."""

_SETTLED_SECONDS = 3.0

T = TypeVar("T")


class Patience:
    """Of one process, until ``stop`` is set: then what the database says is raised after all."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._back_at = -inf

    def of(self, store: T) -> T:
        """The same store, but its methods are called again while the database is away.

        Each must be one transaction, which may be repeated.
        """
        return cast(T, _Asked(store, self))

    def until_answered(self, ask: Callable[[], T]) -> T:
        """Raises what ``ask`` does, but for a database that is away."""
        pause = 0.0
        while True:
            try:
                answer = ask()
            except DATABASE_ERRORS as error:
                if not is_away(error):
                    raise
                _log.error("the database does not answer; it is asked again", error=str(error).splitlines()[0])
                pause = min(2 * pause or _FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS)
                if self._stop.wait(pause):
                    raise
            else:
                if pause:
                    self._back_at = time.monotonic()
                return answer

    def when_settled(self, ask: Callable[[], T]) -> T | None:
        """What ``ask`` returns; None while the database is away, and for some seconds afterwards.

        For taking jobs: leases that ran out meanwhile are first renewed by those who are at work.
        """
        if time.monotonic() - self._back_at < _SETTLED_SECONDS:
            return None
        try:
            return ask()
        except DATABASE_ERRORS as error:
            if not is_away(error):
                raise
            self._back_at = time.monotonic()
            return None


class _Asked:
    def __init__(self, store: Any, patience: Patience) -> None:
        self._store = store
        self._patience = patience

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if not callable(found):
            return found

        @wraps(found)
        def ask(*arguments: Any, **options: Any) -> Any:
            return self._patience.until_answered(lambda: found(*arguments, **options))

        return ask

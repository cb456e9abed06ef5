"""Which workers there are, by what each says of itself once a second: for admission, metrics and the operator.

A worker is present while it says so; nothing else depends on it (jobs have leases of their own).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict
from sqlalchemy import Engine, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from epaas_server.database import clock, reading
from epaas_server.observability.tally import Tally
from epaas_server.tables import workers

PRESENT_SECONDS = 15.0
"""A worker that has been silent for so long is not counted on."""
_EVERY_SECONDS = 1.0
_FORGOTTEN_SECONDS = 3600.0


class WorkerFacts(BaseModel):
    """What a worker says of itself. Members that a release does not know are ignored."""

    model_config = ConfigDict(frozen=True)

    release: str
    engine: str
    threads: int
    memory_bytes: int
    """That an evaluation may take, beside the keysets in memory."""
    job: str | None = None
    held_keysets: int = 0


@dataclass(frozen=True)
class PresentWorker:
    name: str
    started_at: datetime
    silent_seconds: float
    facts: WorkerFacts


class Announcer:
    """What one worker says of itself, once a second and when it leaves; what it has counted goes with it."""

    def __init__(self, presence: WorkerPresence, name: str, facts: WorkerFacts) -> None:
        self.name = name
        self.facts = facts
        self.tally = Tally()
        self._presence = presence
        self._started_at = datetime.now(UTC)
        self._said = -_EVERY_SECONDS

    def say(self, **changes: object) -> None:
        """Change what is said; it is told at once where something changed, else once a second."""
        changed = self.facts.model_copy(update=changes)
        if changed == self.facts and time.monotonic() - self._said < _EVERY_SECONDS:
            return
        self.facts = changed
        self._presence.announce(self.name, self._started_at, self.facts)
        self.tally.hand_over(self._presence.database)
        self._said = time.monotonic()

    def leave(self) -> None:
        self.tally.hand_over(self._presence.database)
        self._presence.leave(self.name)


@dataclass(frozen=True)
class WorkerPresence:
    database: Engine

    def announce(self, name: str, started_at: datetime, facts: WorkerFacts) -> None:
        values = {"seen": clock(self.database), "facts": facts.model_dump(), "started_at": started_at}
        with self.database.begin() as connection:
            if connection.execute(update(workers).filter_by(name=name).values(**values)).rowcount:
                return
        try:
            with self.database.begin() as connection:
                connection.execute(insert(workers).values(name=name, **values))
                connection.execute(delete(workers).where(workers.c.seen < clock(self.database) - _FORGOTTEN_SECONDS))
        except IntegrityError:  # of a process id that came back; the next word is taken
            return

    def leave(self, name: str) -> None:
        with self.database.begin() as connection:
            connection.execute(delete(workers).filter_by(name=name))

    def present(self) -> list[PresentWorker]:
        """The workers that are there, by name."""
        silent = (clock(self.database) - workers.c.seen).label("silent")
        with reading(self.database) as connection:
            rows = connection.execute(select(workers, silent).order_by(workers.c.name)).all()
        return [
            PresentWorker(row.name, row.started_at, row.silent, WorkerFacts.model_validate(row.facts))
            for row in rows
            if row.silent < PRESENT_SECONDS
        ]

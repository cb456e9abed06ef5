"""What the metrics tell of the whole service: from the database at every scrape, and once a minute what costs more."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine, func, select
from sqlalchemy.exc import SQLAlchemyError

from epaas_server.blobs import Blobs
from epaas_server.database import reading
from epaas_server.jobs.presence import PresentWorker, WorkerPresence
from epaas_server.jobs.turns import SECONDS_LEFT
from epaas_server.observability.catalogue import COUNTED
from epaas_server.observability.tally import Counted, read_counted
from epaas_server.tables import evaluation_keys, jobs
from epaas_shared.errors import EpaasError
from epaas_shared.protocol import PredictionState

UNFINISHED = (PredictionState.QUEUED, PredictionState.RUNNING)
FINISHED = tuple(state for state in PredictionState if state.finished)
BLOB_FOLDERS = ("bundles", "incoming", "jobs", "keys")


@dataclass(frozen=True)
class QueueFacts:
    """Of jobs that are not finished, workers, and what these have counted."""

    jobs: dict[PredictionState, int]
    predicted_seconds: float
    oldest_queued_seconds: float
    workers: tuple[PresentWorker, ...]
    counted: Counted


@dataclass(frozen=True)
class KeptFacts:
    """Of what is kept."""

    jobs: dict[PredictionState, int]
    """Finished ones."""
    keys: dict[str, int]
    """By state."""


@dataclass(frozen=True)
class Stored:
    blobs: int = 0
    bytes: int = 0


def queue_facts(database: Engine) -> QueueFacts | None:
    """By the index of states, so that what it costs depends on what waits. None: the database does not answer."""
    unfinished = (
        select(
            jobs.c.state,
            func.count().label("number"),
            func.min(jobs.c.created_at).label("oldest"),
            func.sum(SECONDS_LEFT).label("seconds"),
        )
        .where(jobs.c.state.in_([state.value for state in UNFINISHED]))
        .group_by(jobs.c.state)
    )
    try:
        with reading(database) as connection:
            rows = {PredictionState(row.state): row for row in connection.execute(unfinished)}
        workers = tuple(WorkerPresence(database).present())
        counted = read_counted(database, COUNTED)
    except SQLAlchemyError:
        return None
    queued = rows.get(PredictionState.QUEUED)
    waiting = 0.0 if queued is None else (datetime.now(UTC) - queued.oldest).total_seconds()
    return QueueFacts(
        jobs={state: rows[state].number if state in rows else 0 for state in UNFINISHED},
        predicted_seconds=sum(float(row.seconds) for row in rows.values()),
        oldest_queued_seconds=max(0.0, waiting),
        workers=workers,
        counted=counted,
    )


def kept_facts(database: Engine) -> KeptFacts | None:
    """None: the database does not answer."""
    number = func.count().label("number")
    ended = [state.value for state in FINISHED]
    finished = select(jobs.c.state, number).where(jobs.c.state.in_(ended)).group_by(jobs.c.state)
    keys = select(evaluation_keys.c.state, number).group_by(evaluation_keys.c.state)
    try:
        with reading(database) as connection:
            by_state = {row.state: row.number for row in connection.execute(finished)}
            kept = {row.state: row.number for row in connection.execute(keys)}
    except SQLAlchemyError:
        return None
    return KeptFacts({state: by_state.get(state.value, 0) for state in FINISHED}, kept)


def stored_blobs(blobs: Blobs) -> dict[str, Stored] | None:
    """By folder; None where the store does not answer. Reads the names of all blobs."""
    found: dict[str, Stored] = {}
    try:
        blobs.check()
        for folder in BLOB_FOLDERS:
            sizes: Counter[str] = Counter()
            for blob in blobs.stored(folder):
                sizes.update(blobs=1, bytes=blob.bytes)
            found[folder] = Stored(sizes["blobs"], sizes["bytes"])
    except (EpaasError, OSError):
        return None
    return found


def disk(folder: Path) -> tuple[int, int] | None:
    """Bytes that are free on a folder's disk, and its size; None where there is no such folder."""
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return None
    return usage.free, usage.total

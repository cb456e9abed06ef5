"""What a service that has come to rest has left: rows, blobs, temporary files. Looks at the database and the disk."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, func, select

from epaas_server.database import clock
from epaas_server.tables import evaluation_keys, jobs, usage
from epaas_shared.protocol import PredictionState
from tests.faults.supervised import Service

_TWO_DAYS = 2 * 86_400.0
_UNFINISHED = (PredictionState.QUEUED.value, PredictionState.RUNNING.value)


@dataclass(frozen=True)
class Rows:
    """Of jobs."""

    predictions: int
    succeeded: int
    counted: int
    """Predictions that usage says to have been finished; raised in the transaction that finishes one."""
    unfinished: int
    without_lease: int
    """Running, though the lease has run out."""


def rows(database: Engine) -> Rows:
    def count(*conditions: object) -> int:
        with database.connect() as connection:
            query = select(func.count()).select_from(jobs).where(*conditions)  # type: ignore[arg-type]
            return int(connection.execute(query).scalar_one())

    with database.connect() as connection:
        counted = int(connection.execute(select(func.coalesce(func.sum(usage.c.predictions), 0))).scalar_one())
    is_prediction = jobs.c.kind == "predict"
    running = jobs.c.state == PredictionState.RUNNING.value
    return Rows(
        predictions=count(is_prediction),
        succeeded=count(is_prediction, jobs.c.state == PredictionState.SUCCEEDED.value),
        counted=counted,
        unfinished=count(jobs.c.state.in_(_UNFINISHED)),
        without_lease=count(running, jobs.c.lease_until < clock(database)),
    )


def unnamed_files(database: Engine, data_dir: Path) -> list[str]:
    """Files of blobs that no row names, and temporary ones, by their paths in the data folder.

    Bundles are left out, whose files stay as long as the server.
    """
    with database.connect() as connection:
        named = {row.result_blob for row in connection.execute(select(jobs.c.result_blob))}
        named |= {row.blob for row in connection.execute(select(evaluation_keys.c.blob))}
    blobs = data_dir / "blobs"
    found = [path for folder in ("jobs", "keys", "incoming") for path in (blobs / folder).rglob("*") if path.is_file()]
    unnamed = [path for path in found if path.relative_to(blobs).as_posix() not in named]
    hidden = [path for path in data_dir.rglob(".*") if not path.name.startswith(".nfs")]
    return sorted(path.relative_to(data_dir).as_posix() for path in unnamed + hidden)


def sweep(service: Service) -> None:
    """``epaas-server sweep`` as it would be two days later: it spares what is younger than one."""
    long_ago = time.time() - _TWO_DAYS
    for path in [*service.data_dir.rglob("*")]:
        if path.is_relative_to(service.data_dir / "blobs") or path.name.startswith("."):
            os.utime(path, (long_ago, long_ago))
    service.command("sweep").check_returncode()

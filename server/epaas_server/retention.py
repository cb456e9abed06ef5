"""What is erased: what somebody wants gone, what its time is over for, and what nothing names any more.

A row goes before its blobs: what is then left by a process that dies is found by :meth:`Retention.sweep`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from pydantic import BaseModel, ConfigDict
from sqlalchemy import Engine, Select, delete, exists, func, or_, select
from sqlalchemy.sql.elements import ColumnElement

from epaas_server.audit import RETENTION, Action, AuditLog
from epaas_server.blobs import Blobs
from epaas_server.bundle_store import BundleStore
from epaas_server.database import reading
from epaas_server.evaluation_keys import KeyStore
from epaas_server.jobs.job import JobKind
from epaas_server.jobs.store import JobStore
from epaas_server.tables import evaluation_keys, jobs
from epaas_server.tenants import TenantStore
from epaas_shared.errors import EvaluationKeysNotFound, PredictionNotFound
from epaas_shared.protocol import PredictionState

ORPHAN_AGE = timedelta(days=1)
"""Blobs are written before the rows that name them; one that is younger may be about to be named."""
_BATCH = 500
_ACTIVE = (PredictionState.QUEUED.value, PredictionState.RUNNING.value)


class Erased(BaseModel):
    """How much went."""

    model_config = ConfigDict(frozen=True)

    predictions: int = 0
    keysets: int = 0
    orphaned_blobs: int = 0
    audit_events: int = 0


@dataclass(frozen=True)
class Retention:
    database: Engine
    blobs: Blobs
    bundles: BundleStore
    jobs: JobStore
    keys: KeyStore
    tenants: TenantStore
    audit: AuditLog
    finished: timedelta
    unused_keys: timedelta
    events: timedelta

    def erase_prediction(self, job_id: str, tenant: str) -> None:
        """Raises :class:`PredictionNotFound`."""
        self.jobs.erase(job_id, tenant)
        self.blobs.keep_only(f"jobs/{job_id}", None)

    def erase_all_of(self, tenant: str) -> Erased:
        """Erase all predictions and keys of a tenant, running ones too. Raises :class:`TenantNotFound`."""
        self.tenants.get(tenant)
        predictions = self._erase_predictions(jobs.c.tenant == tenant)
        keysets = self._erase_keys(
            select(evaluation_keys.c.digest, evaluation_keys.c.tenant).where(evaluation_keys.c.tenant == tenant)
        )
        return Erased(predictions=predictions, keysets=keysets)

    def sweep(self) -> Erased:
        """Erase what is over its time, and blobs that nothing names. Several processes may do it at once."""
        now = datetime.now(UTC)
        old_jobs = jobs.c.finished_at < now - self.finished
        active = exists().where(
            jobs.c.tenant == evaluation_keys.c.tenant,
            jobs.c.evaluation_keys == evaluation_keys.c.digest,
            jobs.c.state.in_(_ACTIVE),
        )
        last_use = func.coalesce(evaluation_keys.c.used_at, evaluation_keys.c.uploaded_at)
        old_keys = select(evaluation_keys.c.digest, evaluation_keys.c.tenant).where(
            last_use < now - self.unused_keys, ~active
        )
        return Erased(
            predictions=self._erase_predictions(old_jobs, noted=True),
            keysets=self._erase_keys(old_keys, noted=True),
            orphaned_blobs=self._remove_orphans(),
            audit_events=self.audit.forget_before(self.events),
        )

    def _erase_predictions(self, which: ColumnElement[bool], *, noted: bool = False) -> int:
        erased = 0
        predictions = select(jobs.c.id, jobs.c.tenant).where(which, jobs.c.kind == JobKind.PREDICT.value)
        with reading(self.database) as connection:
            found = connection.execute(predictions).all()
        for row in found:
            try:
                self.erase_prediction(row.id, row.tenant)
            except PredictionNotFound:  # another process was faster
                continue
            erased += 1
            if noted:
                self.audit.add(row.tenant, RETENTION, Action.PREDICTION_ERASED, row.id)
        with self.database.begin() as connection:  # these have no blobs, and nobody asks for them
            connection.execute(delete(jobs).where(which, jobs.c.kind == JobKind.CHECK_KEYS.value))
        return erased

    def _erase_keys(self, which: Select[Any], *, noted: bool = False) -> int:
        erased = 0
        with reading(self.database) as connection:
            found = connection.execute(which).all()
        for row in found:
            try:
                self.keys.delete(row.digest, row.tenant)
            except EvaluationKeysNotFound:
                continue
            erased += 1
            if noted:
                self.audit.add(row.tenant, RETENTION, Action.KEYS_ERASED, row.digest)
        return erased

    def orphans(self) -> Iterator[str]:
        """Blobs of keys and jobs that no row names, and uploads that broke off; bundles stay, as versions do.

        Among them is what a worker that was killed at the very end left behind of a job that has its result.
        """
        yield from self._old_blobs("incoming")
        for names in _batches(self._old_blobs("keys")):
            digests = [name.rpartition("/")[2] for name in names]
            columns = (evaluation_keys.c.blob, evaluation_keys.c.digest)
            query = select(*columns).where(or_(columns[0].in_(names), columns[1].in_(digests)))
            with reading(self.database) as connection:
                named = {row.blob or f"keys/{row.digest}" for row in connection.execute(query)}
            yield from (name for name in names if name not in named)
        for names in _batches(self._old_blobs("jobs")):
            folders = {name.split("/")[1] for name in names}
            query = select(jobs.c.id, jobs.c.state, jobs.c.result_blob).where(jobs.c.id.in_(folders))
            with reading(self.database) as connection:
                known = {row.id: (row.state, row.result_blob) for row in connection.execute(query)}
            yield from (name for name in names if not _is_named(name, known.get(name.split("/")[1])))

    def _remove_orphans(self) -> int:
        removed = self.bundles.remove_broken(ORPHAN_AGE)
        folders = set()
        for name in self.orphans():
            self.blobs.remove(name)
            removed += 1
            if name.startswith("jobs/"):
                folders.add(name.split("/")[1])
        for batch in _batches(iter(folders)):
            with reading(self.database) as connection:
                known = set(connection.execute(select(jobs.c.id).where(jobs.c.id.in_(batch))).scalars())
            for folder in set(batch) - known:
                self.blobs.keep_only(f"jobs/{folder}", None)  # what is left of it, an empty folder
        return removed

    def _old_blobs(self, folder: str) -> Iterator[str]:
        oldest = ORPHAN_AGE.total_seconds()
        return (blob.name for blob in self.blobs.stored(folder) if blob.age_seconds > oldest)


def _is_named(blob: str, job: tuple[str, str | None] | None) -> bool:
    """Whether the job in whose folder it is, by its state and result, has use for a blob: for all while it waits or
    runs, then for the result."""
    return job is not None and (job[0] in _ACTIVE or blob == job[1])


def _batches(names: Iterator[str]) -> Iterator[list[str]]:
    while batch := list(islice(names, _BATCH)):
        yield batch

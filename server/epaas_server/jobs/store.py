"""The queue: rows of the ``jobs`` table, claimed under a lease and written under a fence.

A claim takes a queued job, or a running one whose lease has run out, and raises its fence. Every later write of the
claimer names the fence, so that a worker that was thought dead and comes back changes nothing: a job has one visible
outcome whoever worked on it. Knows nothing of evaluation.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, and_, delete, exists, func, insert, or_, select, update
from sqlalchemy.sql.elements import ColumnElement

from epaas_server.database import clock, reading
from epaas_server.jobs import turns
from epaas_server.jobs.job import Claim, JobKind, NewPrediction, claim_of, new_job_id, prediction_of
from epaas_server.tables import DEFAULT_TENANT, evaluation_keys, jobs, tenants
from epaas_server.tenants import TenantStore, add_usage, lock_tenant
from epaas_shared.errors import EpaasError, IdempotencyConflict, PredictionNotFound
from epaas_shared.protocol import KeysState, Prediction, PredictionState, Problem

_QUEUED, _RUNNING = PredictionState.QUEUED.value, PredictionState.RUNNING.value

LONGEST_LEASE_SECONDS = 3600.0
"""One that has longer to run was taken before the database's clock was set back, and would be for as long as that."""


class LeaseLost(Exception):
    """The job was cancelled or given to another worker: stop working on it."""


class JobStore:
    def __init__(self, database: Engine, tenant_store: TenantStore) -> None:
        self._database = database
        self._tenants = tenant_store
        self._now = clock(database)

    def submit(self, new: NewPrediction) -> tuple[Prediction, bool]:
        """Queue a prediction; with an idempotency key that was seen before, return the earlier one and False.

        Raises :class:`IdempotencyConflict` where the earlier request was another, and :class:`QuotaExceeded`.
        """
        seconds = turns.seconds_due(JobKind.PREDICT, new.predicted_seconds)
        values = {
            **vars(new),
            "plan": new.plan.model_dump(mode="json"),
            "kind": JobKind.PREDICT.value,
            "state": _QUEUED,
            "created_at": datetime.now(UTC),
            "due": time.time() + seconds,
        }
        with self._database.begin() as connection:
            lock_tenant(connection, new.tenant)  # requests with one idempotency key come one after the other
            query = select(jobs).filter_by(tenant=new.tenant, idempotency_key=new.idempotency_key)
            earlier = connection.execute(query).first()
            if earlier is None:
                self._tenants.admit_prediction(connection, new.tenant, new.record_bytes, seconds)
                turns.come_back(connection, new.tenant)
                connection.execute(insert(jobs).values(**values))
        if earlier is None:
            return self.get(new.id, new.tenant), True
        if earlier.request_digest != new.request_digest:
            raise IdempotencyConflict("this idempotency key was used for another request", field="Idempotency-Key")
        return prediction_of(earlier), False

    def submit_key_check(
        self, digest: str, connection: Connection, tenant: str = DEFAULT_TENANT, traceparent: str | None = None
    ) -> None:
        """Queue the trial run of newly uploaded evaluation keys, in the transaction that makes them known."""
        turns.come_back(connection, tenant)
        connection.execute(
            insert(jobs).values(
                id=new_job_id(),
                kind=JobKind.CHECK_KEYS.value,
                state=_QUEUED,
                created_at=datetime.now(UTC),
                due=time.time() + turns.CHECK_SECONDS,
                tenant=tenant,
                evaluation_keys=digest,
                traceparent=traceparent,
            )
        )

    def get(self, job_id: str, tenant: str = DEFAULT_TENANT) -> Prediction:
        """Raises :class:`PredictionNotFound`, also for one of another tenant."""
        with reading(self._database) as connection:
            return prediction_of(self._prediction_row(connection, job_id, tenant))

    def result_blob(self, job_id: str, tenant: str = DEFAULT_TENANT) -> str | None:
        with reading(self._database) as connection:
            blob: str | None = self._prediction_row(connection, job_id, tenant).result_blob
            return blob

    def claim(
        self,
        worker: str,
        lease_seconds: float,
        *,
        held_keys: Sequence[str] = (),
        memory_bytes: int | None = None,
    ) -> Claim | None:
        """Take the job whose turn it is, of those that are queued or whose worker is silent; None if there is none.

        Predictions wait for the check of their keys. The worker holds the keys of the digests ``held_keys``, and takes
        no job that would need more than ``memory_bytes``.
        """
        until = jobs.c.lease_until
        over = or_(until < self._now, until > self._now + LONGEST_LEASE_SECONDS)
        abandoned = and_(jobs.c.state == _RUNNING, over)
        candidate = (
            select(jobs.c.id, jobs.c.tenant, jobs.c.state, turns.SECONDS_LEFT.label("seconds_left"))
            .join(tenants, tenants.c.name == jobs.c.tenant)
            .where(or_(jobs.c.state == _QUEUED, abandoned), _ready(memory_bytes))
            .order_by(*turns.order(held_keys))
            .limit(1)
            .with_for_update(of=jobs, skip_locked=True)
        )
        with self._database.begin() as connection:
            found = connection.execute(candidate).first()
            if found is None:
                return None
            taken = (
                update(jobs)
                .where(jobs.c.id == found.id)
                .values(
                    state=_RUNNING,
                    worker=worker,
                    fence=jobs.c.fence + 1,
                    attempts=jobs.c.attempts + 1,
                    lease_until=self._now + lease_seconds,
                    started_at=func.coalesce(jobs.c.started_at, datetime.now(UTC)),
                )
                .returning(jobs)
            )
            row = connection.execute(taken).one()
            if found.state == _QUEUED:  # else it was counted when it was claimed before
                turns.take(connection, found.tenant, found.seconds_left)
        waited = (datetime.now(UTC) - row.created_at).total_seconds()
        return claim_of(row, max(0.0, waited))

    def should_pause(self, claim: Claim, memory_bytes: int | None = None) -> bool:
        """Whether a job that has just reached a checkpoint had better make way for a shorter one whose turn it is."""
        own = (
            select(jobs.c.due, turns.SECONDS_LEFT.label("left"), tenants.c.virtual_seconds)
            .join(tenants, tenants.c.name == jobs.c.tenant)
            .where(jobs.c.id == claim.id)
        )
        with reading(self._database) as connection:
            mine = connection.execute(own).first()
            if mine is None:
                return False
            waiting = (
                select(jobs.c.id)
                .join(tenants, tenants.c.name == jobs.c.tenant)
                .where(
                    jobs.c.state == _QUEUED,
                    _ready(memory_bytes),
                    turns.goes_before(claim.tenant, mine.due, mine.left, mine.virtual_seconds),
                )
            )
            return connection.execute(waiting.limit(1)).first() is not None

    def heartbeat(self, claim: Claim, lease_seconds: float, bootstraps_done: int) -> None:
        """Renew the lease and tell the progress. Raises :class:`LeaseLost`."""
        self._write(claim, lease_until=self._now + lease_seconds, bootstraps_done=bootstraps_done)

    def checkpoint(self, claim: Claim, layers_done: int, blob: str, bootstraps_done: int, seconds: float) -> None:
        """A layer is finished: its outputs are in ``blob``. Raises :class:`LeaseLost`."""
        with self._database.begin() as connection:
            self._written(
                connection,
                claim,
                layers_done=layers_done,
                checkpoint_blob=blob,
                bootstraps_done=bootstraps_done,
                evaluation_seconds=jobs.c.evaluation_seconds + seconds,
            )
            add_usage(connection, claim.tenant, seconds=seconds)

    def succeed(self, claim: Claim, result_blob: str | None, seconds: float, threads: int) -> None:
        """Raises :class:`LeaseLost`. It may be said again, where the answer was lost on its way."""
        said = {"id": claim.id, "fence": claim.fence, "state": PredictionState.SUCCEEDED.value}
        with self._database.begin() as connection:
            if connection.execute(select(jobs.c.id).filter_by(**said, result_blob=result_blob)).first():
                return
            row = self._written(
                connection,
                claim,
                state=PredictionState.SUCCEEDED.value,
                finished_at=datetime.now(UTC),
                result_blob=result_blob,
                bootstraps_done=jobs.c.bootstraps_total,
                evaluation_seconds=jobs.c.evaluation_seconds + seconds,
                threads=threads,
            )
            if claim.kind is JobKind.PREDICT:
                bootstraps = row.bootstraps_total
                add_usage(connection, claim.tenant, seconds=seconds, bootstraps=bootstraps, predictions=1)

    def fail(self, claim: Claim, error: EpaasError) -> None:
        """Raises :class:`LeaseLost`."""
        problem = Problem.of(error).model_dump(mode="json")
        with self._database.begin() as connection:
            self._give_back(connection, claim)
            values = {"state": PredictionState.FAILED.value, "finished_at": datetime.now(UTC), "problem": problem}
            self._written(connection, claim, **values)

    def release(self, claim: Claim, *, counts_as_attempt: bool) -> None:
        """Give the job back to the queue, for whoever comes next. Raises :class:`LeaseLost`."""
        attempts = claim.attempts if counts_as_attempt else claim.attempts - 1
        with self._database.begin() as connection:
            self._give_back(connection, claim)
            self._written(connection, claim, state=_QUEUED, lease_until=None, attempts=attempts)

    def cancel(self, job_id: str, tenant: str = DEFAULT_TENANT) -> Prediction:
        """Stop a prediction that has not finished; the worker notices at its next heartbeat."""
        with self._database.begin() as connection:
            self._forget_turn(connection, job_id, tenant)
            connection.execute(
                update(jobs)
                .where(jobs.c.id == job_id, jobs.c.state.in_((_QUEUED, _RUNNING)))
                .values(state=PredictionState.CANCELLED.value, finished_at=datetime.now(UTC))
            )
        return self.get(job_id, tenant)

    def is_wanted(self, claim: Claim) -> bool:
        """Whether anybody still waits for the job, be it with another worker: it is neither cancelled nor erased."""
        with reading(self._database) as connection:
            state = connection.execute(select(jobs.c.state).where(jobs.c.id == claim.id)).scalar()
        return state not in (None, PredictionState.CANCELLED.value)

    def erase(self, job_id: str, tenant: str = DEFAULT_TENANT) -> None:
        """Forget a prediction, whatever its state; a worker that is at it notices at its next heartbeat."""
        with self._database.begin() as connection:
            self._forget_turn(connection, job_id, tenant)
            connection.execute(delete(jobs).where(jobs.c.id == job_id))

    def queue_depth(self) -> dict[str, int]:
        """Jobs by state, for the metrics."""
        with reading(self._database) as connection:
            rows = connection.execute(select(jobs.c.state, func.count().label("count_")).group_by(jobs.c.state))
            return {row.state: row.count_ for row in rows}

    def backlog_seconds(self) -> float:
        """Predicted seconds of evaluation that wait or run."""
        query = select(func.coalesce(func.sum(turns.SECONDS_LEFT), 0.0)).where(jobs.c.state.in_((_QUEUED, _RUNNING)))
        with reading(self._database) as connection:
            return float(connection.execute(query).scalar_one())

    def _prediction_row(self, connection: Connection, job_id: str, tenant: str, *, lock: bool = False) -> Row[Any]:
        query = select(jobs, turns.SECONDS_LEFT.label("seconds_left"))
        query = query.filter_by(id=job_id, tenant=tenant, kind=JobKind.PREDICT.value)
        row: Row[Any] | None = connection.execute(query.with_for_update() if lock else query).first()
        if row is None:
            raise PredictionNotFound(f"there is no prediction {job_id[:40]!r}", field="id")
        return row

    def _forget_turn(self, connection: Connection, job_id: str, tenant: str) -> None:
        """A prediction will not be evaluated to its end; what it has used is used."""
        row = self._prediction_row(connection, job_id, tenant, lock=True)
        if row.state == _RUNNING:
            turns.give_back(connection, tenant, row.seconds_left)
            since_checkpoint = (row.predicted_seconds or 0.0) - row.seconds_left - row.evaluation_seconds
            add_usage(connection, tenant, seconds=max(0.0, since_checkpoint))

    def _give_back(self, connection: Connection, claim: Claim) -> None:
        query = select(turns.SECONDS_LEFT).where(self._is_held(claim)).with_for_update()
        left = connection.execute(query).scalar()
        if left is not None:
            turns.give_back(connection, claim.tenant, left)

    def _is_held(self, claim: Claim) -> ColumnElement[bool]:
        return and_(jobs.c.id == claim.id, jobs.c.fence == claim.fence, jobs.c.state == _RUNNING)

    def _write(self, claim: Claim, **values: Any) -> None:
        with self._database.begin() as connection:
            self._written(connection, claim, **values)

    def _written(self, connection: Connection, claim: Claim, **values: Any) -> Row[Any]:
        """Change the row of a job that is still the claimer's. Raises :class:`LeaseLost`."""
        row = connection.execute(update(jobs).where(self._is_held(claim)).values(**values).returning(jobs)).first()
        if row is None:
            raise LeaseLost(claim.id)
        return row


def _ready(memory_bytes: int | None) -> ColumnElement[bool]:
    """Of jobs that nobody works on: those that a worker with so much memory can begin."""
    unchecked = exists(
        select(evaluation_keys.c.digest).where(
            evaluation_keys.c.tenant == jobs.c.tenant,
            evaluation_keys.c.digest == jobs.c.evaluation_keys,
            evaluation_keys.c.state == KeysState.CHECKING.value,
        )
    )
    ready = or_(jobs.c.kind == JobKind.CHECK_KEYS.value, ~unchecked)
    if memory_bytes is None:
        return ready
    return and_(ready, func.coalesce(jobs.c.predicted_memory_bytes, 0) <= memory_bytes)

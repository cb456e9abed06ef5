"""The queue: rows of the ``jobs`` table, claimed under a lease and written under a fence.

A claim takes a queued job, or a running one whose lease has run out, and raises its fence. Every later write of the
claimer names the fence, so that a worker that was thought dead and comes back changes nothing: a job has one visible
outcome whoever worked on it. Knows nothing of evaluation.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    Float,
    Row,
    and_,
    case,
    delete,
    func,
    insert,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.sql.elements import ColumnElement

from epaas_server.database import evaluation_keys, jobs, reading
from epaas_server.plan import Plan
from epaas_shared.errors import EpaasError, IdempotencyConflict, PredictionNotFound
from epaas_shared.protocol import KeysState, Prediction, PredictionState, Problem, Progress

_QUEUED, _RUNNING = PredictionState.QUEUED.value, PredictionState.RUNNING.value


class JobKind(StrEnum):
    PREDICT = "predict"
    CHECK_KEYS = "check-keys"


def new_job_id() -> str:
    """An id that cannot be guessed."""
    return secrets.token_hex(16)


class LeaseLost(Exception):
    """The job was cancelled or given to another worker: stop working on it."""


@dataclass(frozen=True)
class NewPrediction:
    """What a client asked for; ``request_digest`` tells a repeated request from another."""

    id: str
    model_name: str
    model_version: int
    model_digest: str
    evaluation_keys: str
    records: int
    record_blob: str
    plan: Plan
    bootstraps_total: int
    predicted_seconds: float | None
    idempotency_key: str
    request_digest: str


@dataclass(frozen=True)
class Claim:
    """A job in a worker's hands, as it was when it was claimed."""

    id: str
    kind: JobKind
    fence: int
    attempts: int
    evaluation_keys: str
    model_digest: str | None
    records: int
    record_blob: str | None
    plan: Plan | None
    layers_done: int
    checkpoint_blob: str | None


class JobStore:
    def __init__(self, database: Engine) -> None:
        self._database = database
        self._now = _database_clock(database)

    def submit(self, new: NewPrediction) -> tuple[Prediction, bool]:
        """Queue a prediction; with an idempotency key that was seen before, return the earlier one and False.

        Raises :class:`IdempotencyConflict` where the earlier request was another.
        """
        values = {"kind": JobKind.PREDICT.value, "state": _QUEUED, "created_at": datetime.now(UTC)}
        try:
            with self._database.begin() as connection:
                connection.execute(
                    insert(jobs).values(**values, **{**vars(new), "plan": new.plan.model_dump(mode="json")})
                )
        except IntegrityError:
            with reading(self._database) as connection:
                row = connection.execute(select(jobs).filter_by(idempotency_key=new.idempotency_key)).one()
            if row.request_digest != new.request_digest:
                raise IdempotencyConflict(
                    "this idempotency key was used for another request", field="Idempotency-Key"
                ) from None
            return self.get(row.id), False
        return self.get(new.id), True

    def submit_key_check(self, digest: str, connection: Connection) -> None:
        """Queue the trial run of newly uploaded evaluation keys, in the transaction that makes them known."""
        connection.execute(
            insert(jobs).values(
                id=new_job_id(),
                kind=JobKind.CHECK_KEYS.value,
                state=_QUEUED,
                created_at=datetime.now(UTC),
                evaluation_keys=digest,
            )
        )

    def get(self, job_id: str) -> Prediction:
        """Raises :class:`PredictionNotFound`."""
        with reading(self._database) as connection:
            return _document(self._prediction_row(connection, job_id))

    def result_blob(self, job_id: str) -> str | None:
        with reading(self._database) as connection:
            blob: str | None = self._prediction_row(connection, job_id).result_blob
            return blob

    def claim(self, worker: str, lease_seconds: float) -> Claim | None:
        """Take the oldest job that is queued or whose worker has gone silent; None if there is none.

        Key checks come first, and predictions wait for the check of their keys.
        """
        abandoned = and_(jobs.c.state == _RUNNING, jobs.c.lease_until < self._now)
        unchecked = select(evaluation_keys.c.digest).where(evaluation_keys.c.state == KeysState.CHECKING.value)
        ready = or_(jobs.c.kind == JobKind.CHECK_KEYS.value, jobs.c.evaluation_keys.not_in(unchecked))
        candidate = (
            select(jobs.c.id)
            .where(or_(jobs.c.state == _QUEUED, abandoned), ready)
            .order_by(case((jobs.c.kind == JobKind.CHECK_KEYS.value, 0), else_=1), jobs.c.created_at)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        taken = (
            update(jobs)
            .where(jobs.c.id == candidate.scalar_subquery())
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
        with self._database.begin() as connection:
            row = connection.execute(taken).first()
        return None if row is None else _claim(row)

    def heartbeat(self, claim: Claim, lease_seconds: float, bootstraps_done: int) -> None:
        """Renew the lease and tell the progress. Raises :class:`LeaseLost`."""
        self._write(claim, lease_until=self._now + lease_seconds, bootstraps_done=bootstraps_done)

    def checkpoint(self, claim: Claim, layers_done: int, blob: str, bootstraps_done: int, seconds: float) -> None:
        """A layer is finished: its outputs are in ``blob``. Raises :class:`LeaseLost`."""
        self._write(
            claim,
            layers_done=layers_done,
            checkpoint_blob=blob,
            bootstraps_done=bootstraps_done,
            evaluation_seconds=jobs.c.evaluation_seconds + seconds,
        )

    def succeed(self, claim: Claim, result_blob: str | None, seconds: float, threads: int) -> None:
        """Raises :class:`LeaseLost`."""
        self._write(
            claim,
            state=PredictionState.SUCCEEDED.value,
            finished_at=datetime.now(UTC),
            result_blob=result_blob,
            bootstraps_done=jobs.c.bootstraps_total,
            evaluation_seconds=jobs.c.evaluation_seconds + seconds,
            threads=threads,
        )

    def fail(self, claim: Claim, error: EpaasError) -> None:
        """Raises :class:`LeaseLost`."""
        problem = Problem.of(error).model_dump(mode="json")
        self._write(claim, state=PredictionState.FAILED.value, finished_at=datetime.now(UTC), problem=problem)

    def release(self, claim: Claim, *, counts_as_attempt: bool) -> None:
        """Give the job back to the queue, for whoever comes next. Raises :class:`LeaseLost`."""
        attempts = claim.attempts if counts_as_attempt else claim.attempts - 1
        self._write(claim, state=_QUEUED, lease_until=None, attempts=attempts)

    def cancel(self, job_id: str) -> Prediction:
        """Stop a prediction that has not finished; the worker notices at its next heartbeat."""
        with self._database.begin() as connection:
            self._prediction_row(connection, job_id)
            connection.execute(
                update(jobs)
                .where(jobs.c.id == job_id, jobs.c.state.in_((_QUEUED, _RUNNING)))
                .values(state=PredictionState.CANCELLED.value, finished_at=datetime.now(UTC))
            )
        return self.get(job_id)

    def is_wanted(self, claim: Claim) -> bool:
        """Whether anybody still waits for the job, be it with another worker: it is neither cancelled nor erased."""
        with reading(self._database) as connection:
            state = connection.execute(select(jobs.c.state).where(jobs.c.id == claim.id)).scalar()
        return state not in (None, PredictionState.CANCELLED.value)

    def erase(self, job_id: str) -> None:
        """Forget a prediction, whatever its state; a worker that is at it notices at its next heartbeat."""
        with self._database.begin() as connection:
            self._prediction_row(connection, job_id)
            connection.execute(delete(jobs).where(jobs.c.id == job_id))

    def queue_depth(self) -> dict[str, int]:
        """Jobs by state, for the metrics."""
        with reading(self._database) as connection:
            rows = connection.execute(select(jobs.c.state, func.count().label("count_")).group_by(jobs.c.state))
            return {row.state: row.count_ for row in rows}

    def _prediction_row(self, connection: Any, job_id: str) -> Row[Any]:
        row: Row[Any] | None = connection.execute(select(jobs).filter_by(id=job_id, kind=JobKind.PREDICT.value)).first()
        if row is None:
            raise PredictionNotFound(f"there is no prediction {job_id[:40]!r}", field="id")
        return row

    def _write(self, claim: Claim, **values: Any) -> None:
        mine = and_(jobs.c.id == claim.id, jobs.c.fence == claim.fence, jobs.c.state == _RUNNING)
        with self._database.begin() as connection:
            if connection.execute(update(jobs).where(mine).values(**values)).rowcount == 0:
                raise LeaseLost(claim.id)


def _database_clock(database: Engine) -> ColumnElement[float]:
    """Seconds since 1970 by the database's own clock, the one that all workers share.

    Not ``unixepoch('subsec')``: it is NULL before SQLite 3.42, and a NULL lease never runs out.
    """
    if database.dialect.name == "sqlite":
        return literal_column("((julianday('now') - 2440587.5) * 86400.0)", Float)
    return literal_column("extract(epoch from clock_timestamp())", Float)


def _claim(row: Row[Any]) -> Claim:
    return Claim(
        id=row.id,
        kind=JobKind(row.kind),
        fence=row.fence,
        attempts=row.attempts,
        evaluation_keys=row.evaluation_keys,
        model_digest=row.model_digest,
        records=row.records or 0,
        record_blob=row.record_blob,
        plan=None if row.plan is None else Plan.model_validate(row.plan),
        layers_done=row.layers_done,
        checkpoint_blob=row.checkpoint_blob,
    )


def _document(row: Row[Any]) -> Prediction:
    state = PredictionState(row.state)
    left = 1 - row.bootstraps_done / max(1, row.bootstraps_total)
    eta = None if state.finished or row.predicted_seconds is None else left * row.predicted_seconds
    return Prediction(
        id=row.id,
        state=state,
        model=row.model_name,
        version=row.model_version,
        model_digest=row.model_digest,
        evaluation_keys=row.evaluation_keys,
        records=row.records,
        progress=Progress(done=row.bootstraps_done, total=row.bootstraps_total),
        eta_seconds=eta,
        evaluation_seconds=row.evaluation_seconds if state.finished else None,
        threads=row.threads,
        attempts=row.attempts,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        problem=None if row.problem is None else Problem.model_validate(row.problem),
    )

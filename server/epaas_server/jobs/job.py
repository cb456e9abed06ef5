"""What a job is, as the queue takes it, as a worker holds it and as its owner sees it. Knows no database."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Row

from epaas_server.plan import Plan
from epaas_server.tables import DEFAULT_TENANT
from epaas_shared.protocol import Prediction, PredictionState, Problem, Progress


class JobKind(StrEnum):
    PREDICT = "predict"
    CHECK_KEYS = "check-keys"


def new_job_id() -> str:
    """An id that cannot be guessed."""
    return secrets.token_hex(16)


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
    record_bytes: int = 0
    predicted_memory_bytes: int | None = None
    """Of the evaluation, at its peak."""
    tenant: str = DEFAULT_TENANT
    traceparent: str | None = None
    """The W3C trace context of the request."""


@dataclass(frozen=True)
class Claim:
    """A job in a worker's hands, as it was when it was claimed."""

    id: str
    kind: JobKind
    tenant: str
    fence: int
    attempts: int
    evaluation_keys: str
    model_name: str | None
    model_digest: str | None
    records: int
    record_blob: str | None
    plan: Plan | None
    layers_done: int
    checkpoint_blob: str | None
    waited_seconds: float
    """From submission to this claim, by the clocks of two machines."""
    traceparent: str | None


def claim_of(row: Row[Any], waited_seconds: float) -> Claim:
    return Claim(
        id=row.id,
        kind=JobKind(row.kind),
        tenant=row.tenant,
        fence=row.fence,
        attempts=row.attempts,
        evaluation_keys=row.evaluation_keys,
        model_name=row.model_name,
        model_digest=row.model_digest,
        records=row.records or 0,
        record_blob=row.record_blob,
        plan=None if row.plan is None else Plan.model_validate(row.plan),
        layers_done=row.layers_done,
        checkpoint_blob=row.checkpoint_blob,
        waited_seconds=waited_seconds,
        traceparent=row.traceparent,
    )


def prediction_of(row: Row[Any]) -> Prediction:
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

"""What is seen of a job while a worker has it: spans of the trace that asked for it, counts, and ids in the log.

    POST /v1/predictions ─┬─ queue
                          ├─ claim ─┬─ keyset load
                          │         ├─ layer …
                          │         └─ result
                          └─ result fetched

The child records nothing itself, as it may die at any time and is to reach no network: it tells its worker when steps
began and ended (:class:`epaas_server.engine.tasks.Step`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import structlog
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer
from sqlalchemy import Engine, select

from epaas_server.database import reading
from epaas_server.engine.tasks import Step
from epaas_server.jobs.job import Claim, JobKind
from epaas_server.observability import catalogue
from epaas_server.observability.tally import Tally
from epaas_server.observability.tracing import KEY_DIGITS, context_of, recording, trace_id_of, tracer
from epaas_server.tables import jobs
from epaas_shared.protocol import Prediction

_NANOSECONDS = 1_000_000_000


@dataclass(frozen=True)
class ObservedClaim:
    """Of one claim."""

    claim: Claim
    ids: Mapping[str, str]
    """Of the job and its trace, for the child's lines in the log."""
    _tally: Tally
    _tracer: Tracer
    _span: Span

    def advanced(self, bootstraps: int) -> None:
        self._tally.add(catalogue.BOOTSTRAPS, bootstraps)

    def step(self, step: Step) -> None:
        """The child has done a step."""
        attributes: dict[str, str | int] = {}
        if step.layer is not None and self.claim.plan is not None:
            plan = self.claim.plan.layers[step.layer - 1]
            bootstraps = plan.bootstraps * self.claim.records
            attributes = {"epaas.layer": step.layer, "epaas.strategy": plan.strategy, "epaas.bootstraps": bootstraps}
        self._tracer.start_span(step.name, start_time=step.began_ns, attributes=attributes).end(step.ended_ns)

    def finished(self, *, keys_were_held: bool) -> None:
        """The child has done all of it."""
        if self.claim.kind is JobKind.PREDICT:
            self._tally.add(catalogue.KEYSET_HITS if keys_were_held else catalogue.KEYSET_MISSES)

    def child_died(self) -> None:
        self._tally.add(catalogue.CHILD_DEATHS)
        self._span.set_status(StatusCode.ERROR, "the evaluation child died")

    def succeeded(self, prediction: Prediction) -> None:
        """It is recorded."""
        seconds = prediction.evaluation_seconds or 0.0
        self._tally.observe(catalogue.EVALUATION_SECONDS, seconds, model=prediction.model)

    def failed(self, code: str) -> None:
        """It is recorded, with a problem of this code."""
        self._tally.add(catalogue.FAILURES, code=code)
        self._span.set_attribute("epaas.problem", code)
        self._span.set_status(StatusCode.ERROR)


@contextmanager
def observing(claim: Claim, worker: str, tally: Tally, recorder: Tracer | None = None) -> Iterator[ObservedClaim]:
    """Around all that a worker does with a claim."""
    if claim.fence == 1:
        tally.observe(catalogue.WAIT_SECONDS, claim.waited_seconds, kind=claim.kind.value)
    recorder = recorder or tracer()
    context = context_of(claim.traceparent)
    now = time.time_ns()
    begun = recorder.start_as_current_span(
        "claim",
        context=context,
        kind=SpanKind.CONSUMER,
        attributes=_attributes(claim, worker),
        record_exception=False,
        set_status_on_exception=False,
    )
    with begun as span:
        if claim.fence == 1:
            waited = round(claim.waited_seconds * _NANOSECONDS)
            parent = context if claim.traceparent else None
            recorder.start_span("queue", context=parent, start_time=now - waited).end(now)
        trace_id = trace_id_of()
        ids = {"job": claim.id} | ({"trace_id": trace_id} if trace_id else {})
        more = {"kind": claim.kind.value, "attempt": claim.attempts, "fence": claim.fence}
        with structlog.contextvars.bound_contextvars(**ids, **more):
            yield ObservedClaim(claim, ids, tally, recorder, span)


def _attributes(claim: Claim, worker: str) -> dict[str, str | int]:
    attributes: dict[str, str | int] = {
        "epaas.job": claim.id,
        "epaas.kind": claim.kind.value,
        "epaas.tenant": claim.tenant,
        "epaas.keys": claim.evaluation_keys[:KEY_DIGITS],
        "epaas.attempt": claim.attempts,
        "epaas.layers_done": claim.layers_done,
        "epaas.worker": worker,
    }
    if claim.model_name is not None:
        attributes |= {"epaas.model": claim.model_name, "epaas.records": claim.records}
    return attributes


@contextmanager
def fetching_result(database: Engine, job_id: str) -> Iterator[None]:
    """The end of a job's trace, where the request for the result is of no trace itself."""
    if not recording() or trace_id_of() is not None:
        yield
        return
    with reading(database) as connection:
        traceparent = connection.execute(select(jobs.c.traceparent).filter_by(id=job_id)).scalar()
    begun = tracer().start_as_current_span(
        "result fetched",
        context=context_of(traceparent),
        kind=SpanKind.SERVER,
        attributes={"epaas.job": job_id},
        record_exception=False,
        set_status_on_exception=False,
    )
    with begun:
        yield

"""What is seen of a job while a worker has it: spans of the trace that asked for it, and counts."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from sqlalchemy import Engine
from tests.unit.server.job_making import KEYS, claimed, prediction, submit
from tests.unit.server.span_recording import CLIENT_SPAN, TRACE, TRACEPARENT, Recorder, id_of, parent_of, trace_of

from epaas_server.engine.tasks import Step
from epaas_server.jobs.job import Claim
from epaas_server.jobs.store import JobStore
from epaas_server.observability.catalogue import COUNTED
from epaas_server.observability.claims import observing
from epaas_server.observability.tally import Tally, read_counted
from epaas_shared.errors import PredictionFailed


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def claim(store: JobStore) -> Claim:
    store.submit(replace(prediction("job"), traceparent=TRACEPARENT))
    return claimed(store)


def test_a_claim_is_of_the_trace_that_asked(claim: Claim, recorder: Recorder) -> None:
    with observing(claim, "here-1", Tally(), recorder.tracer) as observed:
        now = time.time_ns()
        observed.step(Step("layer", now - 2_000_000, now - 1_000_000, layer=2))
        observed.step(Step("result", now - 1_000_000, now))
        assert observed.ids == {"job": "job", "trace_id": TRACE}
    queue, span, layer = recorder.span("queue"), recorder.span("claim"), recorder.span("layer")
    assert parent_of(queue) == parent_of(span) == CLIENT_SPAN
    assert parent_of(layer) == parent_of(recorder.span("result")) == id_of(span)
    assert dict(layer.attributes or {}) == {"epaas.layer": 2, "epaas.strategy": "reduce-tree", "epaas.bootstraps": 30}
    assert (layer.start_time, layer.end_time) == (now - 2_000_000, now - 1_000_000)
    attributes = dict(span.attributes or {})
    assert attributes["epaas.keys"] == KEYS[:12]
    assert attributes["epaas.worker"] == "here-1"
    assert {name: attributes[f"epaas.{name}"] for name in ("job", "kind", "tenant", "model", "records", "attempt")} == {
        "job": "job",
        "kind": "predict",
        "tenant": "default",
        "model": "toy",
        "records": 2,
        "attempt": 1,
    }


def test_only_the_first_claim_has_waited(claim: Claim, store: JobStore, recorder: Recorder) -> None:
    with observing(claim, "here-1", Tally(), recorder.tracer) as observed:
        observed.child_died()
    store.release(claim, counts_as_attempt=True)
    with observing(claimed(store), "here-2", Tally(), recorder.tracer) as observed:
        observed.failed(PredictionFailed.code)
    assert [span.name for span in recorder.spans] == ["queue", "claim", "claim"]
    first, second = (span for span in recorder.spans if span.name == "claim")
    assert not first.status.is_ok
    assert not second.status.is_ok
    assert dict(second.attributes or {})["epaas.problem"] == "prediction-failed"
    assert trace_of(first) == trace_of(second) == TRACE


def test_a_job_without_a_trace_begins_one_with_its_wait_in_it(store: JobStore, recorder: Recorder) -> None:
    submit(store, "job")
    with observing(claimed(store), "here-1", Tally(), recorder.tracer):
        pass
    queue, span = recorder.span("queue"), recorder.span("claim")
    assert span.parent is None
    assert parent_of(queue) == id_of(span)


def test_without_tracing_a_claim_has_the_jobs_id_alone(store: JobStore) -> None:
    submit(store, "job")
    with observing(claimed(store), "here-1", Tally()) as observed:
        assert observed.ids == {"job": "job"}


def test_keys_of_a_claim_are_counted_for_predictions(claim: Claim, database: Engine) -> None:
    tally = Tally()
    with observing(claim, "here-1", tally) as observed:
        observed.finished(keys_were_held=True)
        observed.advanced(7)
    tally.hand_over(database)
    totals = read_counted(database, COUNTED).totals
    assert totals["epaas_keyset_cache_hits_total"] == {(): 1}
    assert totals["epaas_keyset_cache_misses_total"] == {(): 0}
    assert totals["epaas_bootstraps_total"] == {(): 7}

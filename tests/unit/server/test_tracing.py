"""Traces: on where a collector is named, through whatever a context passes, and of one request at a time."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Tracer, format_span_id, format_trace_id
from sqlalchemy import Engine, insert
from tests.collector import collecting
from tests.unit.server.api_making import serving
from tests.unit.server.job_making import KEYS, claimed, prediction, row_of, submit
from tests.unit.server.server_making import BundleParts

from epaas_server.engine.tasks import Step
from epaas_server.jobs.job import Claim
from epaas_server.jobs.store import JobStore
from epaas_server.observability.claims import observing
from epaas_server.observability.requests import RequestSpans
from epaas_server.observability.tally import Tally
from epaas_server.observability.tracing import collector, context_of, current_traceparent, trace_id_of
from epaas_server.services import Services
from epaas_server.settings import Settings
from epaas_server.tables import evaluation_keys
from epaas_shared.errors import PredictionFailed
from epaas_shared.frame import SEEDED_BYTES, RecordHeader, encode_frame
from epaas_shared.profile import default_profile
from epaas_shared.protocol import RECORD_MEDIA_TYPE, KeysState

TRACE, CLIENT_SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{CLIENT_SPAN}-01"


class Recorder:
    """The SDK as it is served with, but for where spans go."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer: Tracer = provider.get_tracer("tests")

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())

    def span(self, name: str) -> ReadableSpan:
        (found,) = [span for span in self.spans if span.name == name]
        return found


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def trace_of(span: ReadableSpan) -> str:
    return format_trace_id(span.context.trace_id)


def parent_of(span: ReadableSpan) -> str:
    return "" if span.parent is None else format_span_id(span.parent.span_id)


def id_of(span: ReadableSpan) -> str:
    return format_span_id(span.context.span_id)


# whether, and where to


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://jaeger:4318"}, "http://jaeger:4318"),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://b/v1/traces"},
            "http://b/v1/traces",
        ),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://jaeger:4318", "OTEL_SDK_DISABLED": "true"}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://jaeger:4318", "OTEL_TRACES_EXPORTER": "none"}, None),
    ],
)
def test_traces_are_off_unless_a_collector_is_named(environment: dict[str, str], expected: str | None) -> None:
    assert collector(environment) == expected


PROGRAM = """
from epaas_server.observability.tracing import context_of, start_tracing, tracer
end = start_tracing("epaas-test")
with tracer().start_as_current_span("alone"):
    pass
with tracer().start_as_current_span("of a client", context=context_of({traceparent!r})):
    pass
end()
"""


def run(environment: dict[str, str], traceparent: str = TRACEPARENT) -> None:
    command = [sys.executable, "-c", PROGRAM.format(traceparent=traceparent)]
    variables = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    subprocess.run(command, env={**variables, **environment}, check=True, capture_output=True)


def test_spans_are_sent_before_the_process_ends(tmp_path: Path) -> None:
    with collecting() as there:
        run({"OTEL_EXPORTER_OTLP_ENDPOINT": there.url})
        assert {span.name for span in there.spans} == {"alone", "of a client"}
        assert {span.service for span in there.spans} == {"epaas-test"}
        assert [span.parent for span in there.spans if span.name == "of a client"] == [CLIENT_SPAN]


def test_the_standard_variables_hold() -> None:
    with collecting() as there:
        named = {"OTEL_EXPORTER_OTLP_ENDPOINT": there.url, "OTEL_SERVICE_NAME": "mine"}
        run({**named, "OTEL_TRACES_SAMPLER": "parentbased_always_off"})
        assert [span.name for span in there.spans] == ["of a client"], "the client asks for it"
        assert {span.service for span in there.spans} == {"mine"}
        there.bodies.clear()
        run(named, traceparent=TRACEPARENT.removesuffix("01") + "00")
        assert [span.name for span in there.spans] == ["alone"]
        there.bodies.clear()
        run({**named, "OTEL_TRACES_SAMPLER": "always_off"})
        assert there.spans == []


def test_the_sdk_is_loaded_only_where_it_is_used() -> None:
    program = "import sys, epaas_server.jobs.worker\nprint('opentelemetry.sdk' in sys.modules)"
    printed = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert printed == "False\n"


# contexts


@pytest.mark.parametrize(
    "wrong", [None, "", "nonsense", f"00-{'0' * 32}-{CLIENT_SPAN}-01", f"ff-{TRACE}-{CLIENT_SPAN}-01"]
)
def test_a_context_that_is_none_begins_a_trace(wrong: str | None) -> None:
    assert trace_id_of(context_of(wrong)) is None


def test_a_context_comes_back_as_it_was(recorder: Recorder) -> None:
    assert current_traceparent() is None
    with recorder.tracer.start_as_current_span("one", context=context_of(TRACEPARENT)):
        assert trace_id_of() == TRACE
        inner = current_traceparent()
    assert inner is not None
    assert inner.startswith(f"00-{TRACE}-")
    assert inner.endswith("-01")
    assert CLIENT_SPAN not in inner


# requests


@pytest.fixture
def traced(recorder: Recorder) -> Iterator[httpx.Client]:
    """A client on one connection to an application that says of which trace it thinks a request is."""
    app = FastAPI()

    @app.api_route("/v1/{kind}/{thing}", methods=["GET", "POST"])
    def say(kind: str, thing: str) -> dict[str, str | None]:
        if thing == "broken":
            raise RuntimeError("a secret that an exception has")
        return {"trace": trace_id_of()}

    app.build_middleware_stack = _inside(app, recorder.tracer)  # type: ignore[method-assign]
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, access_log=False, ws="none"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        yield client
    server.should_exit = True
    thread.join()


def _inside(app: FastAPI, tracer: Tracer):  # type: ignore[no-untyped-def]
    build = app.build_middleware_stack
    return lambda: RequestSpans(build(), tracer)


def test_requests_of_one_connection_do_not_share_a_trace(traced: httpx.Client, recorder: Recorder) -> None:
    """The server's tasks begin in the context of what the connection did before."""
    first = traced.post("/v1/things/one", headers={"traceparent": TRACEPARENT}).json()["trace"]
    second = traced.post("/v1/things/two").json()["trace"]
    third = traced.get("/v1/things/three").json()["trace"]
    assert first == TRACE
    assert second not in (None, TRACE)
    assert third is None
    assert [trace_of(span) for span in recorder.spans] == [TRACE, second]


def test_reading_is_a_span_where_the_client_traces_it(traced: httpx.Client, recorder: Recorder) -> None:
    assert traced.get("/v1/things/one").json() == {"trace": None}
    assert traced.get("/v1/things/one", headers={"traceparent": TRACEPARENT}).json() == {"trace": TRACE}
    (span,) = recorder.spans
    assert span.name == "GET /v1/{kind}/{thing}"
    assert parent_of(span) == CLIENT_SPAN


def test_a_request_that_breaks_is_an_error_without_its_words(traced: httpx.Client, recorder: Recorder) -> None:
    assert traced.post("/v1/things/broken?private=query").status_code == 500
    (span,) = recorder.spans
    assert not span.status.is_ok
    assert span.events == ()
    assert dict(span.attributes or {}) == {
        "http.request.method": "POST",
        "http.route": "/v1/{kind}/{thing}",
        "http.response.status_code": 500,
    }
    assert "secret" not in span.to_json()


def test_only_what_looks_like_an_id_is_told(recorder: Recorder, traced: httpx.Client) -> None:
    traced.post("/v1/evaluation-keys/epaas_0123456789abcdef_secret")
    (span,) = recorder.spans
    assert "secret" not in span.to_json()


def test_a_clients_context_reaches_the_job_even_where_nothing_is_recorded(tmp_path: Path) -> None:
    with serving(tmp_path) as (client, registry):
        model = registry.publish(BundleParts().write(tmp_path / "bundle"))
        services = Services.open(Settings(data_dir=tmp_path / "data"))
        _add_keys(services.database)
        bits = BundleParts().schema.bits
        payload = bytes(bits * SEEDED_BYTES)
        header = RecordHeader(
            payload_bytes=len(payload),
            profile=default_profile().digest,
            input_schema=model.input_schema,
            evaluation_keys=KEYS,
            records=1,
            bits=bits,
        )
        for headers, expected in (({"traceparent": TRACEPARENT}, TRACEPARENT), ({}, None)):
            asked = client.post(
                "/v1/predictions",
                params={"model": "toy"},
                content=encode_frame(header, payload),
                headers={"Content-Type": RECORD_MEDIA_TYPE, **headers},
            )
            assert asked.status_code == 202, asked.text
            assert row_of(services.database, asked.json()["id"])["traceparent"] == expected
        services.close()


def _add_keys(database: Engine) -> None:
    from datetime import UTC, datetime

    row = {
        "tenant": "default",
        "digest": KEYS,
        "profile": default_profile().digest,
        "state": KeysState.READY.value,
        "bytes": 1,
        "uploaded_at": datetime.now(UTC),
    }
    with database.begin() as connection:
        connection.execute(insert(evaluation_keys).values(**row))


# claims


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
    from epaas_server.observability.catalogue import COUNTED
    from epaas_server.observability.tally import read_counted

    tally = Tally()
    with observing(claim, "here-1", tally) as observed:
        observed.finished(keys_were_held=True)
        observed.advanced(7)
    tally.hand_over(database)
    totals = read_counted(database, COUNTED).totals
    assert totals["epaas_keyset_cache_hits_total"] == {(): 1}
    assert totals["epaas_keyset_cache_misses_total"] == {(): 0}
    assert totals["epaas_bootstraps_total"] == {(): 7}

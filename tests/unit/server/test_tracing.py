"""Traces: on where a collector is named, through whatever a context passes, and of one request at a time."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from opentelemetry.trace import Tracer
from sqlalchemy import Engine, insert
from tests.collector import collecting
from tests.unit.server.api_making import serving
from tests.unit.server.job_making import KEYS, row_of
from tests.unit.server.server_making import BundleParts
from tests.unit.server.span_recording import CLIENT_SPAN, TRACE, TRACEPARENT, Recorder, parent_of, trace_of

from epaas_server.observability.requests import RequestSpans
from epaas_server.observability.tracing import collector, context_of, current_traceparent, trace_id_of
from epaas_server.services import Services
from epaas_server.settings import Settings
from epaas_server.tables import evaluation_keys
from epaas_shared.frame import SEEDED_BYTES, RecordHeader, encode_frame
from epaas_shared.profile import default_profile
from epaas_shared.protocol import RECORD_MEDIA_TYPE, KeysState


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


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
    assert [trace_of(span) for span in recorder.ended(2)] == [TRACE, second]


def test_reading_is_a_span_where_the_client_traces_it(traced: httpx.Client, recorder: Recorder) -> None:
    assert traced.get("/v1/things/one").json() == {"trace": None}
    assert traced.get("/v1/things/one", headers={"traceparent": TRACEPARENT}).json() == {"trace": TRACE}
    (span,) = recorder.ended(1)
    assert span.name == "GET /v1/{kind}/{thing}"
    assert parent_of(span) == CLIENT_SPAN


def test_a_request_that_breaks_is_an_error_without_its_words(traced: httpx.Client, recorder: Recorder) -> None:
    assert traced.post("/v1/things/broken?private=query").status_code == 500
    (span,) = recorder.ended(1)
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
    (span,) = recorder.ended(1)
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

"""What an operator sees of a prediction: one trace over three processes, metrics, and a log without secrets."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from epaas_server.observability.catalogue import CATALOGUE
from tests.collector import collecting
from tests.conftest import ClientKeys, Server, write_bundle
from tests.integration.observed_story import (
    CLIENT_SPAN,
    KEYS_TRACE,
    NETWORK,
    SCHEMA,
    SECRET_QUERY,
    TRACE,
    Story,
    bootstraps_a_record,
    samples,
    tell,
)
from tests.integration.processes import wait_until, workers

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, keys: ClientKeys) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("observed")
    with collecting() as collector, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
        server = Server(folder / "server", {"authentication": "tokens", "threads": "2"}).start()
        try:
            write_bundle(folder / "bundle", NETWORK, SCHEMA)
            assert server.publish(folder / "bundle").returncode == 0
            assert server.command("tenant", "create", "st-mary").returncode == 0
            created = server.command("token", "create", "ward", "--scope", "predict", "--tenant", "st-mary")
            yield tell(server, collector, created.stdout.strip(), keys)
        finally:
            server.stop()


# traces


def test_one_trace_leads_from_the_clients_request_to_the_fetched_result(story: Story) -> None:
    asked, queue, claim = story.span("POST /v1/predictions"), story.span("queue"), story.span("claim")
    assert asked.parent == CLIENT_SPAN, "the client's own span comes first"
    assert queue.parent == claim.parent == story.span("result fetched").parent == asked.id
    steps = [span for span in story.collector.of_trace(TRACE) if span.parent == claim.id]
    assert sorted(span.name for span in steps) == ["layer", "layer", "result"], "the key check has loaded the keys"
    assert {asked.service, story.span("result fetched").service} == {"epaas-api"}
    assert {span.service for span in (queue, claim, *steps)} == {"epaas-worker"}


def test_one_trace_leads_from_the_upload_of_keys_through_their_trial_run(story: Story) -> None:
    upload, queue, claim = (
        story.span(name, KEYS_TRACE) for name in ("PUT /v1/evaluation-keys/{digest}", "queue", "claim")
    )
    assert upload.parent == CLIENT_SPAN
    assert queue.parent == claim.parent == upload.id
    assert claim.attributes["epaas.kind"] == "check-keys"
    assert (upload.service, claim.service) == ("epaas-api", "epaas-worker")


def test_spans_of_a_trace_are_in_the_order_of_what_happened(story: Story) -> None:
    steps = [span for span in story.collector.of_trace(TRACE) if span.parent == story.span("claim").id]
    layers = sorted((span for span in steps if span.name == "layer"), key=lambda span: span.attributes["epaas.layer"])
    in_order = [*layers, story.span("result")]
    for before, after in pairwise(in_order):
        assert before.end_ns <= after.begin_ns
    claim = story.span("claim")
    assert story.span("queue").end_ns <= claim.begin_ns <= in_order[0].begin_ns
    assert in_order[-1].end_ns <= claim.end_ns


def test_layers_are_named_with_their_strategy_and_cost(story: Story) -> None:
    layers = [span.attributes for span in story.collector.of_trace(TRACE) if span.name == "layer"]
    assert sorted(layer["epaas.layer"] for layer in layers) == [1, 2]
    assert {layer["epaas.strategy"] for layer in layers} == {"accumulate"}
    total = sum(layer["epaas.bootstraps"] for layer in layers)
    assert total == httpx.get(f"{story.server.url}/v1/models/toy").json()["cost"]["bootstraps"]


def test_a_client_that_traces_nothing_gets_a_trace_of_its_own(story: Story) -> None:
    (asked,) = [
        span
        for span in story.collector.spans
        if span.name == "POST /v1/predictions" and span.attributes.get("epaas.job") == story.other_job
    ]
    assert asked.parent == ""
    assert asked.trace != TRACE
    names = sorted(span.name for span in story.collector.of_trace(asked.trace))
    assert names == ["POST /v1/predictions", "claim", "layer", "layer", "queue", "result", "result fetched"]


def test_polls_are_no_spans(story: Story) -> None:
    assert not [span for span in story.collector.spans if span.name.startswith("GET")]


def test_spans_have_ids_and_nothing_else_of_whom_they_are_about(story: Story, keys: ClientKeys) -> None:
    allowed = {
        "http.request.method",
        "http.response.status_code",
        "http.route",
        "epaas.attempt",
        "epaas.bootstraps",
        "epaas.job",
        "epaas.keys",
        "epaas.kind",
        "epaas.layer",
        "epaas.layers_done",
        "epaas.model",
        "epaas.problem",
        "epaas.records",
        "epaas.strategy",
        "epaas.tenant",
        "epaas.worker",
    }
    spans = story.collector.spans
    assert {name for span in spans for name in span.attributes} <= allowed
    assert {span.attributes["epaas.tenant"] for span in spans if "epaas.tenant" in span.attributes} == {"st-mary"}
    assert {span.attributes["epaas.keys"] for span in spans if "epaas.keys" in span.attributes} == {
        keys.digest[:12],
        "0" * 12,
    }
    assert not any(span.events for span in spans)
    for secret in _secrets(story, keys):
        assert not any(secret in body for body in story.collector.bodies)


def test_the_child_says_of_which_trace_it_speaks(story: Story) -> None:
    claimed = [line for line in story.log if line["event"] == "job claimed"]
    assert {line["trace_id"] for line in claimed if line["job"] == story.job} == {TRACE}
    (asked,) = [line for line in story.log if line["event"] == "request" and line.get("request_id") == "ward-7.1"]
    assert asked["trace_id"] == TRACE


# logs


def _secrets(story: Story, keys: ClientKeys) -> Iterator[bytes]:
    """What nobody may find anywhere, in the ways in which it might be written down."""
    yield from (text.encode() for text in (story.token, story.token.rpartition("_")[2], story.wrong_token))
    yield SECRET_QUERY.encode()
    for payload in (story.record, story.result, keys.frame):
        middle = payload[len(payload) // 2 :][:16]
        yield middle
        yield middle.hex().encode()
        yield repr(middle)[2:-1].encode()


def test_neither_tokens_nor_payloads_are_in_the_log(story: Story, keys: ClientKeys) -> None:
    log = story.server.log_file.read_bytes()
    assert len(log) > 1000
    for secret in _secrets(story, keys):
        assert secret not in log


def test_every_line_is_an_object_with_an_event_a_level_and_a_time(story: Story) -> None:
    for line in story.log:
        assert {"event", "level", "timestamp"} <= line.keys()


def test_a_request_is_one_line_with_its_ids(story: Story) -> None:
    (line,) = [line for line in story.log if line.get("request_id") == "ward-7.1"]
    assert line["event"] == "request"
    assert line["level"] == "info"
    assert (line["method"], line["route"], line["status"]) == ("POST", "/v1/predictions", 202)
    assert line["tenant"] == "st-mary"
    assert line["token"] == story.token.split("_")[1]
    assert line["job"] == story.job
    assert line["seconds"] >= 0


def test_requests_are_named_by_templates_and_those_for_nothing_by_none(story: Story) -> None:
    requests = [line for line in story.log if line["event"] == "request"]
    (unknown,) = [line for line in requests if line["status"] == 404]
    assert unknown["route"] == "unmatched"
    (refused,) = [line for line in requests if line["status"] == 401]
    assert refused["route"] == "/v1/predictions/{prediction_id}"
    assert "tenant" not in refused
    assert refused["job"] == story.job


def test_the_job_in_the_workers_log_is_the_one_of_the_request(story: Story) -> None:
    events = [line["event"] for line in story.log if line.get("job") == story.job and line["event"].startswith("job ")]
    assert events == ["job claimed", "job finished"]


# metrics


def test_a_scrape_has_all_metrics_of_the_catalogue_and_no_others(story: Story) -> None:
    families = {family.name: family for family in text_string_to_metric_families(story.metrics)}
    own = {name: family for name, family in families.items() if name.startswith("epaas_")}
    declared = {metric.name.removesuffix("_total"): metric for metric in CATALOGUE}
    assert {name for name in own if not name.endswith("_created")} == set(declared)
    for name, metric in declared.items():
        assert own[name].type == metric.kind.value
        assert own[name].documentation == metric.help
        for sample in own[name].samples:
            assert set(sample.labels) - {"le"} == set(metric.labels)


def test_what_was_done_is_counted(story: Story) -> None:
    found = samples(story.metrics)
    assert found["epaas_bootstraps_total"] == 2 * bootstraps_a_record(story.server)
    assert found['epaas_evaluation_seconds_count{model="toy"}'] == 2
    assert found['epaas_wait_seconds_count{kind="predict"}'] == 2
    assert found['epaas_wait_seconds_count{kind="check-keys"}'] == 1
    assert found["epaas_keyset_cache_hits_total"] + found["epaas_keyset_cache_misses_total"] == 2
    assert found['epaas_jobs{state="queued"}'] == found['epaas_jobs{state="running"}'] == 0
    assert found['epaas_workers{engine="local"}'] == 1
    assert found["epaas_keyset_cache_keysets"] == 1
    assert found["epaas_database_up"] == found["epaas_blob_store_up"] == 1
    assert found['epaas_blob_bytes{folder="keys"}'] > 50e6
    assert found['epaas_http_request_seconds_count{method="POST",route="/v1/predictions",status="202"}'] == 2


def test_no_id_is_a_label(story: Story, keys: ClientKeys) -> None:
    for word in (story.job, story.other_job, keys.digest[:12], "st-mary", story.token.split("_")[1]):
        assert word not in story.metrics


def test_counters_stay_when_workers_die_and_predictions_are_erased(story: Story) -> None:
    before = samples(story.scrape())
    (worker,) = workers(story.server)
    os.kill(worker, signal.SIGKILL)
    httpx.delete(f"{story.server.url}/v1/predictions/{story.other_job}", headers=story.headers).raise_for_status()
    wait_until(lambda: story.server.events("a worker died and is replaced"))
    wait_until(lambda: samples(story.scrape())['epaas_workers{engine="local"}'] >= 1)
    after = samples(story.scrape())
    for name in ("epaas_bootstraps_total", 'epaas_evaluation_seconds_count{model="toy"}'):
        assert after[name] >= before[name] > 0


def test_every_api_process_tells_of_the_whole_service(story: Story) -> None:
    """A second one over the same database, without workers of its own."""
    options = {**story.server.options, "workers": "0", "database_url": f"sqlite:///{story.server.data_dir}/epaas.db"}
    second = Server(story.server.data_dir / "second", options).start()
    try:
        found = samples(httpx.get(f"{second.url}/metrics", timeout=60).text)
    finally:
        second.stop()
    assert found["epaas_bootstraps_total"] >= 2 * bootstraps_a_record(story.server)
    assert found['epaas_evaluation_seconds_count{model="toy"}'] >= 2
    assert 'epaas_http_request_seconds_count{method="POST",route="/v1/predictions",status="202"}' not in found


def test_a_long_poll_is_no_slow_request(story: Story) -> None:
    """It waits for a job that nobody works on: the service takes none of that time itself."""
    route = "/v1/predictions/{prediction_id}"
    name = f'epaas_http_request_seconds_sum{{method="GET",route="{route}",status="200"}}'
    with _worker_stopped(story.server), httpx.Client(base_url=story.server.url, timeout=60) as http:
        http.headers.update(story.headers)
        asked = http.post("/v1/predictions", params={"model": "toy"}, content=story.record).json()["id"]
        before, begin = samples(story.scrape())[name], time.monotonic()
        http.get(f"/v1/predictions/{asked}", headers={"Prefer": "wait=3"}).raise_for_status()
        waited = time.monotonic() - begin
        took = samples(story.scrape())[name] - before
    assert waited > 2.5, "else nothing is shown"
    assert took < waited / 2


@contextmanager
def _worker_stopped(server: Server) -> Iterator[None]:
    """All of the server's workers; none of them is at anything."""
    assert server.process is not None
    starters = Path(f"/proc/{server.process.pid}/task").iterdir()  # a thread replaces those that die
    stopped = [int(pid) for starter in starters for pid in (starter / "children").read_text().split()]
    assert stopped
    for worker in stopped:
        os.kill(worker, signal.SIGSTOP)
    try:
        yield
    finally:
        for worker in stopped:
            os.kill(worker, signal.SIGCONT)


# what is in deploy/observability


def expressions() -> list[tuple[str, str]]:
    """Where each is, and what Prometheus is asked."""
    found: list[tuple[str, str]] = []

    def look(value: Any, where: str) -> None:
        if isinstance(value, dict):
            where = str(value.get("title") or value.get("alert") or where)
            found.extend((where, value["expr"]) for _ in [0] if isinstance(value.get("expr"), str))
            for part in value.values():
                look(part, where)
        elif isinstance(value, list):
            for part in value:
                look(part, where)

    for path in sorted((ROOT / "deploy" / "observability").rglob("*")):
        if path.suffix in (".json", ".yml"):
            look(yaml.safe_load(path.read_text()), path.name)
    return found


def test_dashboards_and_alerts_ask_for_what_there_is(story: Story) -> None:
    known: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(story.metrics):
        labels = next((set(metric.labels) for metric in CATALOGUE if metric.name.startswith(family.name)), set())
        for suffix in ("", "_total", "_bucket", "_count", "_sum"):
            known.setdefault(family.name + suffix, set()).update(labels, {"le"} if suffix == "_bucket" else ())
    asked = expressions()
    assert len(asked) > 10
    for where, expression in asked:
        names = set(re.findall(r"\b(?:epaas|process)_\w+", expression))
        assert names <= set(known), f"{where}: {expression}"
        allowed = {label for name in names for label in known[name]} | {"job", "instance"}
        grouped = [
            label.strip()
            for group in re.findall(r"\b(?:by|without) \(([^)]*)\)", expression)
            for label in group.split(",")
        ]
        selected = re.findall(r"[{,]\s*(\w+)\s*(?:=~|!~|!=|=)", expression)
        assert {*grouped, *selected} <= allowed, f"{where}: {expression}"


# a collector that is away


@pytest.mark.parametrize("answer", ["none", "refused"])
def test_a_collector_that_is_away_disturbs_nothing(
    make_server: Callable[..., Server], monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    with collecting(status=500) as collector:
        monkeypatch.setenv(
            "OTEL_EXPORTER_OTLP_ENDPOINT", collector.url if answer == "refused" else "http://127.0.0.1:9"
        )
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        server = make_server(workers="0")
        with server.http() as http:
            for _ in range(5):
                assert http.post("/v1/predictions", params={"model": "toy"}, content=b"").status_code == 404
            assert http.get("/healthz").status_code == 200
        if answer == "refused":
            wait_until(lambda: list(collector.bodies))
        server.stop()
    assert server.process is not None
    assert server.process.returncode == 0
    levels = {line["level"] for line in map(json.loads, server.log_file.read_text().splitlines())}
    assert levels <= {"info", "warning", "error"}

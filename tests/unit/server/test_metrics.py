"""Scrapes that never fail and cost little, labels of which there are few, and a table that says what they mean."""

from __future__ import annotations

import random
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Engine, event, update
from tests.object_store import Wire
from tests.postgresql import Cluster
from tests.unit.server.api_making import serving
from tests.unit.server.job_making import claimed, prediction, submit

from epaas_server.database import connect, database_url, open_database, reading
from epaas_server.jobs.presence import WorkerFacts, WorkerPresence
from epaas_server.jobs.store import JobStore
from epaas_server.observability import catalogue
from epaas_server.observability.catalogue import CATALOGUE, COUNTED, Kind, Source
from epaas_server.observability.facts import kept_facts, queue_facts
from epaas_server.observability.latest import Latest
from epaas_server.observability.metrics import Metrics
from epaas_server.observability.tally import Tally
from epaas_server.services import Services
from epaas_server.settings import Settings
from epaas_server.tables import jobs
from epaas_shared.protocol import PredictionState
from epaas_web.request_log import Answered

ROOT = Path(__file__).parents[3]
FACTS = WorkerFacts(release="1", engine="local", threads=1, memory_bytes=1)


def samples(rendered: bytes) -> dict[str, float]:
    lines = (line.rpartition(" ") for line in rendered.decode().splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


# what the service says


def test_histograms_are_those_of_prometheus(database: Engine, tmp_path: Path) -> None:
    metric = catalogue.EVALUATION_SECONDS
    registry = CollectorRegistry()
    theirs = Histogram(metric.name, metric.help, metric.labels, buckets=metric.buckets, registry=registry)
    tally = Tally()
    random_ = random.Random(5)
    values = [*metric.buckets, 0.0, 1e9, *(random_.expovariate(0.01) for _ in range(200))]
    for value in values:
        model = random_.choice(["a", "b"])
        theirs.labels(model).observe(value)
        tally.observe(metric, value, model=model)
    tally.hand_over(database)
    expected = {name: value for name, value in samples(generate_latest(registry)).items() if "_created" not in name}
    metrics = Metrics()
    services = Services.open(Settings(data_dir=tmp_path / "data"))
    metrics.attach(replace_database(services, database))
    found = {name: value for name, value in samples(metrics.render()).items() if name.startswith(metric.name)}
    assert found == pytest.approx(expected)
    services.close()


def replace_database(services: Services, database: Engine) -> Services:
    return Services(**{**vars(services), "database": database})


def test_the_queue_as_it_is(database: Engine, store: JobStore) -> None:
    for name, seconds in (("old", 30.0), ("young", 12.0), ("running", 8.0)):
        store.submit(prediction(name, seconds=seconds))
    with database.begin() as connection:
        connection.execute(update(jobs).values(bootstraps_done=jobs.c.bootstraps_total / 2).filter_by(id="running"))
        then = datetime.now(UTC) - timedelta(seconds=100)
        connection.execute(update(jobs).filter_by(id="old").values(created_at=then))
        connection.execute(update(jobs).filter_by(id="running").values(state="running", lease_until=2e9))
    WorkerPresence(database).announce("here-1", datetime.now(UTC), FACTS)
    facts = queue_facts(database)
    assert facts is not None
    assert facts.jobs == {PredictionState.QUEUED: 2, PredictionState.RUNNING: 1}
    assert facts.predicted_seconds == pytest.approx(30 + 12 + 4)
    assert 100 <= facts.oldest_queued_seconds < 130
    assert [worker.name for worker in facts.workers] == ["here-1"]


def test_finished_jobs_are_counted_as_far_as_they_are_kept(database: Engine, store: JobStore) -> None:
    submit(store, "one", "two")
    store.succeed(claimed(store), "jobs/one/result", 1.0, 1)
    store.cancel("two")
    facts = kept_facts(database)
    assert facts is not None
    expected = {PredictionState.SUCCEEDED: 1, PredictionState.CANCELLED: 1, PredictionState.FAILED: 0}
    assert facts.jobs == expected
    store.erase("one")
    later = kept_facts(database)
    assert later is not None
    assert later.jobs[PredictionState.SUCCEEDED] == 0


def test_a_scrape_reads_no_job_that_has_finished(tmp_path: Path) -> None:
    """Every query of one goes by the index of states; SQLite says so."""
    engine = open_database(f"sqlite:///{tmp_path / 'epaas.db'}")
    statements: list[tuple[str, Any]] = []

    @event.listens_for(engine, "before_cursor_execute")
    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: Any) -> None:
        statements.append((statement, parameters))

    assert queue_facts(engine) is not None
    asked = [(statement, parameters) for statement, parameters in statements if "FROM jobs" in statement]
    assert asked
    with reading(engine) as connection:
        for statement, parameters in asked:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
            details = [row.detail for row in plan]
            assert any("SEARCH jobs USING INDEX jobs_by_state" in detail for detail in details), details
            assert not any("SCAN jobs" in detail for detail in details)
    engine.dispose()


# a database that is away


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Where connections are taken and nothing is ever answered."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield listener.getsockname()[1]


def attached(folder: Path, database: Engine) -> Metrics:
    services = Services.open(Settings(data_dir=folder / "data"))
    metrics = Metrics()
    metrics.attach(replace_database(services, database))
    metrics.observe(Answered("GET", "/v1/models", 200, 0.01))
    return metrics


def away(port: int) -> Engine:
    return connect(database_url(f"postgresql+psycopg://epaas@127.0.0.1:{port}/epaas"))


def test_a_scrape_says_that_the_database_is_away(tmp_path: Path, silent_port: int) -> None:
    for port in (9, silent_port):
        found = samples(attached(tmp_path, away(port)).render())
        assert found["epaas_database_up"] == 0
        assert found["epaas_blob_store_up"] == 1
        assert found["epaas_disk_free_bytes"] > 0
        assert found['epaas_http_request_seconds_count{method="GET",route="/v1/models",status="200"}'] == 1
        assert not any(name.startswith(("epaas_jobs", "epaas_bootstraps")) for name in found)


def test_a_scrape_sees_when_the_database_is_back(tmp_path: Path, postgresql: Cluster) -> None:
    wire = Wire(postgresql.port).mend()
    with postgresql.opened() as direct:
        engine = connect(postgresql.url(str(direct.url.database)).set(port=wire.port))
        metrics = attached(tmp_path, engine)

        def up() -> float:
            return samples(metrics.render())["epaas_database_up"]

        assert up() == 1
        wire.cut()
        until(lambda: up() == 0)
        wire.mend()
        until(lambda: up() == 1)
        engine.dispose()
        wire.cut()


def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_store_that_is_away_is_told(tmp_path: Path) -> None:
    services = Services.open(Settings(data_dir=tmp_path / "data"))
    services.blobs.put("jobs/one/record", b"12345")
    metrics = Metrics()
    metrics.attach(services)
    found = samples(metrics.render())
    assert (found["epaas_blob_store_up"], found['epaas_blob_bytes{folder="jobs"}']) == (1, 5)

    shutil.rmtree(tmp_path / "data" / "blobs")
    later = Metrics()
    later.attach(services)
    found = samples(later.render())
    assert found["epaas_blob_store_up"] == 0
    assert 'epaas_blob_bytes{folder="jobs"}' not in found
    services.close()


# values that take time


def test_a_costly_value_is_sought_by_one_at_a_time_and_only_when_asked_for() -> None:
    begun, go_on = threading.Semaphore(0), threading.Event()
    searches = []

    def find() -> int:
        searches.append(threading.get_ident())
        begun.release()
        go_on.wait(30)
        return len(searches)

    latest = Latest(find, keep_seconds=1000)
    assert searches == []
    assert latest.get(0.01) is None
    assert latest.get(0.01) is None
    assert begun.acquire(timeout=30)
    assert len(searches) == 1
    go_on.set()
    found = latest.get(30)
    assert found is not None
    assert found.value == 1
    assert threading.get_ident() not in searches
    assert latest.get(30) == found, "it is kept"
    assert len(searches) == 1


def test_an_old_value_is_given_while_a_newer_one_is_sought() -> None:
    go_on = threading.Event()
    values = iter([1, 2])

    def find() -> int:
        value = next(values)
        if value == 2:
            go_on.wait(30)
        return value

    latest = Latest(find, keep_seconds=0)
    first = latest.get(30)
    assert first is not None
    old = latest.get(0.01)
    assert old is not None
    assert old.value == 1
    go_on.set()
    until(lambda: (found := latest.get(1)) is not None and found.value == 2)


def test_what_took_long_is_kept_longer() -> None:
    searches = []

    def find() -> None:
        searches.append(None)
        time.sleep(0.05)

    latest = Latest(find, keep_seconds=0, rest=1e6)
    latest.get(30)
    latest.get(30)
    assert len(searches) == 1


# HTTP


@contextmanager
def scraped(folder: Path) -> Iterator[tuple[httpx.Client, Callable[[], dict[str, float]]]]:
    with serving(folder) as (client, _):
        yield client, lambda: samples(client.get("/metrics").content)


def test_requests_are_measured_by_the_template_of_their_route(tmp_path: Path) -> None:
    with scraped(tmp_path) as (client, values):
        for job in ("1" * 32, "2" * 32):
            client.get(f"/v1/predictions/{job}")
        client.get("/static/style.css")
        client.get("/nothing/here")
        client.request("BREW", "/v1/models")
        found = {name for name in values() if name.startswith("epaas_http_request_seconds_count")}
        scrapes = values()['epaas_http_request_seconds_count{method="GET",route="/metrics",status="200"}']
    prefix = "epaas_http_request_seconds_count"
    assert {
        f'{prefix}{{method="GET",route="/v1/predictions/{{prediction_id}}",status="404"}}',
        f'{prefix}{{method="GET",route="/static",status="200"}}',
        f'{prefix}{{method="GET",route="unmatched",status="404"}}',
        f'{prefix}{{method="OTHER",route="/v1/models",status="405"}}',
    } <= found
    assert scrapes == 1, "one that has been answered"


def test_a_scrape_is_in_prometheus_own_format_and_open_to_all(tmp_path: Path) -> None:
    with serving(tmp_path) as (client, _):
        answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    families = list(text_string_to_metric_families(answer.text))
    assert {"epaas_jobs", "epaas_http_request_seconds", "process_open_fds"} <= {family.name for family in families}


# what is written about them


def test_the_metrics_in_the_documentation_are_those_of_the_catalogue() -> None:
    lines = (ROOT / "docs" / "observability.md").read_text().splitlines()
    rows = [
        [cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in lines if "`epaas_" in line
    ]
    table = [row for row in rows if len(row) == 5]
    assert table == [
        [metric.name, metric.kind.value, ", ".join(metric.labels), metric.source.value, metric.help]
        for metric in CATALOGUE
    ]


def test_names_are_as_prometheus_wants_them() -> None:
    assert len({metric.name for metric in CATALOGUE}) == len(CATALOGUE)
    for metric in CATALOGUE:
        assert metric.name.startswith("epaas_")
        assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)
        assert bool(metric.buckets) == (metric.kind is Kind.HISTOGRAM)
        assert not {"tenant", "job", "token", "keys", "digest", "path"} & set(metric.labels)
    assert all(metric.source is Source.SERVICE for metric in COUNTED)

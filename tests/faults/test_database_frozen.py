"""A PostgreSQL that answers nothing for a while, and one whose wire is cut: who asked is answered afterwards."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from sqlalchemy import make_url

from epaas_shared.protocol import PROBLEM_MEDIA_TYPE
from tests.conftest import ClientKeys, Server
from tests.faults.conftest import check_finished, submit, with_model
from tests.integration.processes import wait_until
from tests.object_store import Wire
from tests.postgresql import Cluster

AWAY_SECONDS = [12.0, pytest.param(60.0, marks=pytest.mark.long)]
"""All longer than a lease, and than the driver waits for an answer."""
OPTIONS = {"workers": "2", "threads": "1", "lease_seconds": "3", "heartbeat_seconds": "0.2"}


@pytest.fixture
def database_wire(own_postgresql: Cluster) -> Iterator[Wire]:
    """What the server reaches the database by."""
    wire = Wire(own_postgresql.port).mend()
    yield wire
    wire.cut()


@pytest.fixture
def server(
    make_server: Callable[..., Server], own_postgresql: Cluster, database_wire: Wire, keys: ClientKeys, tmp_path: Path
) -> Server:
    settings = own_postgresql.settings(own_postgresql.new_database())
    url = make_url(settings["database_url"]).set(port=database_wire.port)
    settings["database_url"] = url.render_as_string(hide_password=False)
    return with_model(make_server(**OPTIONS, **settings), keys, tmp_path / "bundle")


def signal_all(cluster: Cluster, what: signal.Signals) -> None:
    assert cluster.process is not None
    postmaster = psutil.Process(cluster.process.pid)
    for process in (postmaster, *postmaster.children(recursive=True)):
        process.send_signal(what)


@pytest.mark.parametrize("seconds", AWAY_SECONDS)
def test_a_database_that_hangs(seconds: float, server: Server, own_postgresql: Cluster, keys: ClientKeys) -> None:
    """Nothing tells this from a database that is only slow: requests wait, and then are answered."""
    running = submit(server, keys)
    wait_until(lambda: list(server.data_dir.glob(f"blobs/jobs/{running}/*-layer-1")))
    signal_all(own_postgresql, signal.SIGSTOP)
    answers: list[httpx.Response] = []

    def ask() -> None:
        with httpx.Client(base_url=server.url, timeout=600) as http:
            answers.append(http.get(f"/v1/predictions/{running}"))

    asking = [threading.Thread(target=ask) for _ in range(60)]
    for thread in asking:
        thread.start()
    until = time.monotonic() + seconds
    with server.http() as http:
        while time.monotonic() < until:
            assert http.get("/healthz").status_code == 200, "the process answers"
            time.sleep(1.0)
    signal_all(own_postgresql, signal.SIGCONT)
    for thread in asking:
        thread.join()
    assert len(answers) == len(asking)
    assert {answer.status_code for answer in answers} <= {200, 503}
    check_finished(server, running, keys)
    check_finished(server, submit(server, keys), keys)
    assert server.events("a worker died and is replaced") == []
    assert "Traceback" not in server.log_file.read_text()


@pytest.mark.parametrize("seconds", AWAY_SECONDS)
def test_a_database_that_cannot_be_reached(
    seconds: float, server: Server, database_wire: Wire, keys: ClientKeys
) -> None:
    running = submit(server, keys)
    wait_until(lambda: list(server.data_dir.glob(f"blobs/jobs/{running}/*-layer-1")))
    database_wire.cut()
    until = time.monotonic() + seconds
    with server.http() as http:
        while time.monotonic() < until:
            answer = http.get(f"/v1/predictions/{running}")
            assert (answer.status_code, answer.headers["content-type"]) == (503, PROBLEM_MEDIA_TYPE)
            assert int(answer.headers["Retry-After"]) > 0
            assert http.get("/healthz").status_code == 200
            time.sleep(1.0)
    database_wire.mend()
    check_finished(server, running, keys)
    check_finished(server, submit(server, keys), keys)
    assert server.events("a worker died and is replaced") == []
    assert "Traceback" not in server.log_file.read_text()

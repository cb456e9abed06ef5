"""One line for each request: by template, with ids that look like ids, and with nothing that somebody sent."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.unit.server import things_serving

from epaas_web.request_log import CLIENT_GONE

SECONDS = 60.0
Line = dict[str, Any]


class Service:
    """``things_serving`` in a process of its own, for all tests; each looks at the log from where it began."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "log"
        with self._log.open("wb") as log:
            command = [sys.executable, things_serving.__file__]
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=SECONDS)
        self._seen = 0

    def begin(self) -> None:
        self._seen = self._log.stat().st_size

    def lines(self, requests: int = 1) -> list[Line]:
        """The log since the test began, once so many requests have been observed, which comes last."""
        deadline = time.monotonic() + SECONDS
        while True:
            text = self._log.read_bytes()[self._seen :].decode()
            lines: list[Line] = [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
            if len(named("observed", lines)) >= requests:
                return lines
            assert time.monotonic() < deadline, text
            time.sleep(0.02)

    def end(self) -> None:
        self.client.close()
        self.process.terminate()
        self.process.communicate()


def named(event: str, lines: list[Line]) -> list[Line]:
    return [line for line in lines if line["event"] == event]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("service"))
    yield service
    service.end()


@pytest.fixture
def served(service: Service) -> Service:
    service.begin()
    return service


@pytest.mark.parametrize("given", ["ward-7.1", "A" * 64, "0_9"])
def test_a_clients_request_id_is_kept_and_is_in_all_lines(served: Service, given: str) -> None:
    answer = served.client.get("/things/one", headers={"X-Request-ID": given})
    assert answer.headers["X-Request-ID"] == given
    lines = served.lines()
    assert [line["event"] for line in lines] == ["in the route", "request", "observed"]
    assert {line["request_id"] for line in lines} == {given}


@pytest.mark.parametrize("given", ["", "A" * 65, "two words", 'quo"te', "epaas_0123456789abcdef_" + "0" * 64, "ä"])
def test_what_is_no_sane_id_is_replaced(served: Service, given: str) -> None:
    answer = served.client.get("/things/one", headers={"X-Request-ID": given.encode("latin-1")})
    made = answer.headers["X-Request-ID"]
    assert len(made) == 32
    assert made != given
    assert {line["request_id"] for line in served.lines()} == {made}


def test_ids_are_new_for_each_request_of_a_connection(served: Service) -> None:
    ids = [served.client.get("/things/one").headers["X-Request-ID"] for _ in range(3)]
    assert len(set(ids)) == 3
    lines = served.lines(requests=3)
    assert [line["request_id"] for line in named("request", lines)] == ids
    for each in ids:
        assert [line["event"] for line in lines if line["request_id"] == each] == [
            "in the route",
            "request",
            "observed",
        ]


def test_a_line_has_what_the_route_has_noted_and_nothing_that_was_sent(served: Service) -> None:
    headers = {"Authorization": "Bearer private-token"}
    served.client.get("/things/private-path", params={"q": "private-query"}, headers=headers)
    served.client.put("/things/private-path", content=b"private-body")
    lines = served.lines(requests=2)
    first, second = named("request", lines)
    assert {name: value for name, value in first.items() if name not in ("seconds", "timestamp", "request_id")} == {
        "event": "request",
        "level": "info",
        "method": "GET",
        "route": "/things/{thing}",
        "status": 200,
        "tenant": "st-mary",
        "token": "t-1",
    }
    assert "tenant" not in second
    assert "private" not in json.dumps(lines)


def test_an_unexpected_error_has_the_id_and_is_observed(served: Service) -> None:
    answer = served.client.get("/things/broken", headers={"X-Request-ID": "mine"})
    assert answer.status_code == 500
    assert answer.headers["X-Request-ID"] == "mine"
    lines = served.lines()
    (unexpected,) = named("unexpected error", lines)
    assert unexpected["request_id"] == "mine"
    assert "nobody expected this" in unexpected["exception"]
    assert [line["status"] for line in named("request", lines)] == [500]
    assert [(line["route"], line["status"]) for line in named("observed", lines)] == [("/things/{thing}", 500)]


def test_a_client_that_vanishes_is_no_error(served: Service) -> None:
    with socket.create_connection(("127.0.0.1", served.port)) as connection:
        head = b"PUT /things/one HTTP/1.1\r\nHost: here\r\nContent-Length: 1000\r\n\r\n"
        connection.sendall(head + b"a beginning")
        time.sleep(0.2)
    lines = served.lines()
    (request,) = named("request", lines)
    lines = [line for line in lines if line["request_id"] == request["request_id"]]
    assert [line["event"] for line in lines] == ["request", "observed"]
    assert {(line["route"], line["status"]) for line in lines} == {("/things/{thing}", CLIENT_GONE)}


def test_a_wait_that_was_asked_for_and_a_long_answer_are_no_latency(served: Service) -> None:
    served.client.get("/things/one/late")
    served.client.get("/things/one/stream")
    lines = served.lines(requests=2)
    for whole, latency in zip(named("request", lines), named("observed", lines), strict=True):
        assert whole["seconds"] >= 0.3
        assert latency["seconds"] <= whole["seconds"] - 0.19


def test_lines_of_libraries_and_of_dying_threads_are_objects_too(served: Service) -> None:
    served.client.get("/things/warning")
    served.client.get("/things/thread")
    lines = served.lines(requests=2)
    (warning,) = named("a warning of somebody", lines)
    assert (warning["logger"], warning["level"]) == ("some.library", "warning")
    assert warning["request_id"] == named("request", lines)[0]["request_id"]
    (died,) = named("a thread died", lines)
    assert "TypeError: of its own" in died["exception"]

"""One line for each request: by template, with ids that look like ids, and with nothing that somebody sent."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import structlog
import uvicorn
from fastapi import APIRouter, FastAPI, Request
from starlette.responses import StreamingResponse
from tests.unit.server.server_making import sha256

from epaas_web.logging import configure_logging
from epaas_web.problems import add_problem_handlers
from epaas_web.request_log import CLIENT_GONE, FRAMEWORK_TELEMETRY, Answered, add_request_log, note, note_waiting

router = APIRouter(prefix="/things")
_log = structlog.get_logger()


@router.get("/{thing}")
def get_thing(thing: str, request: Request) -> str:
    note(request, tenant="st-mary")
    note(request, token="t-1")
    _log.info("in the route")
    if thing == "broken":
        raise RuntimeError("nobody expected this")
    return thing


@router.get("/{thing}/late")
def get_late(thing: str, request: Request) -> str:
    time.sleep(0.3)
    note_waiting(request, 0.3)
    return thing


@router.get("/{thing}/stream")
def get_stream(thing: str) -> StreamingResponse:
    def pieces() -> Iterator[str]:
        for _ in range(3):
            time.sleep(0.1)
            yield thing

    return StreamingResponse(pieces())


@router.put("/{thing}")
async def put_thing(thing: str, request: Request) -> int:
    return sum([len(chunk) async for chunk in request.stream()])


class Served:
    """An application on a thread of this process, with its log and what was observed."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self.answered: list[Answered] = []
        app = FastAPI(telemetry=FRAMEWORK_TELEMETRY)
        app.include_router(router)
        add_problem_handlers(app)
        add_request_log(app, self.answered.append)
        self._capture = capture
        self._server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, access_log=False, ws="none"))
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        self.port: int = self._server.servers[0].sockets[0].getsockname()[1]
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=60)

    def lines(self, requests: int = 1) -> list[dict[str, Any]]:
        """The log, once so many requests are in it."""
        deadline = time.monotonic() + 60
        while len(self.answered) < requests:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        self.close()
        return [json.loads(line) for line in self._capture.readouterr().err.splitlines() if line.startswith("{")]

    def close(self) -> None:
        self.client.close()
        self._server.should_exit = True
        self._thread.join()


@pytest.fixture
def served(capsys: pytest.CaptureFixture[str]) -> Iterator[Served]:
    handlers, hook = logging.getLogger().handlers[:], threading.excepthook
    configure_logging()
    served = Served(capsys)
    yield served
    served.close()
    logging.getLogger().handlers[:], threading.excepthook = handlers, hook
    structlog.reset_defaults()


def request_lines(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [line for line in lines if line["event"] == "request"]


@pytest.mark.parametrize("given", ["ward-7.1", "A" * 64, "0_9"])
def test_a_clients_request_id_is_kept_and_is_in_all_lines(served: Served, given: str) -> None:
    answer = served.client.get("/things/one", headers={"X-Request-ID": given})
    assert answer.headers["X-Request-ID"] == given
    lines = served.lines()
    assert [line["event"] for line in lines] == ["in the route", "request"]
    assert {line["request_id"] for line in lines} == {given}


@pytest.mark.parametrize("given", ["", "A" * 65, "two words", 'quo"te', "epaas_0123456789abcdef_" + "0" * 64, "ä"])
def test_what_is_no_sane_id_is_replaced(served: Served, given: str) -> None:
    answer = served.client.get("/things/one", headers={"X-Request-ID": given.encode("latin-1")})
    made = answer.headers["X-Request-ID"]
    assert len(made) == 32
    assert made != given
    assert {line["request_id"] for line in served.lines()} == {made}


def test_ids_are_new_for_each_request_of_a_connection(served: Served) -> None:
    ids = [served.client.get("/things/one").headers["X-Request-ID"] for _ in range(3)]
    assert len(set(ids)) == 3
    lines = served.lines(requests=3)
    assert [line["request_id"] for line in request_lines(lines)] == ids
    for each in ids:
        assert [line["event"] for line in lines if line["request_id"] == each] == ["in the route", "request"]


def test_a_line_has_what_the_route_has_noted_and_nothing_that_was_sent(served: Served) -> None:
    served.client.get(
        "/things/private-path", params={"q": "private-query"}, headers={"Authorization": "Bearer private-token"}
    )
    served.client.put("/things/private-path", content=b"private-body")
    lines = served.lines(requests=2)
    (first, second) = request_lines(lines)
    assert first | {"seconds": 0, "timestamp": "", "request_id": ""} == {
        "event": "request",
        "level": "info",
        "method": "GET",
        "route": "/things/{thing}",
        "status": 200,
        "seconds": 0,
        "tenant": "st-mary",
        "token": "t-1",
        "timestamp": "",
        "request_id": "",
    }
    assert "tenant" not in second
    assert "private" not in json.dumps(lines)


def test_an_unexpected_error_has_the_id_and_is_observed(served: Served) -> None:
    answer = served.client.get("/things/broken", headers={"X-Request-ID": "mine"})
    assert answer.status_code == 500
    assert answer.headers["X-Request-ID"] == "mine"
    lines = served.lines()
    (unexpected,) = [line for line in lines if line["event"] == "unexpected error"]
    assert unexpected["request_id"] == "mine"
    assert "nobody expected this" in unexpected["exception"]
    assert request_lines(lines)[0]["status"] == 500
    assert [(one.route, one.status) for one in served.answered] == [("/things/{thing}", 500)]


def test_a_client_that_vanishes_is_no_error(served: Served) -> None:
    with socket.create_connection(("127.0.0.1", served.port)) as connection:
        head = b"PUT /things/one HTTP/1.1\r\nHost: here\r\nContent-Length: 1000\r\n\r\n"
        connection.sendall(head + b"a beginning")
        time.sleep(0.2)
    lines = served.lines()
    assert [line["event"] for line in lines] == ["request"]
    assert [(one.route, one.status) for one in served.answered] == [("/things/{thing}", CLIENT_GONE)]


def test_what_was_waited_for_on_request_is_no_latency(served: Served) -> None:
    served.client.get("/things/one/late")
    served.client.get("/things/one/stream")
    lines = request_lines(served.lines(requests=2))
    assert all(line["seconds"] >= 0.3 for line in lines), "the line has the whole of it"
    assert all(one.seconds < 0.3 for one in served.answered)


def test_lines_of_the_standard_library_and_of_dying_threads_are_objects_too(served: Served) -> None:
    logging.getLogger("some.library").warning("a warning of %s", "somebody")
    thread = threading.Thread(target=lambda: sha256(None))  # type: ignore[arg-type]
    thread.start()
    thread.join()
    served.client.get("/things/one")
    lines = served.lines()
    (warning,) = [line for line in lines if line.get("logger") == "some.library"]
    assert (warning["event"], warning["level"]) == ("a warning of somebody", "warning")
    (died,) = [line for line in lines if line["event"] == "a thread died"]
    assert "TypeError" in died["exception"]


def test_observing_is_left_out_where_nobody_observes(served: Served) -> None:
    app = FastAPI()
    add_request_log(app)
    answers: list[Callable[[], int]] = []

    async def call() -> None:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            answer = await client.get("/nothing")
            assert answer.status_code == 404
            assert len(answer.headers["X-Request-ID"]) == 32

    import asyncio

    asyncio.run(call())
    assert answers == []

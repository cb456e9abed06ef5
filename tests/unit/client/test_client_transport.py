from __future__ import annotations

import io
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest

from epaas_client.transport import Transport, Upload
from epaas_shared.errors import (
    ConfigurationError,
    InternalError,
    KeyMismatch,
    ModelNotFound,
    PayloadTooLarge,
    PredictionFailed,
    ServerUnreachable,
    StorageFull,
    Unavailable,
)
from epaas_shared.protocol import IDEMPOTENCY_HEADER, ModelList

from .fake_server import Answer, Request, document, problem, serving

Connect = Callable[..., Transport]


class Script:
    """Answers in order, the last for ever; keeps the requests."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.requests: list[Request] = []

    def __call__(self, request: Request) -> Answer:
        self.requests.append(request)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Makes transports that wait for nothing between tries, and closes them."""
    with ExitStack() as made:
        yield lambda url, **options: made.enter_context(closing(Transport(url, backoff=0, **options)))


def unused_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


@pytest.mark.parametrize(
    "error", [ModelNotFound("no such model", hint="look"), KeyMismatch("x", field="y"), StorageFull("z")]
)
def test_problem_becomes_the_error_it_was(connect: Connect, error: Exception) -> None:
    with serving(Script(problem(error))) as url, pytest.raises(type(error)) as raised:  # type: ignore[arg-type]
        connect(url).request("GET", "/v1/models/a")
    assert vars(raised.value) == vars(error)


@pytest.mark.parametrize(
    ("answer", "kind", "message"),
    [
        (Answer(500, b"<h1>oops</h1>", "text/html"), InternalError, "answered 500"),
        (Answer(503, b"", "text/html"), Unavailable, "answered 503"),
        (Answer(404, b"nothing here", "text/plain"), Unavailable, "answered 404 Not Found without a problem document"),
        (Answer(413, b"", "text/html"), PayloadTooLarge, "answered 413"),
        (Answer(302, b"", "text/html"), Unavailable, "answered 302"),
        (Answer(404, b'{"status": 404}', "application/problem+json"), Unavailable, "without a problem document"),
        (Answer(200, b"<html>", "text/html"), Unavailable, "where a ModelList is due"),
        (document({"models": [{}]}), Unavailable, "where a ModelList is due"),
    ],
)
def test_foreign_answers(connect: Connect, answer: Answer, kind: type[Exception], message: str) -> None:
    with serving(Script(answer)) as url, pytest.raises(kind, match=message):
        connect(url).document(ModelList, "GET", "/v1/models")


@pytest.mark.parametrize(
    ("method", "headers"), [("GET", {}), ("PUT", {}), ("DELETE", {}), ("POST", {IDEMPOTENCY_HEADER: "a"})]
)
@pytest.mark.parametrize("status", [502, 503, 504])
def test_safe_requests_are_tried_three_times(
    connect: Connect, method: str, headers: dict[str, str], status: int
) -> None:
    script = Script(Answer(status, b""), Answer(status, b""), document({"ok": 1}))
    with serving(script) as url:
        assert connect(url).request(method, "/", headers=headers).json() == {"ok": 1}
    assert len(script.requests) == 3
    script = Script(Answer(status, b""))
    with serving(script) as url, pytest.raises(Unavailable):
        connect(url).request(method, "/", headers=headers)
    assert len(script.requests) == 3


def test_unsafe_request_is_tried_once(connect: Connect) -> None:
    script = Script(Answer(503, b""))
    with serving(script) as url, pytest.raises(Unavailable):
        connect(url).request("POST", "/")
    assert len(script.requests) == 1


def test_error_that_will_not_pass_is_not_retried(connect: Connect) -> None:
    script = Script(problem(PredictionFailed("no")))
    with serving(script) as url, pytest.raises(PredictionFailed):
        connect(url).request("GET", "/")
    assert len(script.requests) == 1


def test_upload_is_sent_again_whole_with_its_length(connect: Connect) -> None:
    content = bytes(range(256)) * 4096
    seen: list[tuple[int, int]] = []
    script = Script(Answer(503, b""), document({}))
    with serving(script) as url:
        upload = Upload(lambda: io.BytesIO(content), len(content), lambda done, total: seen.append((done, total)))
        connect(url).request("PUT", "/", body=upload)
    assert [request.body == content for request in script.requests] == [True, True]
    assert script.requests[1].headers["content-length"] == str(len(content))
    assert "transfer-encoding" not in script.requests[1].headers
    assert seen[-1] == (len(content), len(content))
    assert [done for done, _ in seen[: len(seen) // 2]] == sorted(done for done, _ in seen[: len(seen) // 2])


def test_nobody_listens(connect: Connect) -> None:
    with pytest.raises(ServerUnreachable, match=r"no answer from http://127\.0\.0\.1") as raised:
        connect(unused_address()).request("GET", "/")
    assert raised.value.exit_code == 7


def test_silent_server(connect: Connect) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ServerUnreachable):
            connect(url, timeout=0.05).request("GET", "/")


@pytest.mark.parametrize("url", ["", "localhost:8000", "ftp://example.org", "http://", "http://[::1", "http://a:b/"])
def test_bad_address(url: str) -> None:
    with pytest.raises(ConfigurationError, match="no http or https URL"):
        Transport(url)


def test_password_of_an_address_is_never_shown(connect: Connect) -> None:
    address = unused_address().replace("//", "//user:secret@")
    transport = connect(address)
    with pytest.raises(ServerUnreachable) as raised:
        transport.request("GET", "/")
    assert "secret" not in str(raised.value) + transport.server

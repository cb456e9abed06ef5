from __future__ import annotations

import gzip
import io
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from epaas_client.answers import Answer as Received
from epaas_client.transport import Transport, Upload
from epaas_shared.errors import (
    ConfigurationError,
    EpaasError,
    InternalError,
    KeyMismatch,
    ModelNotFound,
    PayloadTooLarge,
    PredictionFailed,
    QuotaExceeded,
    ServerUnreachable,
    StorageFull,
    TooManyRequests,
    Unauthorised,
    Unavailable,
)
from epaas_shared.protocol import IDEMPOTENCY_HEADER, ModelList

from .certificate_making import make_authority
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


TOKEN = f"epaas_0123456789abcdef_{'5e' * 32}"
LIMITED = TooManyRequests("more than 3 of this caller", retry_after=1)


def test_token_goes_with_every_request(connect: Connect) -> None:
    script = Script(Answer(503, b""), document({}))
    with serving(script) as url:
        transport = connect(url, token=TOKEN)
        transport.request("GET", "/")
        transport.request("POST", "/", body=b"x")
    assert [request.headers["authorization"] for request in script.requests] == [f"Bearer {TOKEN}"] * 3
    with serving(script) as url:
        connect(url).request("GET", "/")
    assert "authorization" not in script.requests[-1].headers


def test_token_does_not_follow_a_redirect(connect: Connect) -> None:
    elsewhere = Script(document({}))
    with serving(elsewhere) as other, serving(Script(Answer(307, b"", headers={"Location": other}))) as url:
        for method in ("GET", "PUT", "POST"):
            with pytest.raises(Unavailable, match="answered 307") as raised:
                connect(url, token=TOKEN).request(method, "/")
            assert raised.value.hint == f"it points to {other}; if you trust that, give it as the address"
    assert elsewhere.requests == []


def test_token_does_not_go_through_a_proxy_to_this_machine(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy, server = Script(document({})), Script(document({}))
    with serving(proxy) as proxy_url, serving(server) as url:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy_url)
        connect(url, token=TOKEN).request("GET", "/")
        connect(url.replace("127.0.0.1", "localhost"), token=TOKEN).request("GET", "/")
        assert (len(proxy.requests), len(server.requests)) == (0, 2)
        connect("http://epaas.example.org").request("GET", "/")
    assert len(proxy.requests) == 1


@pytest.mark.parametrize("token", [None, TOKEN])
def test_refused_without_a_token_says_how_to_give_one(connect: Connect, token: str | None) -> None:
    script = Script(problem(Unauthorised("the token has expired", field="Authorization")))
    with serving(script) as url, pytest.raises(Unauthorised, match="expired") as raised:
        connect(url, token=token).request("GET", "/")
    assert ("EPAAS_TOKEN" in str(raised.value.hint)) == (token is None)
    assert TOKEN not in f"{raised.value} {raised.value.hint} {raised.value!r}"
    assert len(script.requests) == 1


@pytest.mark.parametrize("error", [LIMITED, QuotaExceeded("6 would be over the quota of 5", retry_after=1)])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_it_asks_again_when_the_server_says(connect: Connect, error: EpaasError, method: str) -> None:
    """Any request: what was refused with 429 was not begun."""
    waits: list[tuple[int, str]] = []
    script = Script(problem(error), problem(error), document({"ok": 1}))
    with serving(script) as url:
        transport = connect(url, on_wait=lambda seconds, why: waits.append((seconds, why.detail)))
        began = time.monotonic()
        assert transport.request(method, "/", body=b"x" if method == "POST" else None).json() == {"ok": 1}
        assert time.monotonic() - began >= 2
    assert waits == [(1, error.detail)] * 2
    assert [request.body for request in script.requests] == [b"x" if method == "POST" else b""] * 3


def test_a_server_that_is_busy_says_when_too(connect: Connect) -> None:
    busy = Unavailable("900 seconds of evaluation are waiting", retry_after=1)
    script = Script(problem(busy), document({"ok": 1}))
    with serving(script) as url:
        assert connect(url, tries=1).request("POST", "/", headers={IDEMPOTENCY_HEADER: "a"}).json() == {"ok": 1}
    script = Script(problem(busy), document({"ok": 1}))
    with serving(script) as url, pytest.raises(Unavailable):
        connect(url).request("POST", "/")
    assert len(script.requests) == 1


@pytest.mark.parametrize("seconds", [61, 86400, 10**30])
def test_there_is_an_end_to_patience(connect: Connect, seconds: int) -> None:
    error = QuotaExceeded("12 would be over the quota of 10", field="seconds_a_day", retry_after=seconds)
    script = Script(problem(error))
    with serving(script) as url, pytest.raises(QuotaExceeded, match="seconds_a_day: 12 would be over") as raised:
        connect(url).request("GET", "/")
    assert raised.value.retry_after == min(seconds, 10**8)
    assert len(script.requests) == 1
    script = Script(problem(LIMITED))
    with serving(script) as url, pytest.raises(TooManyRequests):
        connect(url).request("GET", "/", patience=2)
    assert len(script.requests) == 3


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [
        ("0", 0, 0),
        (" 7 ", 7, 7),
        (format_datetime(datetime.now(UTC) + timedelta(days=2), usegmt=True), 86_400, 172_801),
        (format_datetime(datetime.now(UTC) - timedelta(hours=1), usegmt=True), 0, 0),
        ("Sun, 06 Nov 1994 08:49:37", 0, 0),
    ],
    ids=["now", "spaces", "in two days", "an hour ago", "no zone"],
)
def test_when_to_ask_again(header: str, least: int, most: int) -> None:
    seconds = Received(429, "", {"retry-after": header}, b"").retry_after
    assert seconds is not None
    assert least <= seconds <= most


@pytest.mark.parametrize("header", ["", "soon", "-1", "1.5", "²", "Sun, 99 Foo 2020", "\x00"])
def test_when_to_ask_again_that_nobody_understands(connect: Connect, header: str) -> None:
    assert Received(429, "", {"retry-after": header}, b"").retry_after is None


def test_an_answer_over_the_limit_is_not_read(connect: Connect) -> None:
    with serving(Script(Answer(200, b"x" * 1001))) as url, pytest.raises(Unavailable, match=r"is over 1\.0 kB"):
        connect(url).request("GET", "/", most_bytes=1000)
    with serving(Script(Answer(200, b"x" * 1000))) as url:
        assert connect(url).request("GET", "/", most_bytes=1000).content == b"x" * 1000
    with serving(Script(Answer(500, b"x" * 1001))) as url, pytest.raises(Unavailable, match="is over"):
        connect(url).request("GET", "/", most_bytes=1000)


def test_an_endless_answer_is_cut_off(connect: Connect) -> None:
    sent = 0
    with socket.create_server(("127.0.0.1", 0)) as endless:

        def answer() -> None:
            nonlocal sent
            connection, _ = endless.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                with suppress(OSError):
                    while True:
                        connection.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n")
                        sent += 65536

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(Unavailable, match=r"is over 1\.0 MB, and was not read"):
            connect(f"http://127.0.0.1:{endless.getsockname()[1]}").request("GET", "/", most_bytes=1_000_000)
        thread.join()
    assert sent < 100_000_000


def test_a_compressed_answer_is_not_unpacked(connect: Connect) -> None:
    """It could be a thousand times as long."""
    script = Script(Answer(200, gzip.compress(b"0" * 1_000_000), headers={"Content-Encoding": "gzip"}))
    with serving(script) as url, pytest.raises(Unavailable, match="is compressed, which was not asked for"):
        connect(url).json("/")
    assert script.requests[0].headers["accept-encoding"] == "identity"


def test_deep_json_is_refused(connect: Connect) -> None:
    deep = b"[" * 100_000
    with serving(Script(Answer(200, deep))) as url:
        with pytest.raises(Unavailable, match="where JSON is due"):
            connect(url).json("/")
        with pytest.raises(Unavailable, match="where a ModelList is due"):
            connect(url).document(ModelList, "GET", "/")
    with serving(Script(Answer(404, deep, "application/problem+json"))) as url, pytest.raises(Unavailable):
        connect(url).request("GET", "/")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    return make_authority(tmp_path_factory.mktemp("authority"))


def test_an_authority_of_ones_own(connect: Connect, authority: tuple[Path, ssl.SSLContext]) -> None:
    ca_file, tls = authority
    with serving(Script(document({"ok": 1})), tls) as url:
        assert connect(url, ca_file=ca_file, token=TOKEN).request("GET", "/").json() == {"ok": 1}


def test_a_certificate_that_is_not_trusted(
    connect: Connect, authority: tuple[Path, ssl.SSLContext], tmp_path: Path
) -> None:
    script = Script(document({}))
    other, _ = make_authority(tmp_path / "other")
    with serving(script, authority[1]) as url:
        for ca_file in (None, other):
            with pytest.raises(ConfigurationError, match="is not trusted") as raised:
                connect(url, ca_file=ca_file, token=TOKEN).request("GET", "/")
            assert "--ca-file" in str(raised.value.hint)
    assert script.requests == []


@pytest.mark.parametrize(("content", "message"), [(None, "cannot be read"), (b"nothing", "there is no certificate")])
def test_bad_file_of_certificates(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=message):
        Transport("https://127.0.0.1", ca_file=path)

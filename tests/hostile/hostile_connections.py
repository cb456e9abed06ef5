"""What is hardly HTTP, or none: bytes on a connection, bodies without an end, headers that contradict one another."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from tests.hostile.attack import Attack, Target, raw

_HOST = b"Host: x\r\n"
_POST = b"POST /v1/predictions?model=toy HTTP/1.1\r\n" + _HOST
_GET = b"GET /v1/usage HTTP/1.1\r\n" + _HOST
_DIGEST = b"0" * 64
_PUT = b"PUT /v1/evaluation-keys/" + _DIGEST + b" HTTP/1.1\r\n" + _HOST
_FRAME = b"EPAAS\x00\x01\n\x98\x00\x00\x00" + b'{"kind":"record"' + b" " * 200
_MOST_HEAD_BYTES = 15_000
"""The HTTP server refuses a line and headers of more than 16 KiB in its own words, 400 and plain text."""


def _authorised(target: Target) -> bytes:
    return target.authorisation


def no_http(random: Random) -> Iterator[Attack]:
    """Bytes that an HTTP server must refuse, without end."""
    requests: tuple[bytes, ...] = (
        b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),  # TLS
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",  # no host
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /a b c HTTP/1.1\r\n" + _HOST + b"\r\n",
        b"GET /\x00 HTTP/1.1\r\n" + _HOST + b"\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\n" + _HOST + b"\r\n",
        b"G\x00T / HTTP/1.1\r\n" + _HOST + b"\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + _HOST + b"X-A: a\x00b\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + _HOST + b" folded: x\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + _HOST + b"X-A : b\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + _HOST + b"X-Long: " + b"a" * 200_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + _HOST + b"X: y\r\n" * 30_000 + b"\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n" + _HOST + b"\r\n",
        _POST + b"Content-Length: -1\r\n\r\n",
        _POST + b"Content-Length: 1e3\r\n\r\n",
        _POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        _POST + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\nabc",
        _POST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc",
        _POST + b"Transfer-Encoding: gzip\r\n\r\nabc",
        _POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n",
        _POST + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nabc\r\n0\r\n\r\n",
        _POST + b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFFF\r\nabc\r\n0\r\n\r\n",
        _POST + b"Transfer-Encoding: chunked\r\n\r\n5;" + b"x" * 100_000,
        _POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n0\r\n\r\n",
    )
    while True:
        if random.random() < 0.2:
            noise = random.randbytes(random.randrange(1, 3000))
            yield raw("connection: noise", noise, b"\r\n\r\n", half=True)
        else:
            yield raw("connection: no HTTP", random.choice(requests), half=random.random() < 0.5)


def broken_off(random: Random) -> Iterator[Attack]:
    """Bodies that end before they should: the client closes its side, or lets the server wait and goes away."""
    while True:
        announced = random.choice((1, 5000, 100_000, 10_000_000, 54_000_000))
        sent = random.randbytes(random.randrange(min(announced, 60_000)))
        head = random.choice((_POST, _PUT))
        if random.random() < 0.3:
            sent = _FRAME + sent
        if random.random() < 0.5:
            length = f"Content-Length: {max(announced, len(sent) + 1)}\r\n\r\n".encode()
            yield raw("connection: body cut off", head, _authorised, length, sent, half=True)
        else:
            piece = f"{len(sent) + 10:x}\r\n".encode()
            yield raw(
                "connection: chunk cut off",
                head,
                _authorised,
                b"Transfer-Encoding: chunked\r\n\r\n",
                piece,
                sent,
                half=True,
            )


def odd_http(random: Random) -> Iterator[Attack]:
    """Requests that HTTP allows and nobody sends; the application must answer each in its own words."""
    end = b"Connection: close\r\n\r\n"
    huge = str(10 ** random.randrange(9, 18)).encode()
    requests: tuple[tuple[bytes, ...], ...] = (
        (_POST, b"Content-Length: ", huge, b"\r\n", end),
        (_PUT, b"Content-Length: ", huge, b"\r\n", end),
        (b"POST /v1/models/toy/versions HTTP/1.1\r\n", _HOST, b"Content-Length: ", huge, b"\r\n", end),
        (_POST, end),
        (_PUT, b"Transfer-Encoding: chunked\r\n", end, b"0\r\n\r\n"),
        (_PUT, b"Transfer-Encoding: chunked\r\n", end, b"1\r\nx\r\n" * 2000, b"0\r\nTrailer: x\r\n\r\n"),
        (b"GET http://elsewhere/v1/nothing HTTP/1.1\r\n", _HOST, end),
        (b"GET /../../../../etc/passwd HTTP/1.1\r\n", _HOST, end),
        (b"GET /static/../../pyproject.toml HTTP/1.1\r\n", _HOST, end),
        (b"GET /static/..%2f..%2f..%2f..%2fetc%2fpasswd HTTP/1.1\r\n", _HOST, end),
        (b"GET /static/%00 HTTP/1.1\r\n", _HOST, end),
        (b"GET /static/" + b"a" * 5000 + b" HTTP/1.1\r\n", _HOST, end),
        (b"GET /v1/models/..%2f..%2f..%2fetc%2fpasswd HTTP/1.1\r\n", _HOST, end),
        (b"GET /v1/models/%ED%A0%80 HTTP/1.1\r\n", _HOST, end),
        (b"GET /v1/models/%FF%FE/versions HTTP/1.1\r\n", _HOST, end),
        (b"GET /v1/models/%00 HTTP/1.1\r\n", _HOST, end),
        (b"GET /v1/models/%zz%1 HTTP/1.1\r\n", _HOST, end),
        (b"GET //v1//models//x HTTP/1.1\r\n", _HOST, end),
        (b"GET /v1/predictions/" + b"%2e" * 900 + b" HTTP/1.1\r\n", _HOST, end),
        (b"PATCH /v1/models HTTP/1.1\r\n", _HOST, b"Content-Length: 0\r\n", end),
        (b"OPTIONS * HTTP/1.1\r\n", _HOST, end),
        (b"TRACE /v1/usage HTTP/1.1\r\n", _HOST, end),
        (b"CONNECT elsewhere:443 HTTP/1.1\r\n", _HOST, end),
        (b"MADEUP /v1/usage HTTP/1.1\r\n", _HOST, end),
        (b"get /v1/nothing HTTP/1.1\r\n", _HOST, end),
        (b"GET /v1/nothing HTTP/1.0\r\n", end),
        (_GET, b"Upgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n", end),
        (_GET, b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n", end),
        (_GET, b"Authorization: Bearer a\r\nAuthorization: Bearer b\r\n", end),
        (_GET, b"Authorization: Bearer \xff\xfe\r\n", end),
        (_GET, b"Authorization: Bearer ", b"a" * 30_000, b"\r\n", end),
        (_GET, b"X-Forwarded-For: ", b"1.2.3.4, " * 1000, b"\r\n", end),
        (_GET, b"Range: bytes=0-0,-1\r\nIf-None-Match: \x80\r\nAccept: ;;q=\r\n", end),
        (b"GET /v1/models/toy/versions/1/report HTTP/1.1\r\n", _HOST, b"Accept: ", b"a/b;q=0.1," * 3000, b"\r\n", end),
        (b"GET /v1/models/toy/versions/1/report HTTP/1.1\r\n", _HOST, b"Accept: \xff;q=nan\r\n", end),
        (b"GET /v1/models/toy/versions/1/report HTTP/1.1\r\n", _HOST, b'If-None-Match: W/"', b"x" * 9000, b"\r\n", end),
        (b"GET /v1/nothing?", b"&".join([b"a=b"] * 9000), b" HTTP/1.1\r\n", _HOST, end),
        (b"GET /compare?", b"&".join([b"model=toy@1"] * 2000), b" HTTP/1.1\r\n", _HOST, end),
        (b"GET /compare?model=%00@1&model=toy@99999999999999999999 HTTP/1.1\r\n", _HOST, end),
        (_POST, b"Expect: 200-maybe\r\nContent-Length: 3\r\n", end, b"abc"),
        (_POST, b"Content-Length: 3\r\nIdempotency-Key: a\r\nIdempotency-Key: b\r\n", end, b"abc"),
        (_POST, b"Content-Length: 3\r\nIdempotency-Key: \xe9\x80\r\n", end, b"abc"),
        (_POST, b"Content-Length: 3\r\nContent-Encoding: gzip\r\n", end, b"abc"),
        (_POST, b"Content-Length: 3\r\ntraceparent: 00-", b"f" * 32, b"-x\r\ntracestate: \xff\r\n", end, b"abc"),
        (_GET, b"X-Request-ID: \xff\xfe\r\n", end),
        (_GET, b"X-Request-ID: ", b"a" * 20_000, b"\r\n", end),
        (b"GET /v1/predictions/x HTTP/1.1\r\n", _HOST, b"Prefer: wait=999999999999, wait=-1;wait=\r\n", end),
        (b"GET /v1/predictions/x/events HTTP/1.1\r\n", _HOST, b"Last-Event-ID: \x01\r\n", end),
    )
    while True:
        line, _, rest = b"".join(random.choice(requests)).partition(b"\r\n")
        in_bounds = len(line) + len(rest) < _MOST_HEAD_BYTES
        yield raw("request: odd", line + b"\r\n", _authorised, rest, is_http=in_bounds)

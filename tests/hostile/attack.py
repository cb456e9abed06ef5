"""What an attack is, whom it is sent to, and what comes back."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

REPLY_SECONDS = 60.0
"""Patience with a server that has thousands of requests and a busy machine."""
_HEAD_BYTES = 1 << 16


@dataclass(frozen=True)
class Reply:
    """An answer; ``status`` is None where the connection ended without one."""

    status: int | None
    content_type: str = ""
    body: bytes = b""
    location: str = ""


@dataclass(frozen=True)
class Target:
    """A server, and a token that may do everything of a tenant."""

    url: str
    token: str
    http: httpx.Client

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        assert parts.hostname is not None
        assert parts.port is not None
        return parts.hostname, parts.port

    @property
    def authorisation(self) -> bytes:
        return f"Authorization: Bearer {self.token}\r\n".encode()

    def connect(self) -> socket.socket:
        return socket.create_connection(self.address, REPLY_SECONDS)


@dataclass(frozen=True)
class Attack:
    """One malformed request. ``kind`` is for the report."""

    kind: str
    send: Callable[[Target], Reply]
    is_http: bool = True
    """Otherwise what is no HTTP may be answered by the HTTP server itself, or not at all."""


def request(
    kind: str,
    method: str,
    path: str,
    *,
    content: Any = None,
    params: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | list[tuple[bytes, bytes]] | None = None,
) -> Attack:
    """A well-formed request with bad content."""

    def send(target: Target) -> Reply:
        try:
            with target.http.stream(method, path, content=content, params=params, headers=headers) as answer:
                # a stream of events has no end while its prediction waits
                streams = "event-stream" in answer.headers.get("content-type", "")
                body = b"" if streams else answer.read()
                return Reply(
                    answer.status_code, answer.headers.get("content-type", ""), body, answer.headers.get("location", "")
                )
        except httpx.TransportError as error:
            return Reply(None, body=repr(error).encode())

    return Attack(kind, send)


def raw(kind: str, *parts: bytes | Callable[[Target], bytes], is_http: bool = False, half: bool = False) -> Attack:
    """Bytes on a connection; with ``half``, the client says that it is done before the server has all."""

    def send(target: Target) -> Reply:
        with target.connect() as connection:
            try:
                for part in parts:
                    connection.sendall(part(target) if callable(part) else part)
                if half:
                    connection.shutdown(socket.SHUT_WR)
                return read_reply(connection)
            except OSError:  # reset, closed, or silent for too long
                return Reply(None)

    return Attack(kind, send, is_http=is_http)


def read_reply(connection: socket.socket) -> Reply:
    """The first answer on a connection."""
    data = b""
    while b"\r\n\r\n" not in data and len(data) < _HEAD_BYTES:
        chunk = connection.recv(65536)
        if not chunk:
            break
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    words = lines[0].split(b" ")
    if len(words) < 2 or not words[1].isdigit():
        return Reply(None, body=data[:200])
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines[1:]) if value
    }
    return Reply(int(words[1]), headers.get(b"content-type", b"").decode("latin-1"), body)

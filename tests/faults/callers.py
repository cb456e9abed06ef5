"""Connections by hand, of clients that are slow or do not stay."""

from __future__ import annotations

import socket
import struct
from contextlib import suppress

from tests.conftest import Server

RESET, CLOSED = "reset", "closed"
"""How a connection ends: as a lost one does, or in good order but too early."""


class Caller:
    """A request of which only the head is sent; the rest is for the test."""

    def __init__(self, server: Server, request: str, length: int, *headers: str, receive_bytes: int = 0) -> None:
        """``request`` is a method and a path; ``receive_bytes`` how little the system may take in unread."""
        host, _, port = server.url.removeprefix("http://").partition(":")
        self.socket = socket.socket()
        self.socket.settimeout(180)
        if receive_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.connect((host, int(port)))
        head = [f"{request} HTTP/1.1", "Host: epaas", f"Content-Length: {length}", *headers]
        self.socket.sendall("\r\n".join([*head, "", ""]).encode())

    def vanish(self, how: str) -> None:
        if how == RESET:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def read_to_the_end(self) -> bytes:
        """What came before the server closed; a byte that it had not read when it did so makes of that a reset."""
        received = b""
        with suppress(ConnectionResetError):
            while chunk := self.socket.recv(65536):
                received += chunk
        return received

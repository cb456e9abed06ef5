"""How a service begins to listen."""

from __future__ import annotations

import socket

from epaas_shared.errors import Unavailable


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 is any free one. Raises :class:`Unavailable` for a port that is not to be had."""
    try:
        listener = socket.create_server((host, port), backlog=2048, reuse_port=False)
        # found out afresh, the protocol is TCP and not the default: else asyncio leaves Nagle's algorithm on, which
        # holds the second part of every answer back until the first is acknowledged, 40 ms later
        return socket.socket(fileno=listener.detach())
    except OSError as error:
        raise Unavailable(f"cannot listen on {host}:{port}: {error.strerror}", hint="choose another --port") from None

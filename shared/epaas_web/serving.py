"""How a service begins to listen."""

from __future__ import annotations

import socket

from epaas_shared.errors import Unavailable


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 is any free one. Raises :class:`Unavailable` for a port that is not to be had."""
    try:
        return socket.create_server((host, port), backlog=2048, reuse_port=False)
    except OSError as error:
        raise Unavailable(f"cannot listen on {host}:{port}: {error.strerror}", hint="choose another --port") from None

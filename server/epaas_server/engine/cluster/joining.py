"""Joining a Ray cluster: as the process that drives it, and as a machine that evaluates.

Ray's own words go to its log files; it reports nothing to its makers. It asks for a token unless ``RAY_AUTH_MODE`` says
otherwise: whoever reaches a cluster's ports without one runs code on its machines.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import socket
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import NoReturn

from epaas_server.engine.engine import EngineFailed
from epaas_shared.errors import ConfigurationError
from epaas_web.logging import configure_logging

_ANSWER_SECONDS = 5.0


def first_line(error: Exception) -> str:
    """What an error says, without the traces of other processes that Ray appends."""
    return next(iter(str(error).splitlines()), type(error).__name__)[:300]


def check_cluster(address: str) -> None:
    """Raises :class:`ConfigurationError` where a process of this machine could not join the cluster at ``address``."""
    require_ray()
    address_of(address)
    prepare(dict(os.environ))


def require_ray() -> None:
    """Raises :class:`ConfigurationError` where the package is missing."""
    if importlib.util.find_spec("ray") is None:
        raise ConfigurationError(
            "ray needs a package that is not installed: ray", field="engine", hint="`pip install epaas[ray]`"
        )


def prepare(environment: MutableMapping[str, str]) -> None:
    """Ray's variables. Raises :class:`ConfigurationError` where there is no token."""
    environment["RAY_USAGE_STATS_ENABLED"] = "0"
    environment.setdefault("RAY_gcs_rpc_server_reconnect_timeout_s", "20")  # without its head a cluster is no more
    if environment.setdefault("RAY_AUTH_MODE", "token") != "token" or environment.get("RAY_AUTH_TOKEN"):
        return
    file = Path(environment.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
    if not file.is_file():
        raise ConfigurationError(
            f"there is no token of the cluster in {file}",
            field="RAY_AUTH_TOKEN_PATH",
            hint="`ray get-auth-token --generate` makes one; every machine of the cluster needs the same",
        )


def address_of(address: str) -> tuple[str, int]:
    """Host and port of a cluster's head. Raises :class:`ConfigurationError`."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise ConfigurationError(
            f"{address!r} is no address of a cluster", field="ray_address", hint="HOST:PORT of its head"
        )
    return host.strip("[]"), int(port)


def drive(address: str) -> None:
    """Make this process a driver of the cluster at ``address``. Its machine must be in the cluster too.

    Raises :class:`ConfigurationError`, and :class:`EngineFailed` where the cluster does not answer.
    """
    prepare(os.environ)
    _keep_ray_quiet()
    import ray
    from ray.exceptions import RayError

    try:
        socket.create_connection(address_of(address), timeout=_ANSWER_SECONDS).close()  # Ray itself would not give up
        ray.init(address=address, namespace="epaas", log_to_driver=False, logging_level=logging.CRITICAL)
    except (OSError, RuntimeError, ValueError, RayError) as error:
        reason = "it has another token" if "InvalidAuthToken" in str(error.__cause__) else first_line(error)
        raise EngineFailed(f"the cluster {address} cannot be joined: {reason}") from None


def _keep_ray_quiet() -> None:
    """Leave stderr to this server's log: Ray's native code writes to it, and Ray prints what its processes say."""
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    os.close(nowhere)
    configure_logging()


def become_node(head: str | None, port: int, threads: int, object_store_bytes: int) -> NoReturn:
    """Turn this process into a machine of the cluster with this ``head``, or into a head that listens on ``port``.

    It lasts until it is told to stop, or the head is gone.
    """
    require_ray()
    if head is not None:
        address_of(head)
    prepare(os.environ)
    where = [f"--address={head}"] if head else ["--head", f"--port={port}", "--include-dashboard=false", "--no-monitor"]
    options = [
        "--block",
        "--disable-usage-stats",
        "--include-log-monitor=false",
        f"--num-cpus={threads}",
        f"--object-store-memory={object_store_bytes}",
    ]
    os.execv(sys.executable, [sys.executable, "-m", "ray.scripts.scripts", "start", *where, *options])  # noqa: S606

"""The evaluation child: a process that holds circuits and keysets, does a task at a time, and may be killed.

With the engine ``local`` a crash in native code ends this process and nothing else; with ``ray`` native code runs on
the machines of a cluster, and this process spreads blocks of neurons over them. It knows no database and no HTTP.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal

import structlog

from epaas_server.blobs import Blobs, open_blobs
from epaas_server.engine.engine import Engine, EngineFailed
from epaas_server.engine.evaluator import Evaluator
from epaas_server.engine.keys import read_frame
from epaas_server.engine.limits import MachineLimits, limit_address_space
from epaas_server.engine.machine import Machine
from epaas_server.engine.tasks import Ready
from epaas_shared.errors import EpaasError
from epaas_web.logging import configure_logging

_log = structlog.get_logger()


@dataclass(frozen=True)
class ChildConfiguration:
    blobs: Path
    blob_store: str
    """As in :func:`epaas_server.blobs.open_blobs`, with ``blobs`` as its folder."""
    limits: MachineLimits
    engine: Literal["local", "ray"] = "local"
    circuits: Path | None = None
    """The folder of this machine's circuit library, for ``local``."""
    ray_address: str = ""


_NICENESS = 10
"""Evaluations take all cores for seconds and minutes; the HTTP interface and leases need one for milliseconds."""


def main(pipe: Connection, configuration: ChildConfiguration) -> None:
    """Entry point of the process. Serves tasks from ``pipe`` until it closes."""
    os.nice(_NICENESS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C is the server's business
    configure_logging()
    _die_with_parent()
    blobs = open_blobs(configuration.blob_store, configuration.blobs)
    try:
        evaluator = Evaluator(_engine(configuration, blobs), blobs, pipe.send, pipe.recv)
        pipe.send(Ready())
        while True:
            task = pipe.recv()
            structlog.contextvars.clear_contextvars()
            structlog.contextvars.bind_contextvars(**task.ids)
            evaluator.run(task)
    except EOFError:
        return
    except (EngineFailed, EpaasError) as failure:
        _log.error("the engine failed", reason=str(failure))
        sys.exit(1)


def _engine(configuration: ChildConfiguration, blobs: Blobs) -> Engine:
    read = partial(read_frame, blobs)
    if configuration.engine == "ray":
        from epaas_server.engine.cluster import connect  # needs the extra ray

        return connect(configuration.ray_address, configuration.limits, read)
    assert configuration.circuits is not None
    os.environ["OMP_NUM_THREADS"] = str(configuration.limits.threads)  # read when the runtime is loaded
    machine = Machine(configuration.circuits, configuration.limits, read)
    limit_address_space(configuration.limits.memory_bytes)
    return machine


def _die_with_parent() -> None:
    """End with the worker, however it ends; evaluation releases the interpreter lock, so this thread runs meanwhile."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()

"""``epaas-server serve`` and ``worker``: the processes' beginnings and ends.

``serve`` runs the HTTP interface in this process and keeps ``settings.workers`` worker processes running beside it.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType

import structlog
import uvicorn

from epaas_server.api.app import create_app
from epaas_server.circuits.library import ensure_library
from epaas_server.engine.cluster.joining import check_cluster
from epaas_server.jobs.processes import WorkerProcesses
from epaas_server.jobs.worker import Worker
from epaas_server.observability.tracing import start_tracing
from epaas_server.services import Services
from epaas_server.settings import Settings
from epaas_shared.profile import default_profile
from epaas_web.logging import configure_logging
from epaas_web.serving import listen

_log = structlog.get_logger()
_SWITCH_SECONDS = 0.0005
"""How long threads that take predictions in may keep the interpreter from the one that answers; Python's own 5 ms,
several times a request, are felt by whoever asks how things are."""


def serve(settings: Settings) -> None:
    """Serve until told to stop. Builds the circuit library first where this machine needs it and does not have it."""
    configure_logging()
    end_tracing = start_tracing("epaas-api")
    Services.open(settings).close()  # settings are refused at once; the tables exist before the workers look for them
    if settings.workers:
        _check_engine(settings)
    if settings.workers and settings.engine == "local":
        _log.info("circuit library ready", folder=str(ensure_library(settings.cache_dir, default_profile())))
    sys.setswitchinterval(_SWITCH_SECONDS)
    listener = listen(settings.host, settings.port)
    workers = WorkerProcesses(settings)
    config = uvicorn.Config(create_app(settings), log_config=None, access_log=False, timeout_graceful_shutdown=5)
    host, port = listener.getsockname()[:2]
    _log.info("listening", url=f"http://{host}:{port}", workers=workers.pids)
    # uvicorn raises the signal that stopped it once more when it is done; the workers must still be ended then
    for stop_signal in (signal.SIGTERM, signal.SIGINT):
        signal.signal(stop_signal, lambda _signal, _frame: None)
    try:
        uvicorn.Server(config).run(sockets=[listener])
    finally:
        workers.end()
        end_tracing()


def run_worker(settings: Settings, *, until_stdin_closes: bool) -> None:
    """One evaluation slot, until told to stop."""
    configure_logging()
    _check_engine(settings)
    # a worker publishes nothing, and is to start whatever has become of the file by now
    services = Services.open(settings.model_copy(update={"acceptance_file": ""}))
    end_tracing = start_tracing("epaas-worker")
    worker = Worker(settings, services.jobs, services.keys, services.registry, services.blobs, services.presence)

    def stop(_signal: int, _frame: FrameType | None) -> None:
        worker.stop.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    if until_stdin_closes:
        threading.Thread(target=_watch_stdin, args=(worker,), daemon=True).start()
    try:
        worker.run()
    finally:
        end_tracing()
        services.close()


def _check_engine(settings: Settings) -> None:
    """Raises :class:`ConfigurationError` where evaluation processes could not start with these settings."""
    if settings.engine == "ray":
        check_cluster(settings.ray_address)


def _watch_stdin(worker: Worker) -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    worker.stop.set()

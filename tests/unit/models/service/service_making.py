"""The training service's interface on a thread of this process, without the slots that would begin jobs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import uvicorn

from epaas_models.service.app import create_app
from epaas_models.service.settings import ServiceSettings


@contextmanager
def serving(settings: ServiceSettings) -> Iterator[httpx.Client]:
    config = uvicorn.Config(create_app(settings), port=0, log_config=None, ws="none", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the service does not start"
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        yield client
    server.should_exit = True
    thread.join()

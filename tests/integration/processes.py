"""The processes of a running server: who they are, whether they live, what memory they have held."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from sqlalchemy import Engine, select

from epaas_server.database import reading
from epaas_server.services import Services
from epaas_server.settings import Settings
from epaas_server.tables import jobs
from tests.conftest import Server
from tests.postgresql import SHARED


def workers(server: Server) -> list[int]:
    pids = server.events("listening")[-1]["workers"]
    assert isinstance(pids, list)
    return pids


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def evaluation_children(worker: int) -> list[int]:
    """The worker's spawned children; multiprocessing's resource tracker is one too and does not matter."""
    spawned = [child for child in children(worker) if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]
    assert spawned
    return spawned


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] != "Z"
    except OSError:
        return False


def peak_bytes(pid: int) -> int:
    """Most memory that a process has held, in RAM and at once."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (peak,) = [int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")]
    return peak


def wait_for_layer(server: Server, job: str) -> None:
    """Until the first layer of a prediction is recorded, not only written."""
    wait_until(lambda: list(server.data_dir.glob(f"blobs/jobs/{job}/*-layer-1")))
    settings = Settings(data_dir=server.data_dir, **SHARED.settings(server.data_dir))  # type: ignore[arg-type]
    with closing(Services.open(settings)) as services:
        wait_until(lambda: _layers_done(services.database, job))


def _layers_done(database: Engine, job: str) -> int:
    with reading(database) as connection:
        done: int = connection.execute(select(jobs.c.layers_done).where(jobs.c.id == job)).scalar_one()
    return done


def wait_until(condition: Callable[[], object], seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.02)

"""Clocks that jump, by an hour and by a day, while jobs run: of the server's machine, and of the database's.

A small library (``clock.c``) shows processes another time of day, and a new one whenever its file says so.
"""

from __future__ import annotations

import os
import shutil
import signal
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ClientKeys, Server
from tests.faults.conftest import NETWORK, check_finished, submit, with_model
from tests.integration.processes import children, wait_until, workers
from tests.postgresql import Cluster

DAY, HOUR = 86_400, 3_600
JUMPS = [pytest.param((DAY, -DAY), id="days"), pytest.param((HOUR, -HOUR), id="hours", marks=pytest.mark.long)]
"""Seconds from the true time; between them it is the true time again."""


class Clock:
    """A time of day that a test may set, for processes that are started with ``variables``."""

    def __init__(self, folder: Path, library: Path) -> None:
        self._file = folder / "offset"
        self._file.write_bytes(struct.pack("=q", 0))
        self.variables = {"LD_PRELOAD": str(library), "EPAAS_TEST_CLOCK": str(self._file)}

    def set(self, seconds: int) -> None:
        """So far from the true time, at once."""
        with self._file.open("r+b", buffering=0) as file:
            file.write(struct.pack("=q", seconds))


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Skips where there is no compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no compiler")
    folder = tmp_path_factory.mktemp("clock")
    made = folder / "clock.so"
    command = [compiler, "-shared", "-fPIC", "-O2", "-o", str(made), str(Path(__file__).with_name("clock.c"))]
    subprocess.run(command, check=True)
    for path in (made, folder, *folder.parents[:2]):
        path.chmod(0o755)  # PostgreSQL needs it too, as another user
    return made


@pytest.fixture
def clock(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Clock:
    folder = tmp_path_factory.mktemp("time")
    folder.chmod(0o755)
    return Clock(folder, library)


def started(
    make_server: Callable[..., Server], clock: Clock | None, monkeypatch: pytest.MonkeyPatch, **options: str
) -> Server:
    with monkeypatch.context() as environment:
        for name, value in (clock.variables if clock else {}).items():
            environment.setenv(name, value)
        return make_server(workers="2", threads="1", lease_seconds="3", heartbeat_seconds="0.2", **options)


def run_through(jumps: tuple[int, ...], server: Server, keys: ClientKeys, clock: Clock) -> None:
    """Each jump, there and back, comes while a job runs."""
    for jump in jumps:
        job = submit(server, keys)
        for layer, seconds in ((1, jump), (2, 0)):
            wait_until(lambda job=job, layer=layer: _written(server, job) >= layer)  # type: ignore[misc]
            clock.set(seconds)
        check_finished(server, job, keys)
    assert "Traceback" not in server.log_file.read_text()
    assert server.events("a worker died and is replaced") == []


def _written(server: Server, job: str) -> int:
    """Layers of a job, or all and the result."""
    names = [path.name for path in server.data_dir.glob(f"blobs/jobs/{job}/*")]
    layers = [int(name.rpartition("-layer-")[2]) for name in names if "-layer-" in name]
    finished = any(name.endswith("-result") for name in names)
    return len(NETWORK.layers) if finished else max(layers, default=0)


@pytest.mark.parametrize("jumps", JUMPS)
def test_the_clock_of_the_server_jumps(
    jumps: tuple[int, ...],
    make_server: Callable[..., Server],
    clock: Clock,
    keys: ClientKeys,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With SQLite it is that of the database too, by which leases go."""
    server = with_model(started(make_server, clock, monkeypatch), keys, tmp_path / "bundle")
    run_through(jumps, server, keys, clock)


def test_a_worker_that_dies_when_the_clock_has_gone_back_a_day_is_not_waited_for_until_tomorrow(
    make_server: Callable[..., Server],
    clock: Clock,
    keys: ClientKeys,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = with_model(started(make_server, clock, monkeypatch), keys, tmp_path / "bundle")
    clock.set(DAY)
    job = submit(server, keys)
    wait_until(lambda: list(server.data_dir.glob(f"blobs/jobs/{job}/*-layer-1")))
    for worker in workers(server):
        for pid in (*children(worker), worker):
            os.kill(pid, signal.SIGKILL)
    clock.set(0)
    check_finished(server, job, keys)


@pytest.mark.long
@pytest.mark.parametrize("jumps", JUMPS)
def test_the_clock_of_postgresql_jumps(
    jumps: tuple[int, ...],
    make_server: Callable[..., Server],
    own_postgresql: Cluster,
    clock: Clock,
    keys: ClientKeys,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    database = own_postgresql.new_database()
    own_postgresql.stop()
    with monkeypatch.context() as environment:
        for name, value in clock.variables.items():
            environment.setenv(name, value)
        own_postgresql.start()
    server = started(make_server, None, monkeypatch, **own_postgresql.settings(database))
    with_model(server, keys, tmp_path / "bundle")
    run_through(jumps, server, keys, clock)

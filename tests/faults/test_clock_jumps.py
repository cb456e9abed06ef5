"""Clocks that jump, by an hour and by a day, while jobs run: of the server's machine, and of the database's.

``libfaketime`` shows processes another time of day, and a new one whenever its file says so. As on a machine whose
clock is set, what counts elapsed seconds goes on as ever.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ClientKeys, Server
from tests.faults.conftest import check_finished, submit, with_model
from tests.integration.processes import children, wait_until, workers
from tests.postgresql import Cluster

JUMPS = ("+1d", "-1d", "+1h", "-1h")
"""From the true time; between them it is the true time again."""
TRUE = "+0"


class Clock:
    """A time of day that a test may set, for processes that are started with ``variables``."""

    def __init__(self, file: Path, library: Path) -> None:
        self._file = file
        self.variables = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DONT_RESET": "1",
            "NO_FAKE_STAT": "1",
        }
        self.set(TRUE)

    def set(self, offset: str) -> None:
        ready = self._file.with_suffix(".new")
        ready.write_text(offset + "\n")
        ready.chmod(0o644)
        ready.replace(self._file)


@pytest.fixture
def clock(tmp_path_factory: pytest.TempPathFactory) -> Clock:
    """Skips where the library is not installed (Debian's package ``faketime``)."""
    libraries = [*Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), *Path("/usr/lib/faketime").glob("*MT.so.1")]
    if not libraries:
        pytest.skip("libfaketime is not installed")
    folder = tmp_path_factory.mktemp("clock")
    for parent in (folder, *folder.parents[:2]):
        parent.chmod(0o755)  # PostgreSQL reads it too, as another user
    return Clock(folder / "time", libraries[0])


def started(
    make_server: Callable[..., Server], clock: Clock | None, monkeypatch: pytest.MonkeyPatch, **options: str
) -> Server:
    with monkeypatch.context() as environment:
        for name, value in (clock.variables if clock else {}).items():
            environment.setenv(name, value)
        return make_server(workers="2", threads="1", lease_seconds="3", heartbeat_seconds="0.2", **options)


def run_through_jumps(server: Server, keys: ClientKeys, clock: Clock) -> None:
    """Each jump, there and back, comes while a job runs."""
    for jump in JUMPS:
        for offset in (jump, TRUE):
            job = submit(server, keys)
            wait_until(lambda job=job: list(server.data_dir.glob(f"blobs/jobs/{job}/*-layer-1")))  # type: ignore[misc]
            clock.set(offset)
            check_finished(server, job, keys)
    assert "Traceback" not in server.log_file.read_text()
    assert server.events("a worker died and is replaced") == []


def test_the_clock_of_the_server_jumps(
    make_server: Callable[..., Server],
    clock: Clock,
    keys: ClientKeys,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With SQLite it is that of the database too, by which leases go."""
    server = with_model(started(make_server, clock, monkeypatch), keys, tmp_path / "bundle")
    run_through_jumps(server, keys, clock)


def test_a_worker_that_dies_when_the_clock_has_gone_back_a_day_is_not_waited_for_until_tomorrow(
    make_server: Callable[..., Server],
    clock: Clock,
    keys: ClientKeys,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = with_model(started(make_server, clock, monkeypatch), keys, tmp_path / "bundle")
    clock.set("+1d")
    job = submit(server, keys)
    wait_until(lambda: list(server.data_dir.glob(f"blobs/jobs/{job}/*-layer-1")))
    for worker in workers(server):
        for pid in (*children(worker), worker):
            os.kill(pid, signal.SIGKILL)
    clock.set(TRUE)
    check_finished(server, job, keys)


def test_the_clock_of_postgresql_jumps(
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
    run_through_jumps(server, keys, clock)

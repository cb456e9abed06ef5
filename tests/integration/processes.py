"""The processes of a running server: who they are, whether they live, what memory they have held."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from tests.conftest import Server


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


def wait_until(condition: Callable[[], object], seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.02)

"""What benchmarks say of a running server from outside: its processes by their part in it, files, rows."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from sqlalchemy import Engine, func, select

from epaas_server.tables import metadata

API, WORKER, CHILD = "api", "worker", "child"
_PARTS: dict[str, Callable[[list[str]], bool]] = {
    API: lambda line: "serve" in line,
    WORKER: lambda line: "worker" in line,
    CHILD: lambda line: any("spawn_main" in word for word in line),
}


@dataclass(frozen=True)
class Held:
    """What processes of one part hold, all together."""

    processes: int
    megabytes: float
    """Resident; what processes share counts in each."""
    descriptors: int
    threads: int


def held_by(server: int) -> dict[str, Held]:
    """What the processes of a server hold, by their part; ``server`` is the pid of ``epaas-server serve``."""
    serving = psutil.Process(server)
    parts: dict[str, list[Held]] = {part: [] for part in _PARTS}
    for process in [serving, *serving.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            line = process.cmdline()
            found = next((part for part, is_it in _PARTS.items() if is_it(line)), None)
            if found is not None:
                with process.oneshot():
                    size = process.memory_info().rss / 1e6
                    parts[found].append(Held(1, size, process.num_fds(), process.num_threads()))
    return {part: _added(held) for part, held in parts.items()}


def _added(held: list[Held]) -> Held:
    megabytes = round(sum(each.megabytes for each in held), 1)
    descriptors, threads = sum(each.descriptors for each in held), sum(each.threads for each in held)
    return Held(len(held), megabytes, descriptors, threads)


def file_count(folder: Path) -> int:
    return sum(path.is_file() for path in folder.rglob("*"))


def data_megabytes(folder: Path) -> float:
    """Of all files but logs; one that is removed meanwhile counts as nothing."""
    size = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            size += path.stat().st_size if path.is_file() and path.suffix != ".log" else 0
    return round(size / 1e6, 2)


def row_counts(database: Engine) -> dict[str, int]:
    """Rows of all tables."""
    with database.connect() as connection:
        return {
            name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for name, table in metadata.tables.items()
        }

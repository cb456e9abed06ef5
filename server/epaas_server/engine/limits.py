"""What an evaluating process may take of its machine."""

from __future__ import annotations

import resource
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class MachineLimits:
    threads: int
    keyset_cache_bytes: int
    memory_bytes: int
    """Beyond what loading the runtime takes."""


def limit_address_space(extra_bytes: int) -> None:
    """Bound this process's address space, so that damaged keys cannot take the machine's memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + extra_bytes
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def limit_data(extra_bytes: int) -> None:
    """Like :func:`limit_address_space`, for a process that maps an object store, which does not count here."""
    status = Path("/proc/self/status").read_text()
    (kilobytes,) = (int(line.split()[1]) for line in status.splitlines() if line.startswith("VmData:"))
    limit = 1024 * kilobytes + extra_bytes
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))

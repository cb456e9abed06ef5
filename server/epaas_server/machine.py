"""What the settings ask of the machine, or of the container that it looks like."""

from __future__ import annotations

from pathlib import Path

import psutil

_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


def available_memory_bytes() -> int:
    """All memory that this machine, or this container, has."""
    machine = int(psutil.virtual_memory().total)
    try:
        limit = _CGROUP_LIMIT.read_text().strip()
    except OSError:
        return machine
    return min(machine, int(limit)) if limit.isdigit() else machine

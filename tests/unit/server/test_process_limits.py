"""What an evaluating process may take: limits hold in a process of its own, and an object store is not counted."""

from __future__ import annotations

import subprocess
import sys

import pytest

LIMITED = """
import mmap, sys
import numpy as np
from epaas_server.engine.limits import limit_address_space, limit_data

MEGABYTE = 1_000_000
{"address space": limit_address_space, "data": limit_data}[sys.argv[1]](300 * MEGABYTE)
for kind, take in (
    ("little", lambda: np.ones(100 * MEGABYTE, dtype=np.uint8)),
    ("much", lambda: np.ones(400 * MEGABYTE, dtype=np.uint8)),
    ("shared", lambda: mmap.mmap(-1, 400 * MEGABYTE)),
):
    try:
        take()
        print(kind)
    except (MemoryError, OSError):
        pass
"""


@pytest.mark.parametrize(("limit", "taken"), [("address space", ["little"]), ("data", ["little", "shared"])])
def test_a_process_gets_what_it_may_have_and_no_more(limit: str, taken: list[str]) -> None:
    command = [sys.executable, "-c", LIMITED, limit]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() == taken

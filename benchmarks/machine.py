"""What benchmarks say of the memory of their processes."""

from __future__ import annotations

from pathlib import Path


def peak_megabytes(worker: int) -> int:
    """Most memory that the evaluation child of a worker has held."""
    children = Path(f"/proc/{worker}/task/{worker}/children").read_text().split()
    peaks = []
    for child in children:
        lines = Path(f"/proc/{child}/status").read_text().splitlines()
        peaks += [int(line.split()[1]) * 1024 // 1_000_000 for line in lines if line.startswith("VmHWM")]
    return max(peaks)

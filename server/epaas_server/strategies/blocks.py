"""A layer cut into blocks of neurons, so that memory does not grow with the layer.

The neurons of several records are numbered one record after the other: position ``record * outputs + output``.
"""

from __future__ import annotations

from collections.abc import Iterator

BLOCK = 256
"""Neurons of a block: whole batches of every circuit, and 4 MiB a ciphertext of each."""


def blocks(records: int, outputs: int) -> Iterator[list[tuple[int, int, int]]]:
    """Blocks of at most BLOCK positions in order, each as :func:`runs`."""
    total = records * outputs
    return (runs(start, min(start + BLOCK, total), outputs) for start in range(0, total, BLOCK))


def runs(start: int, stop: int, outputs: int) -> list[tuple[int, int, int]]:
    """The positions from ``start`` to ``stop`` (exclusive), as (record, first output, end of outputs)."""
    found = []
    while start < stop:
        record, first = divmod(start, outputs)
        end = min(outputs, first + stop - start)
        found.append((record, first, end))
        start += end - first
    return found


def block_sizes(records: int, outputs: int) -> list[int]:
    """The number of neurons of each block."""
    total = records * outputs
    return [min(BLOCK, total - start) for start in range(0, total, BLOCK)]

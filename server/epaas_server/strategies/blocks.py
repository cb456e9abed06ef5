"""A layer cut into blocks of neurons, so that memory does not grow with the layer."""

from __future__ import annotations

from collections.abc import Iterator

BLOCK = 256
"""Neurons of a block: whole batches of every circuit, and 4 MiB a ciphertext of each."""


def blocks(records: int, outputs: int) -> Iterator[list[tuple[int, int, int]]]:
    """Blocks of at most BLOCK of the (record, output) pairs in order, each as runs (record, first output, end)."""
    total = records * outputs
    for start in range(0, total, BLOCK):
        runs = []
        position, stop = start, min(start + BLOCK, total)
        while position < stop:
            record, first = divmod(position, outputs)
            end = min(outputs, first + stop - position)
            runs.append((record, first, end))
            position += end - first
        yield runs


def block_sizes(records: int, outputs: int) -> list[int]:
    """The number of neurons of each block."""
    total = records * outputs
    return [min(BLOCK, total - start) for start in range(0, total, BLOCK)]

"""Any number of sums through circuits that are compiled for a few batch sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np

from epaas_server.circuits.definitions import Circuit
from epaas_shared.zerokey import Torus


class Bootstrapper(Protocol):
    """What evaluates circuits under one client's evaluation keys.

    ``sums`` has shape (n, words); a circuit of several outputs gives (outputs * n, words), all first outputs first.
    """

    def __call__(self, circuit: Circuit, sums: Torus, /) -> Torus: ...


def batches(circuit: Circuit, count: int) -> Iterator[int]:
    """Sizes of the compiled batches for ``count`` sums, largest first; the last may be larger than what is left for it.

    A few idle places are cheaper than the fixed cost of another call.
    """
    sizes = circuit.batch_sizes
    while count > 0:
        padded = min((size for size in sizes if size >= count), default=sizes[0])
        fits = padded - count <= circuit.worth_padding
        size = padded if fits else max(size for size in sizes if size <= count)
        yield size
        count -= size


class Batched:
    """A bootstrapper for any number of sums, from one for the compiled batch sizes.

    ``advance`` is told the number of bootstraps after each call, idle places not counted.
    """

    def __init__(self, call: Bootstrapper, advance: Callable[[int], None]) -> None:
        self._call = call
        self._advance = advance

    def __call__(self, circuit: Circuit, sums: Torus) -> Torus:
        done = np.empty((circuit.outputs, *sums.shape), dtype=np.uint64)
        start = 0
        for size in batches(circuit, len(sums)):
            block = sums[start : start + size]
            padding = np.repeat(block[:1], size - len(block), axis=0)
            outputs = self._call(circuit, np.concatenate([block, padding]))
            done[:, start : start + len(block)] = outputs.reshape(circuit.outputs, size, -1)[:, : len(block)]
            start += len(block)
            self._advance(len(block) * circuit.bootstraps)
        return done.reshape(-1, sums.shape[1])

"""A network evaluated on ciphertexts, layer by layer and block by block.

The strategy is ``accumulate``: a levelled sum a neuron, then one exact threshold circuit. Layers are pure functions
of the layer before, so that a finished one is a checkpoint. Knows nothing of jobs, files or processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np

from epaas_server.circuits.definitions import BATCH_SIZES, DENSE, Circuit
from epaas_server.engine.levelled import weighted_sums
from epaas_shared.network import DenseLayer, Network
from epaas_shared.profile import Profile
from epaas_shared.zerokey import Torus

_WORTH_PADDING = 3


class Bootstrapper(Protocol):
    """What evaluates circuits under one client's evaluation keys."""

    def __call__(self, circuit: Circuit, sums: Torus) -> Torus: ...


def bootstraps(network: Network, profile: Profile) -> int:
    """Bootstraps of one record. They depend on the shape of the network alone, not on its weights (P2)."""
    return network.neurons * profile.bootstraps_per_neuron


def batches(count: int) -> Iterator[int]:
    """Sizes of the compiled batches for ``count`` sums, largest first; the last may be larger than what is left for it.

    A call's fixed cost is that of about two neurons, so that two or three idle places are cheaper than another call.
    """
    while count > 0:
        padded = min((size for size in BATCH_SIZES if size >= count), default=BATCH_SIZES[0])
        size = padded if padded - count <= _WORTH_PADDING else max(size for size in BATCH_SIZES if size <= count)
        yield size
        count -= size


def evaluate_layer(
    layer: DenseLayer, bits: Torus, profile: Profile, bootstrap: Bootstrapper, advance: Callable[[int], None]
) -> Torus:
    """Ciphertexts of ``layer``'s output bits, from shape (records, inputs, words) to (records, outputs, words).

    ``advance`` is told the number of bootstraps after each block.
    """
    sums = weighted_sums(layer, bits, profile)
    flat = sums.reshape(-1, sums.shape[2])
    done: list[Torus] = []
    start = 0
    for size in batches(len(flat)):
        block = flat[start : start + size]
        padding = np.repeat(block[:1], size - len(block), axis=0)
        done.append(bootstrap(DENSE, np.concatenate([block, padding]))[: len(block)])
        start += len(block)
        advance(len(block) * profile.bootstraps_per_neuron)
    return np.concatenate(done).reshape(sums.shape)

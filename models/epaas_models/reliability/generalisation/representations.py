"""What a network makes of rows inside: how few directions hold it, and how much of it each layer lets through.

Bits are 0 and 1 here, as a server has them, not the signs of the thesis's networks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from epaas_shared.features import Bits
from epaas_shared.layers import Integers, Layer
from epaas_shared.network import Network, batches

COMPONENTS = (1, 2, 5, 10, 20, 50, 100)


def passages(network: Network, bits: Bits) -> Iterator[tuple[Layer, Bits, Integers]]:
    """Each layer with what it takes of rows, (n, its inputs), and its sums around thresholds, (n, its outputs)."""
    for layer in network.layers:
        sums = np.concatenate([layer.sums(part) for part in batches(bits)])
        yield layer, bits, sums
        bits = (sums >= 0).astype(np.uint8)


def layer_cushion(layer: Layer, inputs: Bits, sums: Integers) -> NDArray[np.float64]:
    """||W x|| / (||W||_F ||x||) of the rows where x is not 0 (thesis Definition 14), each from 0 to 1.

    ``inputs`` and ``sums`` as :func:`passages` gives them; thresholds do not count. W is the whole linear map, so that
    a filter counts in it once a window. Empty if all weights are 0.
    """
    whole = np.sqrt(layer.squared_norms().sum())
    seen = inputs.any(axis=1)
    if not whole:
        return np.empty(0)
    thresholds = np.repeat(layer.thresholds, layer.outputs // len(layer.thresholds))
    images = np.linalg.norm(sums[seen] + thresholds, axis=1)
    # a norm of bits is the root of their number
    cushion: NDArray[np.float64] = images / (whole * np.sqrt(inputs[seen].sum(axis=1, dtype=np.int64)))
    return cushion


def variance_ratios(outputs: NDArray[Any], components: tuple[int, ...] = COMPONENTS) -> dict[str, float]:
    """By r: the share of the variance of ``outputs`` (n, dimensions) in their r greatest principal components.

    The variance ratio of thesis 6.4.1 on centred outputs. Only for r of at most n and the number of dimensions, and for
    none if all rows are alike.
    """
    centred = outputs - outputs.mean(axis=0)
    rows, dimensions = centred.shape
    gram = centred @ centred.T if rows < dimensions else centred.T @ centred  # the same eigenvalues but for zeros
    variances = np.linalg.eigvalsh(gram)[::-1]
    total = np.trace(gram)
    if not total:
        return {}
    return {str(r): min(1.0, float(variances[:r].sum() / total)) for r in components if r <= len(variances)}

"""How far the sums of a network reach around their thresholds: what a strategy of evaluation must cover.

Either over every record that the schema allows (worst case), or over records that were seen (measured). Whether a range
can be evaluated is for the server's strategies to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from epaas_shared.features import Bits, Encoding
from epaas_shared.layers import Layer
from epaas_shared.network import Network, batches


@dataclass(frozen=True)
class SumRange:
    """The sums of one evaluated layer, minus their thresholds, over all of its neurons, both ends included."""

    minimum: int
    maximum: int
    squared_norm: int
    """The greatest sum of a neuron's squared weights: how much it amplifies the noise of its inputs."""
    fresh: bool
    """Whether the inputs are freshly encrypted, as in the first layer, and not bootstrapped."""
    source: Literal["worst-case", "measured"]


def worst_case_ranges(network: Network, encodings: Sequence[Encoding]) -> tuple[SumRange, ...]:
    """The range of each of ``network.evaluated_layers``, over all records of the encodings.

    Exact for the first layer; after it every bit counts as free.
    """
    bounds = [layer.sum_bounds(None if index else encodings) for index, layer in enumerate(network.evaluated_layers)]
    return tuple(
        _range(layer, index, int(low.min()), int(high.max()), "worst-case")
        for index, (layer, (low, high)) in enumerate(zip(network.evaluated_layers, bounds, strict=True))
    )


def measured_ranges(network: Network, bits: Bits) -> tuple[SumRange, ...]:
    """The range of each of ``network.evaluated_layers``, over encoded records of shape (records, inputs)."""
    extremes = np.array([_extremes(network, batch) for batch in batches(bits)])
    lows, highs = extremes[:, :, 0].min(axis=0), extremes[:, :, 1].max(axis=0)
    return tuple(
        _range(layer, index, int(lows[index]), int(highs[index]), "measured")
        for index, layer in enumerate(network.evaluated_layers)
    )


def _extremes(network: Network, bits: Bits) -> list[tuple[int, int]]:
    found = []
    for layer in network.evaluated_layers:
        sums = layer.sums(bits)
        found.append((int(sums.min()), int(sums.max())))
        bits = (sums >= 0).astype(np.uint8)
    return found


def _range(layer: Layer, index: int, minimum: int, maximum: int, source: Literal["worst-case", "measured"]) -> SumRange:
    return SumRange(minimum, maximum, int(layer.squared_norms().max()), fresh=index == 0, source=source)

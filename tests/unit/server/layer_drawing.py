"""Layers and records for property tests, small ones more often."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from epaas_shared.features import Bits
from epaas_shared.layers import ConvolutionLayer, DenseLayer, Layer

BANDS = ((1, 12), (1, 12), (1, 40), (41, 200))
"""Of numbers of inputs."""
ALPHABETS: tuple[Sequence[int], ...] = ((-1, 0, 1), (-1, 1), (0, 1), range(-3, 4))
"""Ternary, binary, masks and small integers."""
WIDEST_INTEGERS = 30
"""Inputs of layers with small integers, which are several inputs each to a sorting network."""


def random_bits(records: int, inputs: int, seed: int) -> Bits:
    return np.random.default_rng(seed).integers(0, 2, (records, inputs)).astype(np.uint8)


def thresholds_for(weights: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.int64]:
    """On, beside and beyond the sums that occur, up to the ends of their range."""
    low, high = np.minimum(weights, 0).sum(axis=1), np.maximum(weights, 0).sum(axis=1)
    some = weights @ random.integers(0, 2, weights.shape[1])
    choices = np.stack([some, some + 1, low, low + 1, high, high + 1, low - 9, high + 9])
    found: NDArray[np.int64] = choices[random.integers(0, len(choices), len(weights)), np.arange(len(weights))]
    return found


@st.composite
def dense_layers(draw: st.DrawFn, bands: Sequence[tuple[int, int]] = BANDS) -> DenseLayer:
    """Up to six neurons, as a network's evaluated layers are: with thresholds in reach."""
    low, high = draw(st.sampled_from(bands))
    alphabet = draw(st.sampled_from(ALPHABETS))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    if max(alphabet) > 1:
        low, high = min(low, WIDEST_INTEGERS), min(high, WIDEST_INTEGERS)
    outputs, inputs = random.integers([1, low], [6, high], endpoint=True)
    weights = random.choice(np.array(alphabet, dtype=np.int64), (outputs, inputs))
    return DenseLayer(weights, thresholds_for(weights, random)).within_reach()


@st.composite
def convolutions(draw: st.DrawFn) -> Layer:
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    height, width = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    kernel = draw(st.tuples(st.integers(1, height), st.integers(1, width)))
    padding = draw(st.tuples(st.integers(0, kernel[0] - 1), st.integers(0, kernel[1] - 1)))
    stride = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    weights = random.integers(-1, 2, (draw(st.integers(1, 3)), draw(st.integers(1, 2)), *kernel))
    thresholds = thresholds_for(weights.reshape(len(weights), -1), random)
    return ConvolutionLayer(weights, thresholds, height, width, stride, padding).within_reach()

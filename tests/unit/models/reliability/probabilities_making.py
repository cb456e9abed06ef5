"""Probabilities and labels to measure: any at all, and those of models that are calibrated by how they are drawn."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

Reals = NDArray[np.float64]
Labels = NDArray[np.int64]


def drawn(rows: int, classes: int, seed: int, sharpness: float = 2.0) -> tuple[Reals, Labels]:
    """Logits (rows, classes), and labels drawn with the probabilities softmax(logits): perfectly calibrated."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, sharpness, (rows, classes))
    return logits, drawn_from(softmax(logits), random)


def drawn_from(probabilities: Reals, random: np.random.Generator) -> Labels:
    below = probabilities.cumsum(axis=1) < random.random((len(probabilities), 1))
    return np.minimum(below.sum(axis=1), probabilities.shape[1] - 1).astype(np.int64)


def softmax(logits: Reals) -> Reals:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@st.composite
def forecasts(draw: st.DrawFn) -> tuple[Reals, Labels]:
    """Few rows of few classes, with ties, zeros and ones among them."""
    rows, classes = draw(st.integers(1, 40)), draw(st.integers(2, 4))
    random = np.random.default_rng(draw(st.integers(0, 10_000)))
    weights = random.integers(0, draw(st.sampled_from([2, 5, 1000])), (rows, classes)).astype(float)
    weights[np.arange(rows), random.integers(0, classes, rows)] += 1
    return weights / weights.sum(axis=1, keepdims=True), random.integers(0, classes, rows)

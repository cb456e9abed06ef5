"""Small integer networks with every head, whose predictions are easily foretold."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from epaas_models.reliability.subject import Subject
from epaas_shared.features import CategoryFeature, Feature, NumberFeature
from epaas_shared.heads import Scores
from epaas_shared.layers import DenseLayer
from epaas_shared.network import Network
from epaas_shared.schema import InputSchema
from epaas_shared.scores import ScoreScale

NAMES = ("zero", "one", "two", "three")


def schema(bits: int, classes: int) -> InputSchema:
    """Numbers from 0 to 1, each a bit."""
    features = tuple(
        NumberFeature(name=f"f{i}", kind="thresholds", edges=(0.5,), minimum=0.0, maximum=1.0) for i in range(bits)
    )
    return table(features, classes)


def table(features: tuple[Feature, ...], classes: int) -> InputSchema:
    return InputSchema(task="toy", version=1, title="Toy", target="answer", classes=NAMES[:classes], features=features)


def category(name: str, *values: str) -> CategoryFeature:
    return CategoryFeature(name=name, values=values, other=True)


def echo(classes: int) -> Subject:
    """Predicts the class whose bit is set; of two classes, its one bit."""
    size = 1 if classes == 2 else classes
    layer = DenseLayer(np.eye(size, dtype=np.int64), np.full(size, 1 if classes == 2 else 0))
    return Subject(Network((layer,)), schema(size, classes), unit=1.0)


def echoing(predicted: NDArray[np.int64], classes: int) -> NDArray[np.uint8]:
    """The bits with which :func:`echo` predicts so."""
    if classes == 2:
        return predicted.astype(np.uint8)[:, None]
    return np.eye(classes, dtype=np.uint8)[predicted]


def scored(temperature: float | None, unit: float, seed: int = 1, classes: int = 3, bits: int = 12) -> Subject:
    """Random weights, scores in 8 levels, many of them tied."""
    random = np.random.default_rng(seed)
    scale = ScoreScale(bits=3, minimum=-4, step=1, temperature=temperature)
    layer = DenseLayer(random.integers(-2, 3, (classes, bits)), np.zeros(classes, dtype=np.int64))
    return Subject(Network((layer,), Scores(classes, scale)), schema(bits, classes), unit)


def unscored(classes: int, unit: float, seed: int = 1, bits: int = 12) -> Subject:
    """Random weights and a label: one neuron for two classes, else the greatest sum."""
    random = np.random.default_rng(seed)
    outputs = 1 if classes == 2 else classes
    layer = DenseLayer(random.integers(-3, 4, (outputs, bits)), random.integers(-1, 2, outputs))
    return Subject(Network((layer,)), schema(bits, classes), unit)


def random_bits(rows: int, inputs: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 2, (rows, inputs), dtype=np.uint8)

"""Small networks with their schemas, whose sums and slopes can be worked out beside them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from epaas_models.reliability.subject import Subject
from epaas_shared.features import Bits, ImageFeature, NumberFeature
from epaas_shared.layers import ConvolutionLayer, DenseLayer, Layer
from epaas_shared.network import Network
from epaas_shared.schema import InputSchema


def whole(values: ArrayLike) -> NDArray[np.int64]:
    return np.array(values, dtype=np.int64)


def random_bits(rows: int, inputs: int, seed: int = 0) -> Bits:
    return np.random.default_rng(seed).integers(0, 2, (rows, inputs), dtype=np.uint8)


def random_dense(outputs: int, inputs: int, seed: int = 0) -> DenseLayer:
    random = np.random.default_rng(seed)
    return DenseLayer(random.integers(-3, 4, (outputs, inputs)), random.integers(-2, 3, outputs))


def random_convolution(filters: int = 3, padding: tuple[int, int] = (1, 1), seed: int = 0) -> ConvolutionLayer:
    """Takes two channels of 6 by 8, a window of 3 by 2 every 2 by 1."""
    random = np.random.default_rng(seed)
    weights = random.integers(-2, 3, (filters, 2, 3, 2))
    return ConvolutionLayer(weights, random.integers(-2, 3, filters), height=6, width=8, stride=(2, 1), padding=padding)


def table_subject(layers: Sequence[Layer], unit: float = 1.0, network: Network | None = None) -> Subject:
    """Numbers from 0 to 1, each a bit that is set from 0.5 on."""
    network = network or Network(tuple(layers))
    features = tuple(
        NumberFeature(name=f"f{i}", kind="thresholds", edges=(0.5,), minimum=0.0, maximum=1.0)
        for i in range(network.inputs)
    )
    return Subject(network, _schema(features, max(2, network.layers[-1].outputs)), unit)


def picture_subject(unit: float = 1.0, classes: int = 4) -> Subject:
    """A convolution over two thresholds of 6 by 8 pixels, and a dense layer."""
    first = random_convolution()
    last = random_dense(1 if classes == 2 else classes, first.outputs, seed=1)
    feature = ImageFeature(name="image", height=6, width=8, thresholds=(64.0, 128.0), framing="whole")
    return Subject(Network((first, last)), _schema((feature,), classes), unit)


def _schema(features: Sequence[NumberFeature | ImageFeature], classes: int) -> InputSchema:
    names = tuple(f"class {index}" for index in range(classes))
    return InputSchema(task="toy", version=1, title="Toy", target="answer", classes=names, features=tuple(features))


def columns_of(bits: Bits) -> dict[str, NDArray[np.float64]]:
    """Values of :func:`table_subject`'s records that these bits are of."""
    return {f"f{i}": column.astype(float) for i, column in enumerate(bits.T)}

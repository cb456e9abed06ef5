"""Small tasks to learn and small networks to learn them, and how two networks are compared."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from epaas_models.architecture import Architecture
from epaas_models.binary_network import BinaryNetwork
from epaas_models.datasets import Dataset
from epaas_models.objective import Examples
from epaas_shared.features import Bits, ImageFeature, NumberFeature
from epaas_shared.network import Network
from epaas_shared.schema import InputSchema

NAMES = ("zero", "one", "two", "three")


def table_schema(bits: int, classes: int = 2) -> InputSchema:
    """Numbers from 0 to 1, each a bit."""
    features = tuple(
        NumberFeature(name=f"f{i}", kind="thresholds", edges=(0.5,), minimum=0.0, maximum=1.0) for i in range(bits)
    )
    return InputSchema(task="toy", version=1, title="Toy", target="answer", classes=NAMES[:classes], features=features)


def picture_schema(
    height: int = 6, width: int = 8, thresholds: tuple[float, ...] = (64.0, 128.0), classes: int = 2
) -> InputSchema:
    feature = ImageFeature(name="image", height=height, width=width, thresholds=thresholds, framing="whole")
    return InputSchema(
        task="toy", version=1, title="Toy", target="answer", classes=NAMES[:classes], features=(feature,)
    )


def picture_dataset(rows: int, seed: int = 0) -> Dataset:
    """Grey noise, 6 by 8, with a bright left half for class 0 and a bright right one for class 1."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, rows)
    images = random.integers(0, 120, (rows, 6, 8))
    for image, label in zip(images, labels, strict=True):
        image[:, 4 * label : 4 * label + 4] += 90
    return Dataset("toy", "a test", "answer", NAMES[:2], {"image": images.astype(np.uint8)}, labels)


def table_dataset(rows: int, bits: int = 10, seed: int = 0) -> Dataset:
    """Columns f0, f1, ... of 0 or 1 and the labels of :func:`separable`."""
    examples = separable(rows, bits, seed)
    columns = {f"f{i}": column.astype(float) for i, column in enumerate(examples.bits.T)}
    return Dataset("toy", "a test", "answer", NAMES[:2], columns, examples.labels)


def random_bits(rows: int, inputs: int, seed: int = 0) -> Bits:
    return np.random.default_rng(seed).integers(0, 2, (rows, inputs), dtype=np.uint8)


def separable(rows: int, inputs: int = 10, seed: int = 0) -> Examples:
    """Random bits; class 1 has more ones in the first half than in the second."""
    bits = random_bits(rows, inputs, seed)
    half = inputs // 2
    labels = bits[:, :half].sum(axis=1, dtype=np.int64) > bits[:, half:].sum(axis=1, dtype=np.int64)
    return Examples(bits, labels.astype(np.int64))


def fresh_network(schema: InputSchema, architecture: Architecture, seed: int = 0) -> BinaryNetwork:
    torch.manual_seed(seed)
    return BinaryNetwork(architecture.specs(schema), architecture.weights)


def as_floats(bits: Bits) -> torch.Tensor:
    return torch.from_numpy(bits).float()


def share_right(network: Network, examples: Examples) -> float:
    return float(np.mean(np.array(network.predict(examples.bits)) == examples.labels))


def same_state(one: BinaryNetwork, other: BinaryNetwork) -> bool:
    """Whether every parameter and statistic is the same, to the bit."""
    others = other.state_dict()
    return all(torch.equal(tensor, others[name]) for name, tensor in one.state_dict().items())


def same_network(one: Network, other: Network) -> bool:
    return all(
        np.array_equal(a.weights, b.weights) and np.array_equal(a.thresholds, b.thresholds)
        for a, b in zip(one.layers, other.layers, strict=True)
    )


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return shares

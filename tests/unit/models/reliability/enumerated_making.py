"""Small random networks over small schemas, and all the records that there are: the oracle of attacks and proofs."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from epaas_models.reliability.robustness.codes import CodeBook
from epaas_models.reliability.subject import Subject
from epaas_shared.features import Bits, CategoryFeature, Feature, ImageFeature, NumberFeature
from epaas_shared.heads import Head, LabelArgmax, LabelBit, Scores
from epaas_shared.layers import ConvolutionLayer, DenseLayer, Integers, Layer
from epaas_shared.network import Network
from epaas_shared.schema import InputSchema
from epaas_shared.scores import ScoreScale

HeadKind = Literal["bit", "argmax", "scores"]

heads = st.sampled_from(["bit", "argmax", "scores"])
seeds = st.integers(0, 2**32 - 1)
depths = st.integers(0, 2)


def schema_of(*features: Feature) -> InputSchema:
    return InputSchema(task="toy", version=1, title="Toy", target="answer", classes=("a", "b", "c"), features=features)


def table_schema() -> InputSchema:
    """Bins, a thermometer, a category and a single bit: 3 * 4 * 3 * 2 records."""
    return schema_of(
        NumberFeature(name="bins", kind="one-hot-bins", edges=(2.0, 5.0), minimum=0.0, maximum=10.0),
        NumberFeature(name="steps", kind="thresholds", edges=(-1.0, 0.5, 0.75), minimum=-3.0, maximum=3.0),
        CategoryFeature(name="colour", values=("red", "green"), other=True),
        NumberFeature(name="bit", kind="thresholds", edges=(0.5,), minimum=0.0, maximum=1.0),
    )


def number_schema() -> InputSchema:
    return schema_of(
        NumberFeature(name="bins", kind="one-hot-bins", edges=(2.0, 5.0, 6.0), minimum=0.0, maximum=10.0),
        NumberFeature(name="steps", kind="thresholds", edges=(-1.0, 0.5, 0.75), minimum=-3.0, maximum=3.0),
        NumberFeature(name="bit", kind="thresholds", edges=(0.5,), minimum=0.0, maximum=1.0),
        NumberFeature(name="more", kind="one-hot-bins", edges=(10.0, 20.0), minimum=0.0, maximum=40.0),
    )


def picture_schema(
    height: int = 2, width: int = 2, thresholds: tuple[float, ...] = (60.0, 130.0), *, standardised: bool = False
) -> InputSchema:
    return schema_of(
        ImageFeature(
            name="image", height=height, width=width, thresholds=thresholds, standardised=standardised, framing="whole"
        )
    )


def random_network(schema: InputSchema, head: HeadKind, hidden: int, seed: int) -> Network:
    """``hidden`` layers of a few neurons, of which the first is a convolution where the input is a picture.

    Thresholds are among the sums of a few random records, so that every neuron can be either.
    """
    random = np.random.default_rng(seed)
    book = CodeBook.of(schema)
    counts = [len(encoding.patterns) for encoding in book.encodings]
    bits = book.bits_of(np.array([[random.integers(count) for count in counts] for _ in range(9)]))
    layers: list[Layer] = []
    (feature, *_) = schema.features
    for place in range(hidden):
        layer: Layer
        if place == 0 and isinstance(feature, ImageFeature):
            weights = random.integers(-1, 2, (3, len(feature.thresholds), 2, 2))
            layer = ConvolutionLayer(weights, np.zeros(3, np.int64), feature.height, feature.width, padding=(0, 1))
            middle = np.median(layer.sums(bits).reshape(len(bits), 3, -1), axis=(0, 2)).astype(np.int64)
            layer = ConvolutionLayer(weights, middle, feature.height, feature.width, padding=(0, 1))
        else:
            layer = _dense(bits, 5, random)
        layers.append(layer)
        bits = (layer.sums(bits) >= 0).astype(np.uint8)
    last = _dense(bits, 1 if head == "bit" else 3, random)
    made: dict[HeadKind, Head] = {
        "bit": LabelBit(),
        "argmax": LabelArgmax(3),
        "scores": Scores(3, ScoreScale(bits=int(random.integers(1, 3)), minimum=-2, step=int(random.integers(1, 4)))),
    }
    return Network((*layers, last), made[head])


def _dense(bits: Bits, outputs: int, random: np.random.Generator) -> DenseLayer:
    weights = random.integers(-3, 4, (outputs, bits.shape[1]))
    sums = DenseLayer(weights, np.zeros(outputs, np.int64)).sums(bits)
    return DenseLayer(weights, sums[random.integers(len(bits)), np.arange(outputs)])


@dataclass(frozen=True)
class Enumerated:
    """Every record of a schema as codes, (records, groups), and what is predicted of each, (records,)."""

    subject: Subject
    book: CodeBook
    codes: Integers
    predicted: NDArray[np.int64]

    @classmethod
    def of(cls, schema: InputSchema, network: Network) -> Enumerated:
        book = CodeBook.of(schema)
        codes = np.array(list(product(*(range(len(encoding.patterns)) for encoding in book.encodings))))
        return cls(Subject(network, schema, 1.0), book, codes, np.array(network.predict(book.bits_of(codes))))

    def sample(self, seed: int, rows: int = 6) -> NDArray[np.int64]:
        """Some records, as indices."""
        return np.random.default_rng(seed).integers(len(self.codes), size=rows)

    def distances(self, row: int, threat: str) -> Integers:
        """What it takes to get to each record from one of them, written out: (records,)."""
        bits = self.book.bits_of(self.codes).astype(np.int64)
        found = np.zeros(len(self.codes), dtype=np.int64)
        for encoding in self.book.encodings:
            flips = np.abs(bits[:, encoding.bits] - bits[row, encoding.bits]).sum(axis=1)
            thermometer = (encoding.patterns[0] == 0).all()
            found += flips if threat == "bits" and thermometer else (flips > 0).astype(np.int64)
        return found

    def costs(self, rows: NDArray[np.int64], threat: str) -> Integers:
        made = self.book.bit_costs if threat == "bits" else self.book.column_costs
        return made(self.codes[rows])

    def alterable(self, row: int, threat: str, budget: int) -> bool:
        within = self.distances(row, threat) <= budget
        return bool((self.predicted[within] != self.predicted[row]).any())

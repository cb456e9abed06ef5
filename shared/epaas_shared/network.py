"""The binary network and its plain integer evaluation: the oracle for everything encrypted."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from epaas_shared.errors import InvalidBundle
from epaas_shared.features import Bits
from epaas_shared.heads import Head, LabelArgmax, LabelBit, Scores
from epaas_shared.layers import DenseLayer, Integers, Layer
from epaas_shared.scores import ScoreScale

RECORDS_AT_ONCE = 256
"""Records that a network is evaluated on at once: a convolution may have 10,000s of sums a record."""


@dataclass(frozen=True, init=False)
class Network:
    """Layers in order, the last of them dense, and the head that makes the prediction of its sums.

    Without a head, one output is the label of two classes and several are compared with one another.
    """

    layers: tuple[Layer, ...]
    head: Head

    def __init__(self, layers: tuple[Layer, ...], head: Head | None = None) -> None:
        if not layers:
            raise InvalidBundle("a network has at least one layer", field="layers")
        for index, (before, after) in enumerate(pairwise(layers)):
            if before.outputs != after.inputs:
                raise InvalidBundle(
                    f"takes {after.inputs} inputs, but the layer before gives {before.outputs}",
                    field=f"layers[{index + 1}].weights",
                )
        outputs = layers[-1].outputs
        if not isinstance(layers[-1], DenseLayer):
            raise InvalidBundle("the last layer must be dense", field=f"layers[{len(layers) - 1}].kind")
        head = head or (LabelBit() if outputs == 1 else LabelArgmax(outputs))
        if head.outputs != outputs:
            raise InvalidBundle(
                f"the last layer has {outputs} outputs where {head.outputs} are due",
                field=f"layers[{len(layers) - 1}].weights",
            )
        object.__setattr__(self, "layers", layers)
        object.__setattr__(self, "head", head)

    @property
    def inputs(self) -> int:
        return self.layers[0].inputs

    @property
    def values(self) -> int:
        """How many values a prediction has: digits of the label, or scores."""
        return len(self.head.combination)

    @property
    def scores(self) -> ScoreScale | None:
        """The scale of the scores, if scores are what the network gives."""
        return self.head.scale if isinstance(self.head, Scores) else None

    @cached_property
    def evaluated_layers(self) -> tuple[Layer, ...]:
        """The threshold layers that are evaluated under encryption: the head's in place of the last."""
        last = self.layers[-1]
        assert isinstance(last, DenseLayer)
        return tuple(layer.within_reach() for layer in (*self.layers[:-1], *self.head.layers(last)))

    @property
    def neurons(self) -> int:
        """Thresholds of an encrypted evaluation."""
        return sum(layer.outputs for layer in self.evaluated_layers)

    def evaluate(self, bits: Bits) -> Integers:
        """The prediction's values, shape (records, inputs) to (records, values)."""
        return np.concatenate([self._evaluate(batch) for batch in batches(bits)])

    def _evaluate(self, bits: Bits) -> Integers:
        for layer in self.layers[:-1]:
            bits = (layer.sums(bits) >= 0).astype(np.uint8)
        return self.head.values(self.layers[-1].sums(bits))

    def evaluate_bits(self, bits: Bits) -> Bits:
        """Output bits of the last evaluated layer, (records, bits): ``evaluate`` is ``head.combination`` of them."""
        for layer in self.evaluated_layers:
            bits = (layer.sums(bits) >= 0).astype(np.uint8)
        return bits

    def predict(self, bits: Bits) -> list[int]:
        """Index of the predicted class of each record."""
        return self.head.indices(self.evaluate(bits))


def batches(bits: Bits) -> list[Bits]:
    """The records in parts small enough to be evaluated at once; one empty part if there are none."""
    return [bits[start : start + RECORDS_AT_ONCE] for start in range(0, max(1, len(bits)), RECORDS_AT_ONCE)]

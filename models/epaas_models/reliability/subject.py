"""What is measured: an integer network with its schema, and real-valued logits that decide exactly as it does.

Everything in a report is of the network that a server evaluates, not of the one that was trained. Knows no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from epaas_models.confidence import class_sums, seen_scores
from epaas_shared.features import Bits
from epaas_shared.network import Network
from epaas_shared.schema import InputSchema

Columns = Mapping[str, NDArray[Any]]
"""Checked values by feature, as :meth:`InputSchema.encode_columns` takes them."""

TIE = 1e-3
"""By how much of a unit of sums each class is behind the one before it, so that the first of equals is the greatest."""


@dataclass(frozen=True)
class Subject:
    """A network, the schema that encodes its records, and the ``unit`` in sums that its logits are given in."""

    network: Network
    schema: InputSchema
    unit: float

    @property
    def classes(self) -> tuple[str, ...]:
        return self.schema.classes

    @property
    def source(self) -> str:
        """What the logits are made of, in words."""
        scale = self.network.scores
        if scale is not None:
            return f"scores in {scale.greatest_level + 1} levels, as clients get them"
        return "exact sums of the last layer, which clients do not see"

    def logits(self, bits: Bits) -> NDArray[np.float64]:
        """Bits (n, inputs) to logits (n, classes), whose greatest is the class that the network predicts."""
        return decided(class_sums(self.network, bits), self.network) / self.unit

    def confidence_logits(self, bits: Bits) -> NDArray[np.float64]:
        """Bits (n, inputs) to the logits (n, classes) whose softmax is how sure of each class the network is.

        Without what tells equals apart in :meth:`logits`: equal scores are equally probable, to a client too.
        """
        return seen(class_sums(self.network, bits), self.network) / self.unit

    def predict(self, bits: Bits) -> NDArray[np.int64]:
        """Bits (n, inputs) to class indices (n,)."""
        return np.array(self.network.predict(bits), dtype=np.int64)

    def predict_columns(self, columns: Columns) -> NDArray[np.int64]:
        """Checked values to class indices (n,): the whole way of a record."""
        return self.predict(self.schema.encode_columns(columns))


def seen(sums: NDArray[Any], network: Network) -> NDArray[np.float64]:
    """Sums around thresholds (n, 1 or classes) to those that a softmax over classes may be taken of, (n, classes).

    A single neuron's class 1 is at its sum and half a unit, since it fires at 0; of several, scores are the least sum
    of the level that a client sees.
    """
    if sums.shape[1] == 1:
        pair: NDArray[np.float64] = np.concatenate([np.zeros_like(sums, dtype=np.float64), sums + 0.5], axis=1)
        return pair
    scale = network.scores
    return seen_scores(sums, scale) if scale is not None else sums.astype(np.float64)


def decided(sums: NDArray[Any], network: Network) -> NDArray[np.float64]:
    """As :func:`seen`, with the first of equals made the greatest."""
    found = seen(sums, network)
    return found if sums.shape[1] == 1 else found - TIE * np.arange(found.shape[1])


def softmax(logits: NDArray[np.float64], temperature: float = 1.0) -> NDArray[np.float64]:
    """Probabilities (n, classes)."""
    heated = logits / temperature
    powers = np.exp(heated - heated.max(axis=1, keepdims=True))
    probabilities: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return probabilities

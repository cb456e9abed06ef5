"""What is sent to a machine of a cluster, and what comes back. Nothing in it is secret, and nothing of it is large.

Input bits and keys stay in Ray's object store; a message names them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from epaas_server.cost import Rates
from epaas_server.engine.keys import StoredKeys
from epaas_server.strategies.strategy import Method
from epaas_shared.layers import Integers, Rows


@dataclass(frozen=True)
class Reference:
    """An object in Ray's object store, which is fetched when it is asked for: within a message Ray leaves it alone."""

    ref: Any


@dataclass(frozen=True)
class SentKeys:
    """A client's keys by digest, and where their frame is if the machine does not have them."""

    stored: StoredKeys
    frame: Reference


@dataclass(frozen=True)
class PackedRows:
    """Rows of a layer with weights in the fewest bytes that hold them."""

    inputs: Integers
    weights: NDArray[np.signedinteger[Any]]
    thresholds: Integers

    @classmethod
    def of(cls, rows: Rows) -> PackedRows:
        largest = int(np.abs(rows.weights).max(initial=0))
        return cls(rows.inputs, rows.weights.astype(np.min_scalar_type(-largest - 1)), rows.thresholds)

    @property
    def rows(self) -> Rows:
        return Rows(self.inputs, self.weights.astype(np.int64), self.thresholds)


@dataclass(frozen=True)
class PackedRun:
    """Neurons of one record."""

    rows: PackedRows
    bits: Reference
    shared: Reference | None


@dataclass(frozen=True)
class Share:
    """Make what the neurons of a layer share of one record."""

    method: Method
    keys: SentKeys
    bits: Reference


@dataclass(frozen=True)
class Evaluate:
    """Evaluate a block of neurons."""

    method: Method
    keys: SentKeys
    runs: Sequence[PackedRun]


@dataclass(frozen=True)
class Made:
    """What ciphertexts took, where they were made, and whether keys had to be loaded for them."""

    bootstraps: int
    seconds: float
    node: str
    loaded_keys: bool


@dataclass(frozen=True)
class Checked:
    """Keys that passed their trial run."""

    rates: Rates | None
    node: str

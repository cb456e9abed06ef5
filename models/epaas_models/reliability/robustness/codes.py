"""Encoded records as codes: which of its possible values each column or pixel has, instead of bits.

Whatever an adversary does, a record stays one: a category is one of its values, a thermometer has no gaps. Codes can
say nothing else, so attacks and certificates work on them. Costs say what it takes to give a column another value; they
are all that tells one discrete threat from another. Knows neither attacks nor predictions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from epaas_shared.features import Bits, Encoding
from epaas_shared.layers import Integers, Layer
from epaas_shared.schema import InputSchema

UNREACHABLE = 2**20
"""The cost of a value that cannot be had: more than any budget."""

_NEURONS_AT_ONCE = 512


@dataclass(frozen=True)
class CodeBook:
    """The possible values of every column or pixel (here: group) of a schema, in the order of their bits.

    The values of all groups together, one group after the other, are called entries.
    """

    encodings: tuple[Encoding, ...]
    bits: int

    @classmethod
    def of(cls, schema: InputSchema) -> CodeBook:
        return cls(tuple(schema.encodings), schema.bits)

    @cached_property
    def starts(self) -> Integers:
        """The first entry of each group, and the number of entries at the end, (groups + 1,)."""
        return np.cumsum([0, *(len(encoding.patterns) for encoding in self.encodings)])

    @cached_property
    def groups(self) -> Integers:
        """The group of each entry, (entries,)."""
        return np.repeat(np.arange(len(self.encodings)), np.diff(self.starts))

    @cached_property
    def places(self) -> Integers:
        """Which of the values of its group each entry is, (entries,)."""
        places: Integers = np.arange(self.starts[-1]) - self.starts[self.groups]
        return places

    @cached_property
    def ordered(self) -> NDArray[np.bool_]:
        """Whether a group is a thermometer, (groups,): neighbouring values differ by one bit. Else it is one-hot."""
        return np.array([not encoding.patterns[0].any() for encoding in self.encodings])

    @cached_property
    def patterns(self) -> csr_array:
        """The bits of each entry, (entries, bits)."""
        rows, columns = [], []
        for encoding, start in zip(self.encodings, self.starts, strict=False):
            value, bit = np.nonzero(encoding.patterns)
            rows.append(start + value)
            columns.append(np.arange(self.bits)[encoding.bits][bit])
        where = np.concatenate(rows), np.concatenate(columns)
        return csr_array((np.ones(len(where[0])), where), shape=(int(self.starts[-1]), self.bits))

    def codes_of(self, bits: Bits) -> Integers:
        """Valid bits (n, bits) to codes (n, groups)."""
        codes = np.empty((len(bits), len(self.encodings)), dtype=np.int64)
        for group, encoding in enumerate(self.encodings):
            # A pattern and itself have more in common than a pattern and any other: bits count +1 or -1 each.
            found, signs = (2 * part.astype(np.float64) - 1 for part in (bits[:, encoding.bits], encoding.patterns))
            codes[:, group] = (found @ signs.T).argmax(axis=1)
        return codes

    def bits_of(self, codes: Integers) -> Bits:
        """Codes (n, groups) to bits (n, bits)."""
        bits = np.empty((len(codes), self.bits), dtype=np.uint8)
        for group, encoding in enumerate(self.encodings):
            bits[:, encoding.bits] = encoding.patterns[codes[:, group]]
        return bits

    def entries_of(self, codes: Integers) -> Integers:
        """The entry that each group of a record has, codes (n, groups) to (n, groups)."""
        entries: Integers = self.starts[:-1] + codes
        return entries

    def slices(self) -> Iterator[slice]:
        """The entries of each group."""
        return (slice(start, stop) for start, stop in zip(self.starts[:-1], self.starts[1:], strict=True))

    def contributions(self, layer: Layer) -> csr_array:
        """What each entry adds to the sums of a first layer, (entries, outputs)."""
        return csr_array(self.patterns @ _matrix(layer).T)

    def column_costs(self, codes: Integers) -> Integers:
        """1 for every value that a group does not have, (n, entries): the threat ``columns``."""
        costs: Integers = (codes[:, self.groups] != self.places).astype(np.int64)
        return costs

    def bit_costs(self, codes: Integers) -> Integers:
        """The threat ``bits``, (n, entries): steps along a thermometer, each a bit; 1 for another one-hot value."""
        steps = np.abs(codes[:, self.groups] - self.places)
        costs: Integers = np.where(self.ordered[self.groups], steps, np.minimum(steps, 1))
        return costs

    def reach_costs(self, low: Integers, high: Integers) -> Integers:
        """0 for the values from code ``low`` to code ``high`` (n, groups), which come together; (n, entries)."""
        within = (low[:, self.groups] <= self.places) & (self.places <= high[:, self.groups])
        return np.where(within, 0, UNREACHABLE)


def _matrix(layer: Layer) -> csr_array:
    """The weights of a layer between all inputs and all outputs, (outputs, inputs)."""
    outputs, inputs, weights = [], [], []
    for start in range(0, layer.outputs, _NEURONS_AT_ONCE):
        block = layer.rows(start, min(start + _NEURONS_AT_ONCE, layer.outputs))
        neuron, place = np.nonzero(block.weights)
        outputs.append(start + neuron)
        inputs.append(block.inputs[place])
        weights.append(block.weights[neuron, place].astype(np.float64))
    where = np.concatenate(outputs), np.concatenate(inputs)
    return csr_array((np.concatenate(weights), where), shape=(layer.outputs, layer.inputs))

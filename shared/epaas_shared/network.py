"""The binary network and its plain integer evaluation: the oracle for everything encrypted.

A layer maps bits x in {0,1}^d to bits y in {0,1}^p by y_j = [sum_i W_ji x_i >= T_j] with integer weights W (ternary
for the thesis's networks) and integer thresholds T. It is the z = sign(Wx + b) of thesis section 8.3.2 with -1
written as 0 and batch normalisation folded into T (8.4.1). Everything here is exact integer arithmetic in numpy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from epaas_shared.errors import InvalidBundle
from epaas_shared.profile import Profile
from epaas_shared.schema import Bits

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class DenseLayer:
    """``weights`` of shape (outputs, inputs), ``thresholds`` of shape (outputs,)."""

    weights: Integers
    thresholds: Integers

    def __post_init__(self) -> None:
        if self.weights.ndim != 2 or self.thresholds.shape != self.weights.shape[:1] or 0 in self.weights.shape:
            raise InvalidBundle(
                f"weights of shape {self.weights.shape} do not fit thresholds of shape {self.thresholds.shape}",
                field="weights",
            )

    @property
    def inputs(self) -> int:
        return int(self.weights.shape[1])

    @property
    def outputs(self) -> int:
        return int(self.weights.shape[0])

    def sums(self, bits: Bits) -> Integers:
        """sum_i W_ji x_i - T_j, shape (records, inputs) to (records, outputs)."""
        result: Integers = bits.astype(np.int64) @ self.weights.T - self.thresholds
        return result

    def sum_bounds(self, groups: Sequence[slice] | None) -> tuple[Integers, Integers]:
        """Least and greatest value of :meth:`sums` a neuron, over all inputs.

        With ``groups``, exactly one bit of each group is set (one-hot inputs); else every bit is free.
        """
        if groups is None:
            low = np.minimum(self.weights, 0).sum(axis=1)
            high = np.maximum(self.weights, 0).sum(axis=1)
        else:
            low = sum((self.weights[:, group].min(axis=1) for group in groups), np.zeros(self.outputs, np.int64))
            high = sum((self.weights[:, group].max(axis=1) for group in groups), np.zeros(self.outputs, np.int64))
        return low - self.thresholds, high - self.thresholds


@dataclass(frozen=True)
class Network:
    """Layers in order. The output bits are read by the task: one bit is the index of one of two classes."""

    layers: tuple[DenseLayer, ...]

    def __post_init__(self) -> None:
        if not self.layers:
            raise InvalidBundle("a network has at least one layer", field="layers")
        for index, (before, after) in enumerate(zip(self.layers, self.layers[1:], strict=False)):
            if before.outputs != after.inputs:
                raise InvalidBundle(
                    f"takes {after.inputs} inputs, but the layer before gives {before.outputs}",
                    field=f"layers[{index + 1}].weights",
                )

    @property
    def inputs(self) -> int:
        return self.layers[0].inputs

    @property
    def outputs(self) -> int:
        return self.layers[-1].outputs

    @property
    def neurons(self) -> int:
        return sum(layer.outputs for layer in self.layers)

    def evaluate(self, bits: Bits) -> Bits:
        """Output bits, shape (records, inputs) to (records, outputs)."""
        for layer in self.layers:
            bits = (layer.sums(bits) >= 0).astype(np.uint8)
        return bits


def labels(output_bits: Bits) -> list[int]:
    """Class index of each record from the output bits, shape (records, 1): the bit itself."""
    if output_bits.ndim != 2 or output_bits.shape[1] != 1:
        raise InvalidBundle(f"label output needs one bit a record, not shape {output_bits.shape}", field="output")
    return [int(bit) for bit in output_bits[:, 0]]


def check_fits(network: Network, profile: Profile, groups: Sequence[slice]) -> None:
    """Refuse a network that the profile cannot evaluate exactly. Raises :class:`InvalidBundle` naming the neuron.

    Each sum must stay in the profile's range for every possible input (one-hot ``groups`` in the first layer), and each
    neuron's squared weights within the noise budget of its inputs, fresh in the first layer and bootstrapped after it.
    """
    for index, layer in enumerate(network.layers):
        low, high = layer.sum_bounds(groups if index == 0 else None)
        bad = np.flatnonzero((low < profile.sum_minimum) | (high > profile.sum_maximum))
        if bad.size:
            neuron = int(bad[0])
            raise InvalidBundle(
                f"the sum reaches from {low[neuron]} to {high[neuron]} around its threshold; "
                f"profile {profile.name} covers {profile.sum_minimum} to {profile.sum_maximum}",
                field=f"layers[{index}].thresholds[{neuron}]",
                hint="use fewer or smaller weights, or a threshold nearer to the middle of the range",
            )
        budget = profile.fresh_squared_norm_budget if index == 0 else profile.squared_norm_budget
        squared_norms = (layer.weights**2).sum(axis=1)
        if squared_norms.max() > budget:
            neuron = int(squared_norms.argmax())
            raise InvalidBundle(
                f"the squared weights add up to {squared_norms[neuron]}; profile {profile.name} allows {budget}",
                field=f"layers[{index}].weights[{neuron}]",
                hint="use fewer or smaller weights in this neuron",
            )

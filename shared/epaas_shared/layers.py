"""Layers of a binary network and their plain integer evaluation.

A layer maps bits x in {0,1}^d to bits y in {0,1}^p by y_j = [sum_i W_ji x_i >= T_j] with integer weights W (ternary
for the thesis's networks) and integer thresholds T. It is the z = sign(Wx + b) of thesis section 8.3.2 with -1
written as 0 and batch normalisation folded into T (8.4.1). A convolution is such a layer whose W is sparse and repeats
a few filters. Everything here is exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from epaas_shared.errors import InvalidBundle
from epaas_shared.features import Bits, Encoding

Integers = NDArray[np.int64]

_EXACT = 2**53
"""Integers below it are exact in double precision, in which numpy multiplies matrices several times faster."""
_WINDOW_ENTRIES = 2**22
"""How many entries of receptive fields are laid out at once: 32 MiB."""
_BLOCK = 512
"""Neurons whose rows are made at once when the bounds of a whole convolution are asked for."""


@dataclass(frozen=True)
class Rows:
    """Some neurons of a layer as a dense block: neuron j fires if weights[j] @ bits[inputs] >= thresholds[j]."""

    inputs: Integers
    """Sorted indices, shape (m,), of the layer's inputs that the block uses."""
    weights: Integers
    """Shape (neurons, m)."""
    thresholds: Integers
    """Shape (neurons,)."""

    def sum_bounds(self, encodings: Sequence[Encoding]) -> tuple[Integers, Integers]:
        """Least and greatest sum minus threshold a neuron, each (neurons,), over all records of these encodings."""
        low, high = -self.thresholds, -self.thresholds
        columns = np.full(sum(encoding.patterns.shape[1] for encoding in encodings), -1)
        columns[self.inputs] = np.arange(len(self.inputs))
        for encoding in encodings:
            places = columns[encoding.bits]
            seen = places >= 0
            if seen.any():
                sums = self.weights[:, places[seen]] @ encoding.patterns[:, seen].T.astype(np.int64)
                low, high = low + sums.min(axis=1), high + sums.max(axis=1)
        return low, high


class Layer(Protocol):
    """What a network is made of. Neurons are numbered as the bits that they give."""

    @property
    def weights(self) -> Integers:
        """As a bundle holds them; the first axis is that of ``thresholds``."""
        ...

    @property
    def thresholds(self) -> Integers: ...
    @property
    def inputs(self) -> int: ...
    @property
    def outputs(self) -> int: ...
    @property
    def fan_in(self) -> int:
        """The largest number of inputs that a neuron can use."""
        ...

    @property
    def largest_weight(self) -> int:
        """The greatest absolute value of a weight."""
        ...

    def rows(self, start: int, stop: int) -> Rows:
        """Neurons ``start`` to ``stop`` (exclusive)."""
        ...

    def sums(self, bits: Bits) -> Integers:
        """sum_i W_ji x_i - T_j, shape (records, inputs) to (records, outputs)."""
        ...

    def sum_bounds(self, encodings: Sequence[Encoding] | None) -> tuple[Integers, Integers]:
        """Least and greatest value of :meth:`sums` a neuron, each (outputs,), both reached by some input.

        ``encodings`` cover all inputs and say which bits occur together; with ``None`` every bit is free.
        """
        ...

    def squared_norms(self) -> Integers:
        """sum_i W_ji^2 a neuron, (outputs,)."""
        ...

    def within_reach(self) -> Layer:
        """The same neurons, where a threshold that is beyond all sums is moved to their edge."""
        ...


@dataclass(frozen=True)
class DenseLayer:
    """Every neuron sees every input. ``weights`` of shape (outputs, inputs), ``thresholds`` of shape (outputs,)."""

    weights: Integers
    thresholds: Integers

    def __post_init__(self) -> None:
        _check_tensors(self.weights, self.thresholds, dimensions=2)

    @property
    def inputs(self) -> int:
        return int(self.weights.shape[1])

    @property
    def outputs(self) -> int:
        return int(self.weights.shape[0])

    @property
    def fan_in(self) -> int:
        return self.inputs

    @property
    def largest_weight(self) -> int:
        return int(np.abs(self.weights).max())

    def rows(self, start: int, stop: int) -> Rows:
        return Rows(np.arange(self.inputs), self.weights[start:stop], self.thresholds[start:stop])

    def sums(self, bits: Bits) -> Integers:
        return _product(bits, self.weights.T) - self.thresholds

    def sum_bounds(self, encodings: Sequence[Encoding] | None) -> tuple[Integers, Integers]:
        if encodings is not None:
            return self.rows(0, self.outputs).sum_bounds(encodings)
        low: Integers = np.minimum(self.weights, 0).sum(axis=1) - self.thresholds
        high: Integers = np.maximum(self.weights, 0).sum(axis=1) - self.thresholds
        return low, high

    def squared_norms(self) -> Integers:
        result: Integers = (self.weights**2).sum(axis=1)
        return result

    def within_reach(self) -> DenseLayer:
        return DenseLayer(self.weights, self.thresholds + _beyond_reach(*self.sum_bounds(None)))


@dataclass(frozen=True)
class ConvolutionLayer:
    """Every neuron sees a window of an image, and all neurons of a filter have the same weights and threshold.

    ``weights`` of shape (filters, channels, kernel height, kernel width), ``thresholds`` of shape (filters,). The
    inputs are an image (channels, height, width), the outputs one (filters, output height, output width), both
    flattened in C order, so that a dense layer follows without anything between. ``stride`` and ``padding`` are
    (vertical, horizontal). Outside the image there are zeros, which add nothing to a sum.
    """

    weights: Integers
    thresholds: Integers
    height: int
    width: int
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        _check_tensors(self.weights, self.thresholds, dimensions=4)
        if min(self.output_height, self.output_width) < 1:
            raise InvalidBundle(
                f"a kernel of {self.weights.shape[2:]} does not fit an image of {(self.height, self.width)}",
                field="weights",
            )

    @property
    def filters(self) -> int:
        return int(self.weights.shape[0])

    @property
    def channels(self) -> int:
        return int(self.weights.shape[1])

    @property
    def kernel(self) -> tuple[int, int]:
        return int(self.weights.shape[2]), int(self.weights.shape[3])

    @property
    def output_height(self) -> int:
        return output_length(self.height, self.kernel[0], self.stride[0], self.padding[0])

    @property
    def output_width(self) -> int:
        return output_length(self.width, self.kernel[1], self.stride[1], self.padding[1])

    @property
    def inputs(self) -> int:
        return self.channels * self.height * self.width

    @property
    def outputs(self) -> int:
        return self.filters * self.output_height * self.output_width

    @property
    def fan_in(self) -> int:
        return int(self.weights[0].size)

    @property
    def largest_weight(self) -> int:
        return int(np.abs(self.weights).max())

    def rows(self, start: int, stop: int) -> Rows:
        neurons = np.arange(self.outputs)[start:stop]
        filters, y, x = np.unravel_index(neurons, (self.filters, self.output_height, self.output_width))
        channel, down, right = (axis.ravel() for axis in np.indices(self.weights.shape[1:]))
        row = y[:, None] * self.stride[0] - self.padding[0] + down
        column = x[:, None] * self.stride[1] - self.padding[1] + right
        inside = (row >= 0) & (row < self.height) & (column >= 0) & (column < self.width)
        seen = ((channel * self.height + row) * self.width + column)[inside]
        inputs, places = np.unique(seen, return_inverse=True)
        weights = np.zeros((len(neurons), len(inputs)), dtype=np.int64)
        weights[np.nonzero(inside)[0], places] = self.weights.reshape(self.filters, -1)[filters][inside]
        return Rows(inputs, weights, self.thresholds[filters])

    def sums(self, bits: Bits) -> Integers:
        return self._filtered(bits, self.weights) - self._neuron_thresholds

    def sum_bounds(self, encodings: Sequence[Encoding] | None) -> tuple[Integers, Integers]:
        if encodings is None or all(encoding.free for encoding in encodings):
            # A free bit adds its weight or nothing; filters of the weights of one sign say where they are in the image.
            ones = np.ones((1, self.inputs), dtype=np.uint8)
            low, high = (self._filtered(ones, part(self.weights, 0))[0] for part in (np.minimum, np.maximum))
            return low - self._neuron_thresholds, high - self._neuron_thresholds
        blocks = [self.rows(start, start + _BLOCK).sum_bounds(encodings) for start in range(0, self.outputs, _BLOCK)]
        return np.concatenate([low for low, _ in blocks]), np.concatenate([high for _, high in blocks])

    def squared_norms(self) -> Integers:
        norms: Integers = self._filtered(np.ones((1, self.inputs), dtype=np.uint8), self.weights**2)[0]
        return norms

    def within_reach(self) -> ConvolutionLayer:
        low, high = (bound.reshape(self.filters, -1) for bound in self.sum_bounds(None))
        return replace(self, thresholds=self.thresholds + _beyond_reach(low.min(axis=1), high.max(axis=1)))

    @property
    def _neuron_thresholds(self) -> Integers:
        thresholds: Integers = np.repeat(self.thresholds, self.output_height * self.output_width)
        return thresholds

    def _filtered(self, bits: Bits, weights: Integers) -> Integers:
        """The image under filters of this layer's shape, (records, inputs) to (records, outputs)."""
        (down, right), (below, beside) = self.stride, self.padding
        positions = self.output_height * self.output_width
        by_filter = weights.reshape(self.filters, -1)
        sums = np.empty((len(bits), self.filters, positions), dtype=np.int64)
        step = max(1, _WINDOW_ENTRIES // (positions * self.fan_in))
        for start in range(0, len(bits), step):
            images = bits[start : start + step].reshape(-1, self.channels, self.height, self.width)
            padded = np.pad(images, ((0, 0), (0, 0), (below, below), (beside, beside)))
            windows = sliding_window_view(padded, self.kernel, (2, 3))  # type: ignore[call-overload]  # numpy's stub
            fields = windows[:, :, ::down, ::right].transpose(0, 2, 3, 1, 4, 5).reshape(-1, self.fan_in)
            found = _product(fields, by_filter.T).reshape(len(images), positions, self.filters)
            sums[start : start + step] = found.transpose(0, 2, 1)
        return sums.reshape(len(bits), self.outputs)


def output_length(length: int, kernel: int, stride: int, padding: int) -> int:
    """How many windows of a kernel there are along one axis of an image; below 1 if the kernel does not fit."""
    return (length + 2 * padding - kernel) // stride + 1


def _beyond_reach(low: Integers, high: Integers) -> Integers:
    """How far thresholds are moved so that sums from ``low`` to ``high`` around them reach 0, or -1 just below it."""
    moved: Integers = np.maximum(low, 0) + np.minimum(high + 1, 0)
    return moved


def _product(bits: Bits, weights: Integers) -> Integers:
    return (bits.astype(np.float64) @ weights.astype(np.float64)).astype(np.int64)


def _check_tensors(weights: Integers, thresholds: Integers, *, dimensions: int) -> None:
    if weights.ndim != dimensions or thresholds.shape != weights.shape[:1] or 0 in weights.shape:
        raise InvalidBundle(
            f"weights of shape {weights.shape} do not fit thresholds of shape {thresholds.shape}", field="weights"
        )
    if np.abs(weights.astype(np.float64)).reshape(len(weights), -1).sum(axis=1).max() >= _EXACT:
        raise InvalidBundle("the weights of a neuron add up to more than 2^53", field="weights")

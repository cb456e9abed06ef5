"""The straight-through twin: torch with the same decisions as the integer network, and slopes where it has steps.

A network of signs has no gradient, so that an attack that follows it stands still and finds nothing ("fake robustness",
Gupta and Ajanthan 2020, arXiv 2003.13511). The twin's forward pass is that of the integers; backward each step has the
slope of a ramp, as in training (:mod:`epaas_models.quantisation`). ``naive`` leaves the steps without any.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from epaas_models.quantisation import REACH, step
from epaas_models.reliability.subject import TIE, Subject
from epaas_shared.features import WHITE, Bits, ImageFeature
from epaas_shared.layers import ConvolutionLayer, DenseLayer, Layer

_FLAT = 1e-12
"""Added to the variance of a picture, so that one of a single colour has a gradient."""


class TwinLayer(nn.Module):
    """Sums around a layer's thresholds, (n, inputs) to (n, outputs). ``spread`` (outputs or filters,) scales slopes."""

    weights: Tensor
    thresholds: Tensor
    spread: Tensor

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        self.layer = layer
        self.register_buffer("weights", torch.from_numpy(layer.weights).float())
        self.register_buffer("thresholds", torch.from_numpy(layer.thresholds).float())
        self.register_buffer("spread", torch.ones(len(layer.thresholds)))

    def forward(self, bits: Tensor) -> Tensor:
        if isinstance(self.layer, ConvolutionLayer):
            image = bits.reshape(-1, self.layer.channels, self.layer.height, self.layer.width)
            sums = functional.conv2d(image, self.weights, stride=self.layer.stride, padding=self.layer.padding)
            return (sums - self.thresholds[:, None, None]).flatten(1)
        return functional.linear(bits, self.weights) - self.thresholds

    def scaled(self, sums: Tensor) -> Tensor:
        """Sums in units of each neuron's spread, half a sum over the threshold, which is itself on the side of 1."""
        per_neuron = self.spread
        if isinstance(self.layer, ConvolutionLayer):
            per_neuron = per_neuron.repeat_interleave(self.layer.outputs // self.layer.filters)
        return (sums + 0.5) / per_neuron


class Twin(nn.Module):
    """Bits (n, inputs), as floats in [0, 1], to logits (n, classes) in the subject's units; same decisions exactly."""

    def __init__(
        self,
        subject: Subject,
        reference: Bits,
        *,
        naive: bool = False,
        unit: float | None = None,
        reach: float = REACH,
    ) -> None:
        """``reference`` are encoded rows, (n, inputs), that say how far each neuron's sums spread.

        ``unit`` replaces the subject's, to rescale logits where their softmax saturates; ``reach`` is how far slopes
        reach from a threshold, in spreads.
        """
        super().__init__()
        assert all(isinstance(layer, DenseLayer | ConvolutionLayer) for layer in subject.network.layers)
        self.scores = subject.network.scores
        self.unit = subject.unit if unit is None else unit
        self.reach = 0.0 if naive else reach
        self.layers = nn.ModuleList(TwinLayer(layer) for layer in subject.network.layers)
        self._measure(torch.from_numpy(reference).float())
        self.eval()

    @torch.no_grad()
    def _measure(self, bits: Tensor) -> None:
        for layer in self.twin_layers:
            sums = layer(bits)
            per_threshold = sums.reshape(len(sums), len(layer.spread), -1)
            layer.spread = per_threshold.std(dim=(0, 2)).clamp(min=1.0)
            bits = step(layer.scaled(sums))

    @property
    def twin_layers(self) -> list[TwinLayer]:
        return [layer for layer in self.layers if isinstance(layer, TwinLayer)]

    def activations(self, bits: Tensor) -> list[Tensor]:
        """The inputs of every layer, then the sums of the last, (n, 1 or classes)."""
        found = [bits]
        *hidden, last = self.twin_layers
        for layer in hidden:
            found.append(step(layer.scaled(layer(found[-1])), self.reach))
        return [*found, last(found[-1])]

    def forward(self, bits: Tensor) -> Tensor:
        return self.logits_of_sums(self.activations(bits)[-1])

    def logits_of_sums(self, sums: Tensor) -> Tensor:
        """As :func:`epaas_models.reliability.subject.decided`, in units."""
        if sums.shape[1] == 1:
            return torch.cat([torch.zeros_like(sums), sums + 0.5], dim=1) / self.unit
        if self.scores is not None:
            least = self.scores.minimum
            levels = torch.floor((sums - least) / self.scores.step).clamp(0, self.scores.greatest_level)
            seen = least + levels * self.scores.step
            # Exact levels forward, the sums backward: beyond the ends of the scale too, or an attack would stand still.
            sums = seen.detach() + (sums - sums.detach()) * (1.0 if self.reach else 0.0)
        return (sums - TIE * torch.arange(sums.shape[1])) / self.unit


class PictureTwin(nn.Module):
    """Pictures (n, 1, height, width) with values in [0, 1], black to white, to logits (n, classes).

    Forward, bits are those of the schema's encoder itself, in its double precision; backward each has a slope.
    ``width`` is how far from a threshold, as a share of the range from black to white (in standard deviations where the
    schema standardises pictures), that slope reaches.
    """

    thresholds: Tensor

    def __init__(self, subject: Subject, twin: Twin, *, width: float | None = None) -> None:
        super().__init__()
        (feature,) = subject.schema.features
        assert isinstance(feature, ImageFeature)
        self.feature, self.twin = feature, twin
        self.width = width if width is not None else (2.0 if feature.standardised else 0.5)
        self.register_buffer("thresholds", torch.tensor(feature.thresholds))

    def bits(self, pictures: Tensor) -> Tensor:
        exact = torch.from_numpy(self.feature.encode(levels_of(pictures))).to(pictures.dtype)
        if not pictures.requires_grad:
            return exact
        slope = step(self._above(pictures), 1.0 if self.twin.reach else 0.0).flatten(1)
        return exact + (slope - slope.detach())

    def _above(self, pictures: Tensor) -> Tensor:
        """How far each pixel is above each threshold, (n, thresholds, pixels), in widths."""
        levels, thresholds = pictures.flatten(1), self.thresholds
        if self.feature.standardised:
            variance = levels.var(dim=1, correction=0, keepdim=True)
            levels = (levels - levels.mean(dim=1, keepdim=True)) / torch.sqrt(variance + _FLAT)
        else:
            thresholds = thresholds / WHITE
        return (levels[:, None, :] - thresholds[:, None]) / self.width

    def forward(self, pictures: Tensor) -> Tensor:
        logits: Tensor = self.twin(self.bits(pictures))
        return logits


def pictures_of(levels: NDArray[Any]) -> Tensor:
    """Grey levels (n, height, width), 0 to 255, as (n, 1, height, width) in [0, 1]."""
    return torch.from_numpy(np.asarray(levels, dtype=np.float32) / np.float32(WHITE))[:, None]


def levels_of(pictures: Tensor) -> NDArray[np.float64]:
    """The way back, (n, height, width): what a record would hold."""
    # Multiplied in single precision, in which a whole grey level comes back as itself; in double, 64 would not.
    return (pictures[:, 0].detach() * WHITE).double().numpy()

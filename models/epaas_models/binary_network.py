"""The network in torch: trained with straight-through estimators, exported to exact integers.

A hidden layer is y = [BN(W x) >= 0] with x, y in {0,1} and discrete W (thesis 8.3.2, 8.4.1). The last layer gives
logits a (W x - T) with one positive scale a for all classes and integer thresholds T, so that the class with the
greatest integer sum around its threshold is the class with the greatest logit. (The thesis normalises each class's sum
by itself, which integers cannot follow.) Knows no data and no training.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from epaas_models.architecture import Weights
from epaas_models.folding import fold
from epaas_models.quantisation import quantise, rounded, step, straight_through
from epaas_shared.bundle import ConvolutionSpec, DenseSpec
from epaas_shared.heads import Head
from epaas_shared.layers import Layer
from epaas_shared.network import Network


class WeightedSums(nn.Module):
    """Sums of bits by discrete weights. ``kept`` is 0 where a weight has been dropped for good, else 1.

    ``threshold`` is the magnitude of a latent weight from which on a ternary one is not 0.
    """

    latent: nn.Parameter
    kept: Tensor

    def __init__(self, spec: DenseSpec | ConvolutionSpec, weights: Weights) -> None:
        super().__init__()
        self.spec = spec
        self.weights = weights
        self.threshold = 0.5
        self.latent = nn.Parameter(torch.rand(spec.weights_shape) * 2 - 1)
        self.register_buffer("kept", torch.ones(spec.weights_shape))

    def forward(self, bits: Tensor) -> Tensor:
        """(records, inputs) to (records, outputs), or to (records, filters, height, width)."""
        weights = straight_through(self.latent, self.weights, self.threshold) * self.kept
        if isinstance(self.spec, DenseSpec):
            return functional.linear(bits, weights)
        image = bits.reshape(-1, self.spec.channels, self.spec.height, self.spec.width)
        return functional.conv2d(image, weights, stride=self.spec.stride, padding=self.spec.padding)

    @torch.no_grad()
    def clip(self) -> None:
        """Keep latent weights in [-1, 1], where their signs can still change."""
        for moved in self.parameters():  # the latent weights, or what they are made of
            moved.clamp_(-1, 1)

    def integers(self) -> Tensor:
        """The discrete weights, shape ``spec.weights_shape``."""
        return quantise(self.latent.detach(), self.weights, self.threshold) * self.kept


class HiddenLayer(nn.Module):
    """Bits from bits. Two attributes shape the sums in training, both in units of the sum.

    ``noise`` is the standard deviation of errors to train against, as the strategy ``approximate`` makes them.
    ``limit`` is how far sums may be from their thresholds for nothing; ``excess`` is then the mean squared distance
    beyond it, over the limit's square, in the last pass: a penalty that keeps sums where a narrow circuit covers them.
    """

    norm: nn.BatchNorm1d | nn.BatchNorm2d

    def __init__(self, spec: DenseSpec | ConvolutionSpec, weights: Weights) -> None:
        super().__init__()
        self.sums = WeightedSums(spec, weights)
        dense = isinstance(spec, DenseSpec)
        self.norm = nn.BatchNorm1d(spec.outputs) if dense else nn.BatchNorm2d(spec.weights_shape[0])
        self.noise: float = 0.0
        self.limit: float | None = None
        self.excess = torch.zeros(())

    def forward(self, bits: Tensor) -> Tensor:
        sums = self.sums(bits)
        normalised: Tensor = self.norm(sums)
        if self.training and (self.noise or self.limit):
            over_records = tuple(axis for axis in range(sums.ndim) if axis != 1)
            variance = sums.var(dim=over_records, correction=0, keepdim=True)
            per_unit = self.norm.weight.reshape(variance.shape).abs() / (variance + self.norm.eps).sqrt()
            if self.limit:
                distance = normalised.abs() / per_unit.clamp(min=1e-4)
                self.excess = ((distance - self.limit).clamp(min=0) / self.limit).square().mean()
            if self.noise:
                normalised = normalised + self.noise * per_unit.detach() * torch.randn_like(normalised)
        return step(normalised).flatten(1)


class OutputLayer(nn.Module):
    """Sums of the classes around their thresholds, (records, outputs), and the scale that makes them logits.

    A threshold is the mean of its class's sums less a learnt offset, as with batch normalisation; but the deviation
    that sums are divided by is the same for all classes.
    """

    norm: nn.BatchNorm1d

    def __init__(self, spec: DenseSpec, weights: Weights) -> None:
        super().__init__()
        self.sums = WeightedSums(spec, weights)
        self.norm = nn.BatchNorm1d(spec.outputs, affine=False)
        self.log_scale = nn.Parameter(torch.tensor(math.log(2)))
        self.offsets = nn.Parameter(torch.zeros(spec.outputs))

    def thresholds(self, mean: Tensor, deviation: Tensor) -> Tensor:
        """Integers, (outputs,), for the statistics of the sums."""
        return rounded(mean - self.offsets * deviation / self.log_scale.exp())

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Running means, (outputs,), and the deviation that all outputs share."""
        assert self.norm.running_mean is not None
        assert self.norm.running_var is not None
        return self.norm.running_mean, (self.norm.running_var.mean() + self.norm.eps).sqrt()

    def forward(self, bits: Tensor) -> tuple[Tensor, Tensor]:
        """Sums around their thresholds, integers, and their logits."""
        sums = self.sums(bits)
        if self.training:
            self.norm(sums)  # for its running statistics
            mean, deviation = sums.mean(dim=0), (sums.var(dim=0, correction=0).mean() + self.norm.eps).sqrt()
        else:
            mean, deviation = self.statistics()
        around = sums - self.thresholds(mean, deviation)
        return around, self.log_scale.exp() * around / deviation


class BinaryNetwork(nn.Module):
    """Hidden layers and an output layer, from the layer specs of a bundle and how fine each layer's weights are."""

    def __init__(self, specs: Sequence[DenseSpec | ConvolutionSpec], weights: Sequence[Weights]) -> None:
        super().__init__()
        *before, last = zip(specs, weights, strict=True)
        self.hidden = nn.ModuleList(HiddenLayer(spec, fine) for spec, fine in before)
        assert isinstance(last[0], DenseSpec)
        self.output = OutputLayer(last[0], last[1])

    @property
    def hidden_layers(self) -> list[HiddenLayer]:
        return [layer for layer in self.hidden if isinstance(layer, HiddenLayer)]

    def forward(self, bits: Tensor) -> Tensor:
        """Logits, (records, 1 or classes), of float bits (records, inputs)."""
        logits: Tensor = self.output(self.hidden_bits(bits))[1]
        return logits

    def class_sums(self, bits: Tensor) -> Tensor:
        """Sums of the last layer around their thresholds, (records, 1 or classes), integers in evaluation mode."""
        around: Tensor = self.output(self.hidden_bits(bits))[0]
        return around

    def hidden_bits(self, bits: Tensor) -> Tensor:
        """What the last layer takes, (records, inputs)."""
        for layer in self.hidden:
            bits = layer(bits)
        return bits

    @property
    def device(self) -> torch.device:
        """Where its parameters are."""
        return self.output.log_scale.device

    @property
    def logit_unit(self) -> float:
        """How much of the last layer's sums is one logit in evaluation mode."""
        _, deviation = self.output.statistics()
        return float(deviation / self.output.log_scale.detach().exp())

    @property
    def layers(self) -> list[WeightedSums]:
        return [*(layer.sums for layer in self.hidden_layers), self.output.sums]

    def clip(self) -> None:
        """Keep all latent weights in [-1, 1]."""
        for layer in self.layers:
            layer.clip()

    @torch.no_grad()
    def export(self, head: Head | None = None) -> Network:
        """The integer network that decides as this one does in evaluation mode, with ``head`` or its usual one."""
        layers: list[Layer] = []
        for layer in self.hidden_layers:
            layers.append(layer.sums.spec.layer(*fold(layer.sums.integers(), layer.norm)))
        weights, thresholds = self.output.sums.integers(), self.output.thresholds(*self.output.statistics())
        spec = self.output.sums.spec
        layers.append(spec.layer(weights.to(torch.int64).numpy(), thresholds.to(torch.int64).numpy()))
        return Network(tuple(layers), head)

"""Training of a binary network in torch, and its exact conversion to integers. A method to read in one sitting.

A layer is y = [BN(W x) >= 0] with x, y in {0,1} and W in {-1,+1} (binary) or {-1,0,+1} (ternary). Forward, W is the
sign of real latent weights; backward, the gradient passes straight through the sign (Courbariaux et al. 2016; thesis
8.3.2). Latent weights are kept in [-1, 1]. Two running means are taken: of the latent weights, whose signs are the
binary weights, and of the binarised ones; where the latter is near zero a weight's sign was never settled, and the
ternary network drops it (thesis 8.4.3 drops the weights that matter least). With the weights fixed, batch
normalisation is fitted once more, and then folded: T is the first integer sum for which torch itself says 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from epaas_models.folding import fold
from epaas_shared.layers import DenseLayer
from epaas_shared.network import Network
from epaas_shared.schema import Bits

Weights = Literal["binary", "ternary"]


@dataclass(frozen=True)
class BnnConfiguration:
    """``hidden``: widths between the input and the one output neuron; none is the thesis's 90 -> 1 for Cancer."""

    hidden: tuple[int, ...] = ()
    weights: Weights = "ternary"
    steps: int = 600
    learning_rate: float = 0.02
    averaging: float = 0.99
    """Decay of the running means."""
    settled: float = 0.5
    """Ternary: a weight stays if the running mean of its sign is beyond this."""
    refit_steps: int = 200
    refit_learning_rate: float = 0.05


class _Step(torch.autograd.Function):
    """[z >= 0] forward; backward the gradient of a hard tanh, which vanishes outside [-1, 1]."""

    @staticmethod
    def forward(context: Any, z: Tensor) -> Tensor:
        context.save_for_backward(z)
        return (z >= 0).to(z.dtype)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        (z,) = context.saved_tensors
        passed: Tensor = gradient * (z.abs() <= 1)
        return passed


def train(
    bits: Bits, labels: NDArray[np.int64], configuration: BnnConfiguration, seed: int, progress: Callable[[int], None]
) -> Network:
    """The integer network learnt from ``bits`` (rows, inputs) and ``labels`` (rows,) in {0, 1}.

    Full batch, deterministic given ``seed``.

    ``progress`` is called with each step's number.
    """
    torch.set_num_threads(1)  # the matrices are small: more threads would only wait for one another
    inputs = torch.tensor(bits, dtype=torch.float32)
    targets = torch.tensor(labels, dtype=torch.float32)
    widths = (inputs.shape[1], *configuration.hidden, 1)
    generator = torch.Generator().manual_seed(seed)
    latents = [((torch.rand(p, d, generator=generator) * 2 - 1) * 0.1).requires_grad_() for d, p in pairwise(widths)]
    norms = [nn.BatchNorm1d(width) for width in widths[1:]]
    parameters = [*latents, *(parameter for norm in norms for parameter in norm.parameters())]
    optimiser = torch.optim.Adam(parameters, lr=configuration.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, configuration.steps)
    mean_latents = [latent.detach().clone() for latent in latents]
    mean_signs = [_sign(latent.detach()) for latent in latents]
    for step in range(configuration.steps):
        signs = [_sign(latent.detach()) for latent in latents]
        straight_through = [latent + (sign - latent).detach() for latent, sign in zip(latents, signs, strict=True)]
        loss = binary_cross_entropy_with_logits(_logits(inputs, straight_through, norms), targets)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        with torch.no_grad():
            for latent, sign, mean_latent, mean_sign in zip(latents, signs, mean_latents, mean_signs, strict=True):
                latent.clamp_(-1, 1)
                mean_latent.lerp_(latent, 1 - configuration.averaging)
                mean_sign.lerp_(sign, 1 - configuration.averaging)
        progress(step)
    if configuration.weights == "binary":
        weights = [_sign(mean) for mean in mean_latents]
    else:
        weights = [torch.sign(mean) * (mean.abs() > configuration.settled) for mean in mean_signs]
    norms = _refit(inputs, targets, weights, configuration)
    return Network(tuple(DenseLayer(*fold(weight, norm)) for weight, norm in zip(weights, norms, strict=True)))


def _sign(latent: Tensor) -> Tensor:
    return torch.where(latent >= 0, 1.0, -1.0)


def _logits(inputs: Tensor, weights: list[Tensor], norms: list[nn.BatchNorm1d]) -> Tensor:
    """Pre-activation of the output neuron, shape (rows,)."""
    for weight, norm in zip(weights[:-1], norms[:-1], strict=True):
        inputs = _Step.apply(norm(inputs @ weight.T))  # type: ignore[no-untyped-call]
    output: Tensor = norms[-1](inputs @ weights[-1].T)[:, 0]
    return output


def _refit(
    inputs: Tensor, targets: Tensor, weights: list[Tensor], configuration: BnnConfiguration
) -> list[nn.BatchNorm1d]:
    """Batch normalisation fitted to the final weights, so that its statistics are those of the exported sums."""
    norms = [nn.BatchNorm1d(len(weight), momentum=1.0) for weight in weights]
    optimiser = torch.optim.Adam([p for norm in norms for p in norm.parameters()], lr=configuration.refit_learning_rate)
    for _ in range(configuration.refit_steps):
        loss = binary_cross_entropy_with_logits(_logits(inputs, weights, norms), targets)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return norms

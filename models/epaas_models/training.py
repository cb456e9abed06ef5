"""Training of a binary network from examples: its loss, its schedule, and the norms at its end.

Knows neither tasks nor how a descent is repeated and resumed (:mod:`epaas_models.descent`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.parametrize import remove_parametrizations

from epaas_models.binary_network import BinaryNetwork, HiddenLayer, OutputLayer
from epaas_models.descent import Loss, Progress, descend, steps_per_epoch
from epaas_models.objective import Examples, Objective
from epaas_models.stable_rank import parametrisation as stable_rank
from epaas_models.training_configuration import TrainingConfiguration
from epaas_shared.features import Bits

_WARM_UP_STEPS = 200
_NORM_BATCH = 1000


Observe = Callable[[int, float, BinaryNetwork], None]
"""Gets after each epoch how many are done, its mean loss, and the network in evaluation mode."""


def unobserved(_epochs: int, _loss: float, _network: BinaryNetwork) -> None:
    """Nobody looks."""


class ExampleSource(Protocol):
    """Gives the examples of an epoch: always the same, or others each time (augmentation)."""

    def __len__(self) -> int: ...
    def epoch(self, number: int) -> Examples: ...


@dataclass(frozen=True)
class FixedExamples:
    """The same examples in every epoch."""

    examples: Examples

    def __len__(self) -> int:
        return len(self.examples.labels)

    def epoch(self, number: int) -> Examples:  # noqa: ARG002
        return self.examples


def train(
    network: BinaryNetwork,
    source: ExampleSource,
    configuration: TrainingConfiguration,
    seed: int,
    progress: Progress = lambda _done, _total: None,
    checkpoint: Path | None = None,
    observe: Observe = unobserved,
) -> None:
    """Train in place, then fit the running statistics of the norms to the final weights.

    With ``checkpoint`` the state is written there after every epoch, and a run that finds one goes on from it. Leaves
    the network in evaluation mode.
    """
    if configuration.stable_rank is not None:
        for layer in network.layers:
            stable_rank.register(layer, "latent", configuration.stable_rank, spectral_norm=None)
    objective = Objective(network, configuration)
    optimiser = torch.optim.Adam(
        [*network.parameters(), *objective.auxiliary_parameters], lr=configuration.learning_rate
    )
    total = steps_per_epoch(len(source), configuration.batch_size) * configuration.epochs
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda done: _rate(done, total))
    for hidden, noise, limit in zip(network.hidden_layers, *_padded(configuration, len(network.hidden)), strict=True):
        hidden.noise, hidden.limit = noise, limit or None
    losses: list[Tensor] = []

    def begin_epoch(epoch: int) -> Loss:
        _set_threshold(network, configuration, epoch)
        examples = source.epoch(epoch)
        losses.clear()

        def loss_of(chosen: NDArray[np.int64]) -> Tensor:
            loss = objective.loss(examples, chosen, epoch / configuration.epochs)
            losses.append(loss.detach())
            return loss

        return loss_of

    def after_step() -> None:
        network.clip()
        objective.after_step()

    def after_epoch(epoch: int) -> bool:
        observe(epoch + 1, float(torch.stack(losses).mean()), network.eval())
        return False

    descend(
        network,
        optimiser,
        schedule,
        begin_epoch,
        rows=len(source),
        batch_size=configuration.batch_size,
        epochs=configuration.epochs,
        seed=seed,
        after_step=after_step,
        after_epoch=after_epoch,
        progress=progress,
        checkpoint=checkpoint,
        parts=objective.parts,
    )
    if configuration.stable_rank is not None:
        _keep_normalised(network)
    _set_threshold(network, configuration, configuration.epochs)
    fit_norms(network, source.epoch(0).bits)


def _keep_normalised(network: BinaryNetwork) -> None:
    """Latent weights become what normalising made of them, free again."""
    stable_rank.settle(network.eval())
    for layer in network.layers:
        remove_parametrizations(layer, "latent")


@torch.no_grad()
def fit_norms(network: BinaryNetwork, bits: Bits) -> None:
    """Running statistics of the norms as those over all of ``bits``; leaves the network in evaluation mode.

    Layer by layer, since what a layer sees follows from the norms before it.
    """
    network.eval()
    device = network.device
    starts = range(0, max(1, len(bits) - 1), _NORM_BATCH)  # a last row by itself is left out: it has no variance
    parts = [bits[at : at + _NORM_BATCH] for at in starts]
    layers: list[HiddenLayer | OutputLayer] = [*network.hidden_layers, network.output]
    for layer in layers:
        outputs = []
        layer.norm.reset_running_stats()
        layer.norm.momentum = None  # plain means over the batches
        layer.norm.train()
        for part in parts:
            layer.norm(layer.sums(torch.from_numpy(part).float().to(device)))
        layer.norm.eval()
        if isinstance(layer, HiddenLayer):
            outputs = [layer(torch.from_numpy(part).float().to(device)).to(torch.uint8).cpu().numpy() for part in parts]
        parts = outputs


def _rate(done: int, total: int) -> float:
    """The share of the learning rate at a step: a short rise, then half a cosine down to zero."""
    rise = min(_WARM_UP_STEPS, max(1, total // 10))
    return min(1.0, (done + 1) / rise) * 0.5 * (1 + math.cos(math.pi * min(1.0, done / max(1, total))))


def _padded(configuration: TrainingConfiguration, layers: int) -> tuple[list[float], list[float]]:
    noise, limits = configuration.noise, configuration.limits
    return [*noise, *[0.0] * layers][:layers], [*limits, *[0.0] * layers][:layers]


def _set_threshold(network: BinaryNetwork, configuration: TrainingConfiguration, epoch: int) -> None:
    """Of ternary weights, on a line over the first half of the epochs."""
    begin, end = configuration.ternary_threshold
    share = min(1.0, 2 * epoch / max(1, configuration.epochs))
    for layer in network.layers:
        layer.threshold = begin + (end - begin) * share

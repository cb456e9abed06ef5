"""Training of a binary network from examples: its loss, its schedule, and the norms at its end.

Knows neither tasks nor how a descent is repeated and resumed (:mod:`epaas_models.descent`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.parametrize import remove_parametrizations

from epaas_models.binary_network import BinaryNetwork, HiddenLayer, OutputLayer
from epaas_models.descent import Loss, Progress, descend, steps_per_epoch
from epaas_models.losses import CrossEntropy, LossConfiguration
from epaas_models.low_rank.layer import LowRankLayer
from epaas_models.stable_rank import parametrisation as stable_rank
from epaas_shared.features import Bits

_WARM_UP_STEPS = 200
_NORM_BATCH = 1000


class LowRankRegulariser(BaseModel):
    """A low-rank layer on the bits before the last layer, divided by the root of their number (thesis 6.3)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rank: int = Field(ge=1)
    weight: float = Field(default=1.0, gt=0)
    """Of the penalty beside the loss."""


class TrainingConfiguration(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: int = Field(ge=0)
    batch_size: int = Field(default=128, ge=2)
    learning_rate: float = Field(default=0.002, gt=0)
    """Of Adam, after a short warm-up; falls to zero along a cosine."""
    distillation: float = Field(default=0.0, ge=0, le=1)
    """Share of the loss that is the distance from the teacher's softened predictions (Hinton et al. 2015)."""
    distillation_temperature: float = Field(default=2.0, gt=0)
    noise: tuple[float, ...] = ()
    """Standard deviation of the error of each hidden layer's sums; none where nothing is given."""
    limits: tuple[float, ...] = ()
    """How far the sums of each hidden layer should stay from their thresholds, 0 for any distance."""
    limit_penalty: float = Field(default=1.0, ge=0)
    loss: LossConfiguration = CrossEntropy()
    """Of the labels; a teacher's share is beside it."""
    stable_rank: float | None = Field(default=None, gt=0, lt=1)
    """Stable rank of each layer's latent weights while training, as a share of the greatest (thesis, Algorithm 5).

    Their spectral norm stays, since only signs and thresholds become weights.
    """
    low_rank: LowRankRegulariser | None = None
    ternary_threshold: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.5, 0.5)
    """Magnitude up to which a latent ternary weight counts as 0: in the first epoch, and from the middle one on."""


@dataclass(frozen=True)
class Examples:
    """``bits`` (n, inputs), ``labels`` (n,), and what a teacher says of them: logits (n, classes)."""

    bits: Bits
    labels: NDArray[np.int64]
    teacher: NDArray[np.float32] | None = None


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
) -> None:
    """Train in place, then fit the running statistics of the norms to the final weights.

    With ``checkpoint`` the state is written there after every epoch, and a run that finds one goes on from it. Leaves
    the network in evaluation mode.
    """
    if configuration.stable_rank is not None:
        for layer in network.layers:
            stable_rank.register(layer, "latent", configuration.stable_rank, spectral_norm=None)
    virtual = _low_rank_layer(network, configuration)
    optimiser = torch.optim.Adam(
        [*network.parameters(), *(virtual.parameters() if virtual else ())], lr=configuration.learning_rate
    )
    total = steps_per_epoch(len(source), configuration.batch_size) * configuration.epochs
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda done: _rate(done, total))
    for hidden, noise, limit in zip(network.hidden_layers, *_padded(configuration, len(network.hidden)), strict=True):
        hidden.noise, hidden.limit = noise, limit or None

    def begin_epoch(epoch: int) -> Loss:
        _set_threshold(network, configuration, epoch)
        examples = source.epoch(epoch)
        return lambda chosen: _loss(network, examples, chosen, configuration, epoch, virtual)

    def after_step() -> None:
        network.clip()
        if virtual:
            virtual.after_step()

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
        progress=progress,
        checkpoint=checkpoint,
        parts={"low_rank": virtual} if virtual else None,
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


def _low_rank_layer(network: BinaryNetwork, configuration: TrainingConfiguration) -> LowRankLayer | None:
    if configuration.low_rank is None:
        return None
    inputs = network.output.sums.spec.inputs
    return LowRankLayer(inputs, min(configuration.low_rank.rank, inputs))


def _loss(
    network: BinaryNetwork,
    examples: Examples,
    chosen: NDArray[np.int64],
    configuration: TrainingConfiguration,
    epoch: int = 0,
    virtual: LowRankLayer | None = None,
) -> Tensor:
    hidden = network.hidden_bits(torch.from_numpy(examples.bits[chosen]).float())
    logits = class_logits(network.output(hidden)[1])
    loss = configuration.loss(logits, torch.from_numpy(examples.labels[chosen]), epoch / configuration.epochs)
    if configuration.distillation and examples.teacher is not None:
        heat = configuration.distillation_temperature
        taught = functional.log_softmax(torch.from_numpy(examples.teacher[chosen]) / heat, dim=1)
        distance = functional.kl_div(
            functional.log_softmax(logits / heat, dim=1), taught, reduction="batchmean", log_target=True
        )
        loss = (1 - configuration.distillation) * loss + configuration.distillation * heat**2 * distance
    for layer in network.hidden_layers:
        if layer.limit:
            loss = loss + configuration.limit_penalty * layer.excess
    if virtual is not None and configuration.low_rank is not None:
        loss = loss + configuration.low_rank.weight * virtual.penalty(hidden / hidden.shape[1] ** 0.5)
    return loss


def class_logits(outputs: Tensor) -> Tensor:
    """Logits a class, (records, classes): a single output is the logit of the second of two."""
    if outputs.shape[1] > 1:
        return outputs
    return functional.pad(outputs, (1, 0))


@torch.no_grad()
def fit_norms(network: BinaryNetwork, bits: Bits) -> None:
    """Running statistics of the norms as those over all of ``bits``; leaves the network in evaluation mode.

    Layer by layer, since what a layer sees follows from the norms before it.
    """
    network.eval()
    starts = range(0, max(1, len(bits) - 1), _NORM_BATCH)  # a last row by itself is left out: it has no variance
    parts = [bits[at : at + _NORM_BATCH] for at in starts]
    layers: list[HiddenLayer | OutputLayer] = [*network.hidden_layers, network.output]
    for layer in layers:
        outputs = []
        layer.norm.reset_running_stats()
        layer.norm.momentum = None  # plain means over the batches
        layer.norm.train()
        for part in parts:
            layer.norm(layer.sums(torch.from_numpy(part).float()))
        layer.norm.eval()
        if isinstance(layer, HiddenLayer):
            outputs = [layer(torch.from_numpy(part).float()).to(torch.uint8).numpy() for part in parts]
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

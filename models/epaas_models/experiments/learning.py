"""Training of a float network in an experiment: the optimiser's recipe and what an epoch's batches are taken from.

What makes the thesis's methods (a loss, an attack on the batch, a penalty) is an :data:`Objective` that the caller
gives; a parametrisation of the weights is in the network already. Knows no data sets and no methods.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from epaas_models.descent import Stateful, descend, steps_per_epoch
from epaas_models.experiments.experiment import RunContext

Objective: TypeAlias = Callable[[nn.Module, Tensor, Tensor, int], Tensor]
"""From the network, inputs, labels and the number of the epoch to a scalar loss."""

Augment: TypeAlias = Callable[[Tensor], Tensor]
"""Another variant of a batch of inputs."""


class LearningConfiguration(BaseModel):
    """Appendix B's recipes have these entries."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: int = Field(ge=1)
    batch_size: int = Field(default=128, ge=2)
    optimiser: Literal["sgd", "adam"] = "sgd"
    learning_rate: float = Field(default=0.1, gt=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    weight_decay: float = Field(default=5e-4, ge=0)
    milestones: tuple[int, ...] = ()
    """Epochs at which the learning rate becomes ``decay`` times what it was."""
    decay: float = Field(default=0.1, gt=0)
    clip_norm: float | None = Field(default=None, gt=0)
    """Greatest norm of the whole gradient."""
    summed_loss: bool = False
    """Whether a batch's mean loss is multiplied by its size, as chapter 7's code does: clipping then binds."""


def learn(
    network: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    configuration: LearningConfiguration,
    objective: Objective,
    seed: int,
    context: RunContext,
    *,
    augment: Augment | None = None,
    after_step: Callable[[], None] = lambda: None,
    after_epoch: Callable[[int, nn.Module], bool] = lambda _epoch, _network: False,
    parts: Mapping[str, Stateful] | None = None,
) -> None:
    """Train in place on (rows, ...) inputs and (rows,) labels; the network is left in evaluation mode.

    ``after_epoch`` gets the epoch's number and the network in evaluation mode, and says whether to stop. What it keeps
    from epoch to epoch belongs into ``parts``, so that it survives an interruption.
    """
    parameters = list(network.parameters())
    if configuration.optimiser == "sgd":
        optimiser: torch.optim.Optimizer = torch.optim.SGD(
            parameters,
            lr=configuration.learning_rate,
            momentum=configuration.momentum,
            weight_decay=configuration.weight_decay,
        )
    else:
        optimiser = torch.optim.Adam(
            parameters, lr=configuration.learning_rate, weight_decay=configuration.weight_decay
        )
    steps = steps_per_epoch(len(labels), configuration.batch_size)
    schedule = torch.optim.lr_scheduler.MultiStepLR(
        optimiser, [epoch * steps for epoch in configuration.milestones], configuration.decay
    )
    if (norm := configuration.clip_norm) is not None:

        def clip(*_hooked: object) -> None:
            nn.utils.clip_grad_norm_(parameters, norm)

        optimiser.register_step_pre_hook(clip)
    network.to(context.device)
    inputs, labels = inputs.to(context.device), labels.to(context.device)

    def begin_epoch(epoch: int) -> Callable[[NDArray[np.int64]], Tensor]:
        def loss_of(chosen: NDArray[np.int64]) -> Tensor:
            rows = torch.from_numpy(chosen).to(context.device)
            batch = inputs[rows] if augment is None else augment(inputs[rows])
            loss = objective(network, batch, labels[rows], epoch)
            return loss * len(rows) if configuration.summed_loss else loss

        return loss_of

    def ended(epoch: int) -> bool:
        network.eval()
        return after_epoch(epoch, network)

    descend(
        network,
        optimiser,
        schedule,
        begin_epoch,
        rows=len(labels),
        batch_size=configuration.batch_size,
        epochs=configuration.epochs,
        seed=seed,
        after_step=after_step,
        after_epoch=ended,
        progress=context.progress,
        checkpoint=context.checkpoint,
        parts=parts,
    )
    network.eval()


@torch.no_grad()
def outputs_of(network: nn.Module, inputs: Tensor, *, batch: int = 1000, device: str = "cpu") -> Tensor:
    """Outputs (rows, ...) of a network in evaluation mode, on the processor."""
    network.eval()
    return torch.cat([network(part.to(device)).cpu() for part in torch.split(inputs, batch)])


def share_right(network: nn.Module, inputs: Tensor, labels: Tensor, *, device: str = "cpu") -> float:
    """Share of rows (rows, ...) whose greatest output is that of their label."""
    return float((outputs_of(network, inputs, device=device).argmax(dim=1) == labels).float().mean())

"""Projected gradient descent (Madry et al. 2018; thesis 3.2.2) on float networks, and the error that it leaves.

Small and free of other libraries, because adversarial training runs it on every batch, on whichever device. Reports of
models have :mod:`epaas_models.reliability.robustness` and its stronger attacks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional


class Threat(BaseModel):
    """How far an attack may go from a row, and how it gets there. Lengths are in units of the inputs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    budget: float = Field(ge=0)
    """The radius of the ball around a row (epsilon)."""
    step: float = Field(gt=0)
    steps: int = Field(ge=1)
    norm: Literal["linf", "l2"] = "linf"
    random_start: bool = True
    low: float | None = 0.0
    high: float | None = 1.0
    """Ends of the box that inputs are in; None where there is no end."""


def pgd(
    network: nn.Module, inputs: Tensor, labels: Tensor, threat: Threat, generator: torch.Generator | None = None
) -> Tensor:
    """Inputs (rows, ...) moved within the threat so that the cross-entropy of their ``labels`` (rows,) is great.

    ``generator``, one of the processor's, draws the starts; None is torch's own. Parameters get no gradients.
    """
    start = inputs
    if threat.random_start and threat.norm == "linf":
        start = inputs + threat.budget * (2 * torch.rand(inputs.shape, generator=generator) - 1).to(inputs.device)
    elif threat.random_start:
        start = inputs + _in_ball(inputs.shape, threat.budget, generator).to(inputs.device)
    return ascend(
        lambda moved: functional.cross_entropy(network(moved), labels, reduction="sum"), inputs, start, threat
    )


def ascend(loss: Callable[[Tensor], Tensor], inputs: Tensor, start: Tensor, threat: Threat) -> Tensor:
    """Steps up the gradient of ``loss``, a sum over rows, from ``start``, each brought back into the threat.

    A step follows the sign of the gradient under linf and its direction under l2.
    """
    moved = project(start, inputs, threat)
    for _ in range(threat.steps):
        moved = moved.detach().requires_grad_()
        (slope,) = torch.autograd.grad(loss(moved), moved)
        direction = slope.sign() if threat.norm == "linf" else slope / _norms(slope).clamp(min=1e-12)
        moved = project(moved.detach() + threat.step * direction, inputs, threat)
    return moved.detach()


def project(moved: Tensor, inputs: Tensor, threat: Threat) -> Tensor:
    """Each row of ``moved`` brought into the ball around that of ``inputs``, then into the box."""
    change = moved - inputs
    if threat.norm == "linf":
        change = change.clamp(-threat.budget, threat.budget)
    else:
        change = change * (threat.budget / _norms(change).clamp(min=1e-12)).clamp(max=1)
    within = inputs + change
    return within if threat.low is None and threat.high is None else within.clamp(threat.low, threat.high)


def adversarial_errors(
    network: nn.Module, inputs: Tensor, labels: Tensor, threat: Threat, seed: int, *, batch: int = 500
) -> Tensor:
    """Whether the network errs on a row (rows,) or on what :func:`pgd` makes of it (Definition 17, from below).

    In evaluation mode, which the network is left in.
    """
    network.eval()
    generator = torch.Generator().manual_seed(seed)
    wrong = []
    for rows, true in zip(torch.split(inputs, batch), torch.split(labels, batch), strict=True):
        attacked = pgd(network, rows, true, threat, generator)
        with torch.no_grad():
            wrong.append((network(rows).argmax(dim=1) != true) | (network(attacked).argmax(dim=1) != true))
    return torch.cat(wrong).cpu()


def _norms(rows: Tensor) -> Tensor:
    """Euclidean norms of rows, shaped to divide them by."""
    lengths: Tensor = torch.linalg.vector_norm(rows.flatten(1), dim=1)
    return lengths.view(-1, *[1] * (rows.dim() - 1))


def _in_ball(shape: torch.Size, radius: float, generator: torch.Generator | None) -> Tensor:
    """Rows drawn uniformly from a Euclidean ball."""
    direction = torch.randn(shape, generator=generator)
    lengths = torch.rand(shape[0], generator=generator) ** (1 / shape[1:].numel())
    return radius * direction / _norms(direction) * lengths.view(-1, *[1] * (len(shape) - 1))

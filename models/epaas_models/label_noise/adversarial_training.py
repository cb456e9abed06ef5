"""Adversarial training and TRADES (thesis 3.2.3): objectives that attack every batch before they learn from it.

Both attack the network in evaluation mode, so that attacked rows leave no trace in running statistics, and learn in
the mode that it was in.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from epaas_models.experiments.learning import Objective
from epaas_models.label_noise.pgd import Threat, ascend, pgd

_START = 1e-3
"""Deviation of where TRADES begins: where nothing has moved, its divergence has no slope."""

Method = Literal["natural", "adversarial-training", "trades"]


def objective(method: Method, threat: Threat | None, tradeoff: float = 1 / 6) -> Objective:
    """The objective of a method; natural training needs no threat. Raises ValueError where the others have none."""
    if method == "natural":
        return natural
    if threat is None:
        raise ValueError(f"{method} trains against a threat")
    return adversarial_training(threat) if method == "adversarial-training" else trades(threat, tradeoff)


def natural(network: nn.Module, inputs: Tensor, labels: Tensor, _epoch: int) -> Tensor:
    """Mean cross-entropy."""
    return functional.cross_entropy(network(inputs), labels)


def adversarial_training(threat: Threat) -> Objective:
    """Mean cross-entropy of the rows that PGD made of a batch (Madry et al. 2018)."""

    def loss(network: nn.Module, inputs: Tensor, labels: Tensor, _epoch: int) -> Tensor:
        with evaluating(network):
            attacked = pgd(network, inputs, labels, threat)
        return functional.cross_entropy(network(attacked), labels)

    return loss


def trades(threat: Threat, tradeoff: float = 1 / 6) -> Objective:
    """Cross-entropy + KL(f(x) || f(x')) / ``tradeoff``, means over rows; x' is within the threat and far from f(x).

    Zhang et al. 2019, equation 9; ``tradeoff`` is their lambda, 1/6 in thesis 5.2.3.
    """

    def loss(network: nn.Module, inputs: Tensor, labels: Tensor, _epoch: int) -> Tensor:
        with evaluating(network):
            with torch.no_grad():
                clean = network(inputs)
            start = inputs + _START * torch.randn_like(inputs)
            attacked = ascend(lambda moved: divergence(clean, network(moved)), inputs, start, threat)
        logits = network(inputs)
        apart = divergence(logits, network(attacked)) / len(labels)
        return functional.cross_entropy(logits, labels) + apart / tradeoff

    return loss


def divergence(logits: Tensor, moved: Tensor) -> Tensor:
    """Sum over rows of the Kullback-Leibler divergence of softmax(``moved``) from softmax(``logits``), in nats."""
    return functional.kl_div(moved.log_softmax(dim=1), logits.log_softmax(dim=1), log_target=True, reduction="sum")


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """The network in evaluation mode inside, in the mode that it was in afterwards."""
    mode = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(mode)

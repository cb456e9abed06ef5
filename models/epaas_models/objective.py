"""What a binary network is trained to make small, on a batch: its loss, its teacher's, and the regularisers' penalties.

Knows no epochs and no optimiser.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from epaas_models.binary_network import BinaryNetwork
from epaas_models.descent import Stateful
from epaas_models.low_rank.layer import LowRankLayer
from epaas_models.training_configuration import AdversarialBits, TrainingConfiguration
from epaas_shared.features import Bits


@dataclass(frozen=True)
class Examples:
    """``bits`` (n, inputs), ``labels`` (n,), and what a teacher says of them: logits (n, classes)."""

    bits: Bits
    labels: NDArray[np.int64]
    teacher: NDArray[np.float32] | None = None


class Objective:
    """The loss of batches of one network's training, and the low-rank layer's own parameters where there is one."""

    def __init__(self, network: BinaryNetwork, configuration: TrainingConfiguration) -> None:
        self._network = network
        self._configuration = configuration
        self._virtual: LowRankLayer | None = None
        if configuration.low_rank is not None:
            inputs = network.output.sums.spec.inputs
            self._virtual = LowRankLayer(inputs, min(configuration.low_rank.rank, inputs)).to(network.device)

    @property
    def auxiliary_parameters(self) -> list[nn.Parameter]:
        """What is trained beside the network."""
        return list(self._virtual.parameters()) if self._virtual else []

    @property
    def parts(self) -> Mapping[str, Stateful]:
        """What a checkpoint must hold beside the network."""
        return {"low_rank": self._virtual} if self._virtual else {}

    def after_step(self) -> None:
        if self._virtual:
            self._virtual.after_step()

    def loss(self, examples: Examples, chosen: NDArray[np.int64], share: float) -> Tensor:
        """Of the ``chosen`` rows, a scalar; ``share`` in [0, 1] is how much of training is done."""
        device = self._network.device
        bits = torch.from_numpy(examples.bits[chosen]).float().to(device)
        labels = torch.from_numpy(examples.labels[chosen]).to(device)
        teacher = None if examples.teacher is None else torch.from_numpy(examples.teacher[chosen]).to(device)
        if self._configuration.adversarial is not None:
            bits = self._flipped(bits, labels, self._configuration.adversarial)
        hidden = self._network.hidden_bits(bits)
        logits = class_logits(self._network.output(hidden)[1])
        penalty = self._penalty(hidden)
        if self._configuration.trimmed:
            kept = _easiest(logits, labels, self._configuration.trimmed * min(1.0, 10 * share))
            logits, labels, teacher = logits[kept], labels[kept], None if teacher is None else teacher[kept]
        loss = self._configuration.loss(logits, labels, share)
        if self._configuration.distillation and teacher is not None:
            taught = _distance(logits, teacher, self._configuration.distillation_temperature)
            loss = (1 - self._configuration.distillation) * loss + self._configuration.distillation * taught
        return loss + penalty

    def _penalty(self, hidden: Tensor) -> Tensor:
        """Of sums beyond their limits, and of hidden bits (records, inputs) beyond few directions."""
        penalty = torch.zeros((), device=hidden.device)
        for layer in self._network.hidden_layers:
            if layer.limit:
                penalty = penalty + self._configuration.limit_penalty * layer.excess
        if self._virtual is not None and self._configuration.low_rank is not None:
            scaled = hidden / hidden.shape[1] ** 0.5
            penalty = penalty + self._configuration.low_rank.weight * self._virtual.penalty(scaled)
        return penalty

    def _flipped(self, bits: Tensor, labels: Tensor, attack: AdversarialBits) -> Tensor:
        """The batch with its first rows attacked: in evaluation mode, so that statistics are of what is trained on."""
        rows = max(1, round(attack.share * len(bits)))
        self._network.eval()
        changed = bits[:rows].clone().requires_grad_()
        loss = functional.cross_entropy(class_logits(self._network(changed)), labels[:rows])
        (slope,) = torch.autograd.grad(loss, changed)
        self._network.train()
        promised = slope * (1 - 2 * bits[:rows])
        gains, places = promised.topk(min(attack.bits, bits.shape[1]), dim=1)
        flips = torch.zeros_like(promised).scatter_(1, places, (gains > 0).float())
        return torch.cat([(bits[:rows] - flips).abs(), bits[rows:]])


def class_logits(outputs: Tensor) -> Tensor:
    """Logits a class, (records, classes): a single output is the logit of the second of two."""
    if outputs.shape[1] > 1:
        return outputs
    return functional.pad(outputs, (1, 0))


def _distance(logits: Tensor, teacher: Tensor, heat: float) -> Tensor:
    """From a teacher's softened predictions (Hinton et al. 2015)."""
    distance = functional.kl_div(
        functional.log_softmax(logits / heat, dim=1),
        functional.log_softmax(teacher / heat, dim=1),
        reduction="batchmean",
        log_target=True,
    )
    return heat**2 * distance


def _easiest(logits: Tensor, labels: Tensor, trimmed: float) -> Tensor:
    """Rows, in their order, without the share whose cross-entropy is largest."""
    losses = functional.cross_entropy(logits.detach(), labels, reduction="none")
    kept = len(labels) - int(trimmed * len(labels))
    return losses.argsort(stable=True)[:kept].sort().values

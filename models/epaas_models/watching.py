"""What is seen of a training while it goes on: each epoch's loss, and how right the network is on held-out rows."""

from __future__ import annotations

from collections.abc import Callable

import torch
from pydantic import BaseModel, ConfigDict
from torch.nn import functional

from epaas_models.binary_network import BinaryNetwork
from epaas_models.configuration import BinaryNetworkMethod, ModelConfiguration
from epaas_models.objective import class_logits
from epaas_models.reliability.evidence import Part

_BATCH = 1000


class EpochSeen(BaseModel):
    """One epoch of a training. What is measured is on validation rows, None where the configuration keeps none."""

    model_config = ConfigDict(frozen=True)

    epoch: int
    """How many are done."""
    epochs: int
    """Of how many."""
    loss: float
    """The mean of the batches of training."""
    validation_accuracy: float | None = None
    validation_nll: float | None = None
    """Mean negative log-likelihood of the true class, in nats."""


Watch = Callable[[EpochSeen], None]


class EpochWatch:
    """Measures a network after each epoch and tells a :data:`Watch`."""

    def __init__(self, configuration: ModelConfiguration, validation: Part, watch: Watch) -> None:
        method = configuration.method
        self._epochs = method.training.epochs if isinstance(method, BinaryNetworkMethod) else 0
        self._validation = validation
        self._watch = watch

    @torch.no_grad()
    def __call__(self, epochs: int, loss: float, network: BinaryNetwork) -> None:
        seen = EpochSeen(epoch=epochs, epochs=self._epochs, loss=loss)
        if len(self._validation.labels):
            bits = torch.from_numpy(self._validation.bits)
            logits = torch.cat(
                [class_logits(network(part.float().to(network.device))).cpu() for part in torch.split(bits, _BATCH)]
            )
            labels = torch.from_numpy(self._validation.labels)
            seen = seen.model_copy(
                update={
                    "validation_accuracy": float((logits.argmax(dim=1) == labels).float().mean()),
                    "validation_nll": float(functional.cross_entropy(logits, labels)),
                }
            )
        self._watch(seen)

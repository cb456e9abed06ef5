"""Networks of real numbers: the baseline that binary networks are compared with, and the teacher they learn from.

Small networks of rectified linear units, on what a record holds before it becomes bits where that is an image, else on
the same bits. Knows no tasks.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional

from epaas_models.descent import Progress

_BATCH = 1000


class FloatConfiguration(BaseModel):
    """Convolutions of 3 x 3, each as its filters and its stride, then dense layers; both may be none."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    convolutions: tuple[tuple[int, int], ...] = ()
    hidden: tuple[int, ...] = ()
    dropout: float = Field(default=0.2, ge=0, lt=1)
    epochs: int = Field(default=8, ge=1)
    batch_size: int = Field(default=256, ge=2)
    learning_rate: float = Field(default=0.004, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)


class FloatNetwork(nn.Module):
    """Inputs (n, height, width) of grey levels or (n, inputs) of bits, as they come, to logits (n, classes)."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, inputs: NDArray[Any], classes: int, configuration: FloatConfiguration) -> None:
        """``inputs`` are training examples, whose shape, mean and deviation the network takes on."""
        super().__init__()
        image = inputs.ndim == 3
        sample = inputs[:: max(1, len(inputs) // 5000)].astype(np.float32)
        axes = None if image else 0
        self.register_buffer("mean", torch.as_tensor(sample.mean(axis=axes)))
        self.register_buffer("deviation", torch.as_tensor(sample.std(axis=axes)) + 1e-3)
        layers: list[nn.Module] = []
        channels, (height, width) = 1, inputs.shape[1:] if image else (1, 1)
        for filters, stride in configuration.convolutions:
            layers += [nn.Conv2d(channels, filters, 3, stride, 1, bias=False), nn.BatchNorm2d(filters), nn.ReLU()]
            channels, height, width = filters, -(-height // stride), -(-width // stride)
        features = channels * height * width if image else inputs.shape[1]
        layers.append(nn.Flatten())
        for outputs in configuration.hidden:
            layers += [nn.Dropout(configuration.dropout), nn.Linear(features, outputs, bias=False)]
            layers += [nn.BatchNorm1d(outputs), nn.ReLU()]
            features = outputs
        layers += [nn.Dropout(configuration.dropout), nn.Linear(features, classes)]
        self.body = nn.Sequential(*layers)

    def forward(self, inputs: Tensor) -> Tensor:
        normalised = (inputs - self.mean) / self.deviation
        logits: Tensor = self.body(normalised[:, None] if inputs.ndim == 3 else normalised)
        return logits


class InputSource(Protocol):
    """Inputs and labels of an epoch: always the same, or others each time (augmentation)."""

    labels: NDArray[np.int64]

    @property
    def encoding(self) -> str | None:
        """Digest of the schema if the inputs are its bits; None for inputs that need none."""
        ...

    @property
    def inputs(self) -> NDArray[Any]:
        """As they are, (n, height, width) or (n, inputs)."""
        ...

    def epoch_inputs(self, number: int) -> NDArray[Any]: ...


def train_float(
    source: InputSource,
    classes: int,
    configuration: FloatConfiguration,
    seed: int,
    progress: Progress = lambda _done, _total: None,
) -> FloatNetwork:
    """A network trained with AdamW on one cycle of the learning rate; deterministic given ``seed``."""
    torch.manual_seed(seed)
    network = FloatNetwork(source.inputs, classes, configuration)
    steps = max(1, len(source.labels) // configuration.batch_size)
    total = steps * configuration.epochs
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=configuration.learning_rate, weight_decay=configuration.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, configuration.learning_rate, total_steps=total)
    labels = torch.from_numpy(source.labels)
    network.train()
    for epoch in range(configuration.epochs):
        inputs, order = source.epoch_inputs(epoch), torch.randperm(len(source.labels))
        for number in range(steps):
            chosen = order[number * configuration.batch_size : (number + 1) * configuration.batch_size]
            logits = network(torch.from_numpy(inputs[chosen.numpy()]).float())
            loss = functional.cross_entropy(logits, labels[chosen])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            progress(epoch * steps + number + 1, total)
    network.eval()
    return network


@torch.no_grad()
def logits_of(network: FloatNetwork, inputs: NDArray[Any]) -> NDArray[np.float32]:
    """Logits (n, classes)."""
    parts = [network(torch.from_numpy(inputs[at : at + _BATCH]).float()) for at in range(0, len(inputs), _BATCH)]
    logits: NDArray[np.float32] = torch.cat(parts).numpy()
    return logits

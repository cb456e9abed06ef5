"""Fine2Coarse against training on coarse classes (thesis 5.4.2, Figure 5.8), on pictures and in the plane."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import nn

from epaas_models.experiments.experiment import Measured, RunConfiguration, RunContext
from epaas_models.experiments.label_noise.networks import NetworkName, network_named, perceptron
from epaas_models.experiments.label_noise.noisy_training import error_at
from epaas_models.experiments.label_noise.pictures import Source, pictures
from epaas_models.experiments.learning import LearningConfiguration, learn, share_right
from epaas_models.experiments.picture_data import crop_and_mirror
from epaas_models.label_noise.adversarial_training import natural
from epaas_models.label_noise.fine_to_coarse import Aggregation, FineToCoarse
from epaas_models.label_noise.pgd import Threat, adversarial_errors
from epaas_models.label_noise.plane import decision_map, errors_within, parity_balls, predictor

Labels = Literal["coarse", "fine"]
"""What a network is trained on; both are tested on coarse classes."""


class PicturesFineToCoarse(RunConfiguration):
    """A network of pictures, tested clean and under attack on coarse classes."""

    source: Source
    rows: int | None = None
    tests: int | None = None
    coarse: tuple[int, ...] | None = None
    """The coarse class of each fine one; None is the data set's own."""
    trained_on: Labels
    aggregation: Aggregation
    network: NetworkName
    learning: LearningConfiguration
    augmented: bool = False
    attack: Threat
    budgets: tuple[float, ...]

    def run(self, seed: int, context: RunContext) -> Measured:
        data = pictures(self.source, context.data, self.rows, self.tests, seed)
        groups = self.coarse or data.coarse
        coarse = torch.tensor(groups)
        labels, test_labels = torch.from_numpy(data.labels), coarse[torch.from_numpy(data.test_labels)]
        if self.trained_on == "coarse":
            labels = coarse[labels]
        classes = int(labels.max()) + 1
        network = network_named(self.network, classes, *data.training.shape[1:3])
        augment = crop_and_mirror if self.augmented else None
        learn(network, data.training, labels, self.learning, natural, seed, context, augment=augment)
        if self.trained_on == "fine":
            network = FineToCoarse(network, groups, self.aggregation).to(context.device)
        tested, true = data.test.to(context.device), test_labels.to(context.device)
        measured = {"natural_error": 1 - share_right(network, data.test, test_labels, device=context.device)}
        for budget in self.budgets:
            threat = self.attack.model_copy(update={"budget": budget})
            measured[error_at(budget)] = float(adversarial_errors(network, tested, true, threat, seed).double().mean())
        return measured


class PlaneFineToCoarse(RunConfiguration):
    """A network on the parity balls of appendix D.1, trained on each row's class or on its ball."""

    balls: int = Field(ge=1)
    """Of either class."""
    radius: float = Field(gt=0)
    rows: int
    tests: int
    hidden: tuple[int, ...]
    trained_on: Labels
    learning: LearningConfiguration
    budgets: tuple[float, ...]
    """Euclidean."""

    def run(self, seed: int, context: RunContext) -> Measured:
        points, balls = parity_balls(self.rows, self.balls, self.radius, seed)
        tests, test_balls = parity_balls(self.tests, self.balls, self.radius, seed + 2**16)
        fine = self.trained_on == "fine"
        labels = torch.from_numpy(balls if fine else balls % 2)
        network: nn.Module = perceptron(2, self.hidden, 2 * self.balls if fine else 2)
        learn(network, torch.from_numpy(points), labels, self.learning, natural, seed, context)
        if fine:
            network = FineToCoarse(network, [ball % 2 for ball in range(2 * self.balls)], "max")
        predict = predictor(network)
        return {
            "train_error": float(np.mean(predict(points) != balls % 2)),
            "natural_error": float(np.mean(predict(tests) != test_balls % 2)),
            **{error_at(b): float(errors_within(predict, tests, test_balls % 2, b).mean()) for b in self.budgets},
            "decision_map": decision_map(predict, tests, 40),
        }

"""Decision boundaries of networks against those of the nearest neighbour (thesis 5.4.1, Figure 5.7)."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.neighbors import KNeighborsClassifier

from epaas_models.experiments.experiment import Measured, RunConfiguration, RunContext
from epaas_models.experiments.label_noise.networks import perceptron
from epaas_models.experiments.label_noise.noisy_training import error_at
from epaas_models.experiments.learning import LearningConfiguration, learn
from epaas_models.label_noise.adversarial_training import natural
from epaas_models.label_noise.plane import Predict, blobs, decision_map, errors_within, predictor


class Boundaries(RunConfiguration):
    """A network of some hidden layers, or the 1-nearest neighbour where there are none, on two classes of blobs."""

    hidden: tuple[int, ...] = ()
    side: int
    """Blobs are on a lattice of ``side`` x ``side``."""
    radius: float
    jitter: float
    rows: int
    tests: int
    learning: LearningConfiguration
    budgets: tuple[float, ...]
    """Euclidean."""

    def run(self, seed: int, context: RunContext) -> Measured:
        points, labels = blobs(self.rows + self.tests, self.side, self.radius, self.jitter, seed)
        trained, true, tests, test_true = (
            points[: self.rows],
            labels[: self.rows],
            points[self.rows :],
            labels[self.rows :],
        )
        predict: Predict
        if self.hidden:
            network = perceptron(2, self.hidden, 2)
            learn(
                network,
                torch.from_numpy(trained),
                torch.from_numpy(true),
                self.learning,
                natural,
                seed,
                context,
            )
            predict = predictor(network)
        else:
            predict = KNeighborsClassifier(n_neighbors=1).fit(trained, true).predict
        return {
            "train_error": float(np.mean(predict(trained) != true)),
            "natural_error": float(np.mean(predict(tests) != test_true)),
            **{error_at(b): float(errors_within(predict, tests, test_true, b).mean()) for b in self.budgets},
            "decision_map": decision_map(predict, tests, 40),
        }

"""Whom robust training leaves out: rows that can only be learnt by heart (thesis 5.2.3, Figure 5.5)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from epaas_models.experiments.experiment import Measured, RunConfiguration, RunContext
from epaas_models.experiments.label_noise.networks import NetworkName, network_named
from epaas_models.experiments.label_noise.pictures import Pictures, Source, pictures
from epaas_models.experiments.learning import LearningConfiguration, Objective, learn, outputs_of
from epaas_models.label_noise.adversarial_training import adversarial_training, natural, trades
from epaas_models.label_noise.memorisation import influence, self_influence, subsets
from epaas_models.label_noise.pgd import Threat

Right = NDArray[np.bool_]


class Memorisation(RunConfiguration):
    """Self-influence and influence, by natural training, of the rows that robustly trained networks get wrong."""

    source: Source
    rows: int
    tests: int
    network: NetworkName
    learning: LearningConfiguration
    threat: Threat
    trainings: int = Field(ge=4)
    """Natural trainings on random shares of the rows."""
    share: float = Field(default=0.7, gt=0, lt=1)
    """Of the rows in each of them; Feldman and Zhang's choice."""

    def run(self, seed: int, context: RunContext) -> Measured:
        data = pictures(self.source, context.data, self.rows, self.tests, seed)
        inside = subsets(self.rows, self.trainings, self.share, seed)
        right = np.empty((self.trainings, self.rows), dtype=np.bool_)
        test_right = np.empty((self.trainings, self.tests), dtype=np.bool_)
        for number, chosen in enumerate(inside):
            right[number], test_right[number] = self._fit(data, chosen, natural, number, seed, context)
        own = self_influence(inside, right)
        others = strongest_influence(inside, test_right, data.labels, data.test_labels)

        everything = np.ones(self.rows, dtype=np.bool_)
        fitted, tested = self._fit(data, everything, natural, self.trainings, seed, context)
        measured: dict[str, float | None] = {
            "natural_train_accuracy": float(fitted.mean()),
            "natural_test_accuracy": float(tested.mean()),
            "self_influence_of_all": _mean(own),
            "influence_on_all": _mean(others),
        }
        methods = {"adversarial_training": adversarial_training(self.threat), "trades": trades(self.threat)}
        for number, (name, objective) in enumerate(methods.items(), self.trainings + 1):
            kept, kept_tests = self._fit(data, everything, objective, number, seed, context)
            lost, lost_tests = fitted & ~kept, tested & ~kept_tests
            measured |= {
                f"{name}_train_accuracy": float(kept.mean()),
                f"{name}_test_accuracy": float(kept_tests.mean()),
                f"{name}_lost": int(lost.sum()),
                f"{name}_lost_tests": int(lost_tests.sum()),
                f"self_influence_lost_by_{name}": _mean(own[lost]),
                f"influence_lost_by_{name}": _mean(others[lost_tests]),
            }
        return measured

    def _fit(
        self, data: Pictures, chosen: Right, objective: Objective, number: int, seed: int, context: RunContext
    ) -> tuple[Right, Right]:
        """Train on chosen rows; whether all rows and all test rows are predicted rightly then."""
        torch.manual_seed(np.random.SeedSequence((seed, number)).generate_state(1)[0])
        network = network_named(self.network, data.classes, *data.training.shape[1:3])
        labels = torch.from_numpy(data.labels)
        kept = torch.from_numpy(chosen)
        apart = replace(
            context,
            checkpoint=context.checkpoint.with_name(f"{context.checkpoint.name}.{number}"),
            progress=lambda _done, _total: None,
        )
        learn(network, data.training[kept], labels[kept], self.learning, objective, seed, apart)
        context.progress(number + 1, self.trainings + 3)
        answers = [
            outputs_of(network, inputs, device=context.device).argmax(dim=1).numpy()
            for inputs in (data.training, data.test)
        ]
        return answers[0] == data.labels, answers[1] == data.test_labels


def strongest_influence(
    inside: Right, right: Right, labels: NDArray[np.int64], test_labels: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The influence on each test row (tests,) of the training row of its class that has the greatest.

    Which one that is, half of the trainings say; how great it is, the other half: the greatest of many estimates would
    be great by chance. Other arguments as in :func:`influence`.
    """
    half = len(inside) // 2
    guessed = np.nan_to_num(influence(inside[:half], right[:half]), nan=-np.inf)
    guessed[labels[:, None] != test_labels] = -np.inf
    measured = np.nan_to_num(influence(inside[half:], right[half:]))
    found: NDArray[np.float64] = measured[guessed.argmax(axis=0), np.arange(len(test_labels))]
    return found


def _mean(estimates: NDArray[np.float64]) -> float | None:
    """Of rows that there is an estimate of; None where there are none."""
    found = estimates[np.isfinite(estimates)]
    return float(found.mean()) if len(found) else None

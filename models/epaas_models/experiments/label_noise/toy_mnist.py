"""The experiment on toy-MNIST (thesis 5.2.1, 5.2.2): what a network makes of wrong labels, epoch by epoch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from torch import Tensor, nn

from epaas_models.experiments.experiment import Measured, RunConfiguration, RunContext
from epaas_models.experiments.label_noise.networks import perceptron
from epaas_models.experiments.label_noise.pictures import pictures
from epaas_models.experiments.learning import LearningConfiguration, learn, outputs_of
from epaas_models.label_noise.adversarial_training import natural
from epaas_models.label_noise.injection import NoisyLabels, flip
from epaas_models.label_noise.pgd import Threat, adversarial_errors, pgd
from epaas_models.label_noise.toy_mnist import toy_mnist
from epaas_models.networks import Classifier

_DRAWN = 30
"""Points of each kind in the data of Figure 5.3."""

_TEST_SEED = 2**16
"""Added to the seed of the training rows."""


class ToyMnist(RunConfiguration):
    """A network of four fully connected layers on two noisy pictures, a share ``noise`` of whose labels is flipped."""

    variance: float = Field(gt=0)
    noise: float = Field(ge=0, le=1)
    rows: int = 4000
    tests: int = 500
    hidden: tuple[int, ...] = (64, 64, 64)
    learning: LearningConfiguration
    attack: Threat
    early: int
    """After so many epochs the network is also attacked."""

    def run(self, seed: int, context: RunContext) -> Measured:
        pair = _pair(context, seed)
        rows, true = toy_mnist(pair, self.rows, self.variance, seed)
        noisy = flip(true, self.noise, 2, seed)
        inputs, labels = torch.from_numpy(rows), torch.from_numpy(noisy.labels)
        tests, test_labels = map(torch.from_numpy, toy_mnist(pair, self.tests, self.variance, seed + _TEST_SEED))
        network = perceptron(inputs.shape[1], self.hidden, 2)
        course = Course()

        def after_epoch(epoch: int, network: nn.Module) -> bool:
            right = (outputs_of(network, inputs).argmax(dim=1) == labels).numpy()
            course.add("train_error", np.mean(~right))
            course.add("true_labels_fitted", right[~noisy.wrong].mean())
            course.add("wrong_labels_fitted", right[noisy.wrong].mean() if noisy.wrong.any() else 0)
            course.add("natural_error", 1 - (outputs_of(network, tests).argmax(dim=1) == test_labels).numpy().mean())
            if epoch + 1 in (self.early, self.learning.epochs):
                wrong = adversarial_errors(network, tests, test_labels, self.attack, seed)
                course.add("adversarial_error", wrong.numpy().mean())
            return False

        parts = {"course": course}
        learn(network, inputs, labels, self.learning, natural, seed, context, after_epoch=after_epoch, parts=parts)
        attacked = pgd(network, tests, test_labels, self.attack, torch.Generator().manual_seed(seed))
        return {
            **{f"{name}_by_epoch": values for name, values in course.values.items() if name != "adversarial_error"},
            **{name: values[-1] for name, values in course.values.items()},
            **{f"{name}_early": course.values[name][self.early - 1] for name in ("natural_error", "train_error")},
            "adversarial_error_early": course.values["adversarial_error"][0],
            **around_attacked(network, inputs, noisy, attacked, test_labels),
        }


class Course:
    """Measures epoch by epoch, which survive an interruption."""

    def __init__(self) -> None:
        self.values: dict[str, list[float]] = {}

    def add(self, name: str, value: Any) -> None:
        self.values.setdefault(name, []).append(float(value))

    def state_dict(self) -> dict[str, object]:
        return {"values": self.values}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.values = state["values"]


def around_attacked(
    network: Classifier, inputs: Tensor, noisy: NoisyLabels, attacked: Tensor, true: Tensor
) -> Measured:
    """Where test rows that an attack turned are among the training rows, in the representation before the last layer.

    Of the turned ones, ``turned_next_to_wrong_labels`` is the share that, in the plane of the two greatest principal
    components, is nearer to the mean of the training rows of their true class that have a wrong label than to the means
    of the rightly labelled ones of either class; ``nearest_has_wrong_label`` is the share whose nearest training row in
    the whole representation has a wrong label. None where nothing was turned or no label is wrong. ``projected`` is
    Figure 5.3: (x, y, kind), where kind is 0 or 1 for rightly labelled training rows of true class 0 or 1, 2 or 3 for
    those with wrong labels, 4 or 5 for turned test rows.
    """
    with torch.no_grad():
        trained, tested = network.features(inputs).numpy(), network.features(attacked).numpy()
        turned = (network(attacked).argmax(dim=1) != true).numpy()
    classes, test_classes = np.where(noisy.wrong, 1 - noisy.labels, noisy.labels), true.numpy()[turned]
    projection = PCA(2, random_state=0).fit(trained)
    near, moved = ((rows - projection.mean_) @ projection.components_.T for rows in (trained, tested[turned]))
    groups = [near[(classes == kind % 2) & (noisy.wrong == (kind > 1))] for kind in range(4)]
    groups += [moved[test_classes == kind] for kind in range(2)]
    measured: dict[str, float | list[list[float]] | None] = {
        "turned": int(turned.sum()),
        "turned_next_to_wrong_labels": None,
        "nearest_has_wrong_label": None,
        "projected": [[*map(float, row), float(kind)] for kind, group in enumerate(groups) for row in group[:_DRAWN]],
    }
    if turned.any() and all(map(len, groups[:4])):
        means = np.array([group.mean(axis=0) for group in groups[:4]])
        distances = np.linalg.norm(moved[:, None] - means, axis=2)
        distances[np.arange(len(moved)), 3 - test_classes] = np.inf  # wrongly labelled rows of the other class
        measured["turned_next_to_wrong_labels"] = float((distances.argmin(axis=1) == 2 + test_classes).mean())
        _, nearest = NearestNeighbors(n_neighbors=1).fit(trained).kneighbors(tested[turned])
        measured["nearest_has_wrong_label"] = float(noisy.wrong[nearest[:, 0]].mean())
    return measured


def _pair(context: RunContext, seed: int) -> NDArray[np.float32]:
    """A 0 and a 1 of MNIST's training part, (2, pixels)."""
    digits = pictures("mnist", context.data, 1000, 1, seed)
    chosen = [int(np.flatnonzero(digits.labels == digit)[0]) for digit in (0, 1)]
    return digits.training[chosen].flatten(1).numpy()

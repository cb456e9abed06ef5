"""Training on pictures some of whose labels are wrong, naturally or robustly: Figure 5.2(b)-(e), Table 5.1, 5.2.3."""

from __future__ import annotations

import numpy as np
import torch
from pydantic import Field

from epaas_models.experiments.experiment import Measured, RunConfiguration, RunContext
from epaas_models.experiments.label_noise.networks import NetworkName, network_named
from epaas_models.experiments.label_noise.pictures import Source, pictures
from epaas_models.experiments.learning import LearningConfiguration, learn, outputs_of
from epaas_models.experiments.picture_data import crop_and_mirror
from epaas_models.label_noise.adversarial_training import Method, objective
from epaas_models.label_noise.injection import randomise
from epaas_models.label_noise.pgd import Threat, adversarial_errors


class NoisyTraining(RunConfiguration):
    """One network, trained on ``noise`` randomised labels, tested on true ones, clean and under attack."""

    source: Source
    rows: int | None = None
    tests: int | None = None
    network: NetworkName
    noise: float = Field(ge=0, le=1)
    learning: LearningConfiguration
    augmented: bool = False
    """Whether training pictures are cropped and mirrored at random (appendix B.1)."""
    method: Method = "natural"
    trained_against: Threat | None = None
    attack: Threat = Threat(budget=0, step=0.01, steps=20)
    """How test rows are attacked (thesis 5.2.1), with each of ``budgets`` in the place of its own."""
    budgets: tuple[float, ...] = ()

    def run(self, seed: int, context: RunContext) -> Measured:
        data = pictures(self.source, context.data, self.rows, self.tests, seed)
        noisy = randomise(data.labels, self.noise, data.classes, seed)
        labels, test_labels = torch.from_numpy(noisy.labels), torch.from_numpy(data.test_labels)
        network = network_named(self.network, data.classes, *data.training.shape[1:3])
        aim = objective(self.method, self.trained_against)
        augment = crop_and_mirror if self.augmented else None
        learn(network, data.training, labels, self.learning, aim, seed, context, augment=augment)
        right = (outputs_of(network, data.training, device=context.device).argmax(dim=1) == labels).numpy()
        test_right = outputs_of(network, data.test, device=context.device).argmax(dim=1) == test_labels
        tested, true = data.test.to(context.device), test_labels.to(context.device)
        measured: dict[str, float | int | None] = {
            "train_error": float(np.mean(~right)),
            "natural_error": 1 - float(test_right.double().mean()),
            "wrong_labels": int(noisy.wrong.sum()),
            "misclassified": int(np.sum(~right)),
            "misclassified_with_wrong_label": int(np.sum(~right & noisy.wrong)),
            "wrong_labels_fitted": float(right[noisy.wrong].mean()) if noisy.wrong.any() else None,
            "true_labels_fitted": float(right[~noisy.wrong].mean()),
        }
        for budget in self.budgets:
            threat = self.attack.model_copy(update={"budget": budget})
            measured[error_at(budget)] = float(adversarial_errors(network, tested, true, threat, seed).double().mean())
        return measured


def error_at(budget: float) -> str:
    """The name of the measure of adversarial error with a budget."""
    return f"adversarial_error_at_{budget:g}"

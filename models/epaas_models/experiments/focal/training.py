"""A network trained with one of the chapter's losses, and everything that the chapter measures of it."""

from __future__ import annotations

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from epaas_models.descent import Stateful
from epaas_models.experiments.early_stopping import CRITERIA, EarlyStopping, at_best
from epaas_models.experiments.experiment import Measured, RunConfiguration, RunContext
from epaas_models.experiments.focal.data import SourceConfiguration
from epaas_models.experiments.focal.measurement import (
    History,
    Reals,
    calibration_measures,
    epoch_measures,
    head_gradient_norms,
    head_of,
)
from epaas_models.experiments.focal.networks import NetworkConfiguration
from epaas_models.experiments.learning import LearningConfiguration, learn, outputs_of
from epaas_models.experiments.picture_data import crop_and_mirror
from epaas_models.losses import LossConfiguration

_DECILES = np.arange(0.1, 1, 0.1)


class CalibratedTraining(RunConfiguration):
    """The network at the end of training is measured, and beside it the best epochs in hindsight of table 7.1.

    Measures: those of :func:`calibration_measures`; ``KIND_epoch``, ``KIND_error`` and ``KIND_ece`` on test rows of the
    epoch with the least ``nll``, ``ece`` or ``error`` on validation rows; the norm of the head's weights
    and the mean over training rows of that of their gradient; and as lists, a number an epoch, ``curve_NAME`` for these
    two and the names of :func:`epoch_measures`.
    """

    source: SourceConfiguration
    network: NetworkConfiguration
    loss: LossConfiguration
    learning: LearningConfiguration
    augmented: bool = False
    """Random crops and flips of pictures (thesis B.1)."""
    watched: int = Field(default=1000, ge=1)
    """How many training rows, and test rows, the curves are of."""

    def run(self, seed: int, context: RunContext) -> Measured:
        examples = self.source.examples(context.data, seed)
        torch.manual_seed(seed)
        network = self.network.build(examples)
        watched, watched_labels = examples.training[: self.watched], examples.training_labels[: self.watched]
        tested = examples.test[: self.watched]
        stops = {criterion: EarlyStopping(criterion) for criterion in CRITERIA}
        history = History()
        kept: dict[str, Stateful] = {"history": history, **{str(name): stop for name, stop in stops.items()}}
        labels, held_out = examples.test_labels.numpy(), examples.validation_labels.numpy()

        def objective(learner: nn.Module, inputs: Tensor, targets: Tensor, epoch: int) -> Tensor:
            return self.loss(learner(inputs), targets, self._share(epoch))

        def logits(inputs: Tensor) -> Reals:
            return outputs_of(network, inputs, device=context.device).double().numpy()

        def after_epoch(epoch: int, learner: nn.Module) -> bool:
            history.append(
                epoch_measures(logits(watched), watched_labels.numpy(), logits(tested), labels[: self.watched])
            )
            gradients = self._gradients(learner, watched, watched_labels, epoch, context)
            history.append({"head_norm": _norm(learner), "gradient_norm": float(gradients.mean())})
            validation = logits(examples.validation)
            for stop in stops.values():
                stop.observe(epoch, learner, validation, held_out)
            return False

        learn(
            network,
            examples.training,
            examples.training_labels,
            self.learning,
            objective,
            seed,
            context,
            augment=crop_and_mirror if self.augmented else None,
            after_epoch=after_epoch,
            parts=kept,
        )
        gradients = self._gradients(network, watched, watched_labels, self.learning.epochs - 1, context)
        measured: dict[str, float | list[float]] = {
            **calibration_measures(logits(examples.validation), held_out, logits(examples.test), labels),
            "head_norm": _norm(network),
            "gradient_norm": float(gradients.mean()),
            "gradient_norm_deciles": np.quantile(gradients, _DECILES).tolist(),
        }
        for name, stop in stops.items():
            best = at_best(stop, network, examples.test, device=context.device)
            measured |= {
                f"{name}_epoch": stop.epoch,
                f"{name}_error": CRITERIA["error"](best, labels),
                f"{name}_ece": CRITERIA["ece"](best, labels),
            }
        return measured | {f"curve_{name}": values for name, values in history.curves.items()}

    def _share(self, epoch: int) -> float:
        return epoch / self.learning.epochs

    def _gradients(self, network: nn.Module, inputs: Tensor, labels: Tensor, epoch: int, context: RunContext) -> Reals:
        parts = zip(torch.split(inputs, 1000), torch.split(labels, 1000), strict=True)
        return np.concatenate(
            [
                head_gradient_norms(
                    network, part.to(context.device), known.to(context.device), self.loss, self._share(epoch)
                )
                for part, known in parts
            ]
        )


def _norm(network: nn.Module) -> float:
    return float(head_of(network).weight.detach().norm())

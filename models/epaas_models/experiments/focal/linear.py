"""The linear model of thesis 7.4, whose weights need not be told from those of other layers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import pad

from epaas_models.experiments.experiment import Measured, RunConfiguration, RunContext
from epaas_models.experiments.focal.measurement import History
from epaas_models.experiments.learning import LearningConfiguration, learn, outputs_of
from epaas_models.losses import LossConfiguration
from epaas_models.reliability.calibration.measures import expected_calibration_error
from epaas_models.reliability.subject import softmax

_MEANS = np.array([[[-2.0, -2.0], [-2.0, 2.0]], [[2.0, -2.0], [2.0, 2.0]]])
"""(classes, clusters, 2): corners of a square of side 4."""


@dataclass(frozen=True)
class Points:
    """Points (n, 2) and the labels (n,) 0 and 1 that are learnt, some of them flipped."""

    points: NDArray[np.float32]
    labels: NDArray[np.int64]


def clusters(rows: int, flipped: float, separable: bool, random: np.random.Generator) -> Points:
    """Two clusters a class, each of standard normal points times a random matrix, around corners of a square.

    A share ``flipped`` of labels is that of the other class. With ``separable`` each cluster's points that the line
    between the classes' means does not put on their side are mirrored at it, before labels are flipped. The entries of
    the matrices are uniform in [-1, 1], as in scikit-learn's ``make_classification``, which the thesis seems to use.
    """
    label, cluster = random.integers(2, size=(2, rows))
    mixing = random.uniform(-1, 1, size=(2, 2, 2, 2))
    points = _MEANS[label, cluster] + np.einsum("ni,nij->nj", random.normal(size=(rows, 2)), mixing[label, cluster])
    if separable:
        points[:, 0] = np.abs(points[:, 0]) * (2 * label - 1)
    turned = random.permutation(rows) < round(flipped * rows)
    return Points(points.astype(np.float32), np.where(turned, 1 - label, label))


class LinearModel(RunConfiguration):
    """f(x) = sigmoid(w1 x1 + w2 x2), without a bias.

    Measures, of test points: ``error``, ``ece``, ``logit_norm`` (mean of |w x|), the mean ``confidence_wrong`` of
    predictions that are wrong and the share of them above 0.9 (``sure_wrong``); ``weight_norm`` and ``angle`` of w in
    degrees; ``curve_weight_norm`` and ``curve_logit_norm`` by epoch.
    """

    loss: LossConfiguration
    learning: LearningConfiguration
    flipped: float = Field(default=0.1, ge=0, lt=0.5)
    separable: bool = False
    training: int = Field(default=4000, ge=2)
    test: int = Field(default=1000, ge=1)

    def run(self, seed: int, context: RunContext) -> Measured:
        drawn = clusters(self.training + self.test, self.flipped, self.separable, np.random.default_rng(seed))
        points, labels = torch.from_numpy(drawn.points), torch.from_numpy(drawn.labels)
        training, test = slice(self.training), slice(self.training, None)
        torch.manual_seed(seed)
        network, history = nn.Linear(2, 1, bias=False), History()

        def objective(learner: nn.Module, inputs: Tensor, targets: Tensor, epoch: int) -> Tensor:
            return self.loss(_logits(learner(inputs)), targets, epoch / self.learning.epochs)

        def norms(learner: nn.Module) -> dict[str, float]:
            outputs = outputs_of(learner, points[test], device=context.device)
            return {"weight_norm": _weight(learner).norm().item(), "logit_norm": outputs.abs().mean().item()}

        def after_epoch(_epoch: int, learner: nn.Module) -> bool:
            history.append(norms(learner))
            return False

        learn(
            network,
            points[training],
            labels[training],
            self.learning,
            objective,
            seed,
            context,
            after_epoch=after_epoch,
            parts={"history": history},
        )
        probabilities = softmax(_logits(outputs_of(network, points[test], device=context.device)).double().numpy())
        wrong = probabilities.argmax(axis=1) != drawn.labels[test]
        sure = probabilities.max(axis=1)[wrong]
        first, second = _weight(network).tolist()
        return {
            **norms(network),
            "error": float(wrong.mean()),
            "ece": expected_calibration_error(probabilities, drawn.labels[test]),
            "confidence_wrong": float(sure.mean()) if len(sure) else 0.0,
            "sure_wrong": float((sure > 0.9).mean()) if len(sure) else 0.0,
            "angle": float(np.degrees(np.arctan2(second, first))),
            **{f"curve_{name}": values for name, values in history.curves.items()},
        }


def _logits(outputs: Tensor) -> Tensor:
    """Of two classes (n, 2), from that of the second (n, 1)."""
    return pad(outputs, (1, 0))


def _weight(network: nn.Module) -> Tensor:
    """(2,), on the processor."""
    (weights,) = network.parameters()
    return weights.detach().flatten().cpu()

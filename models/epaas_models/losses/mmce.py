"""Maximum mean calibration error beside cross-entropy: a calibration error with a slope (Kumar et al., ICML 2018)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor
from torch.nn import functional

from epaas_models.losses.loss import ClassificationLoss

_WIDTH = 0.4
"""Of the Laplacian kernel exp(-|r - s| / width), as in the paper."""


def squared_mmce(logits: Tensor, labels: Tensor) -> Tensor:
    """The paper's weighted MMCE squared, a scalar: of logits (n, classes) and labels (n,).

    With confidences r, m rows that are right and k that are wrong: the mean over pairs of wrong rows of r r' K(r, r'),
    plus that over pairs of right rows of (1 - r)(1 - r') K, less twice that over mixed pairs of (1 - r) r' K. Means
    over no pairs are 0. The thesis's code divides by the numbers of pairs twice, so that there the weight of the error
    depends on the size of a batch.
    """
    confidence, predicted = functional.softmax(logits, dim=1).max(dim=1)
    right = (predicted == labels).to(confidence)
    kernel = (-(confidence[:, None] - confidence[None, :]).abs() / _WIDTH).exp()
    wrong = 1 - right
    if not (right.any() and wrong.any()):
        return 0 * confidence.sum()
    # The three means are one quadratic form: of what a row lacks in confidence over how many rows share its fate.
    gaps = right * (1 - confidence) / right.sum() - wrong * confidence / wrong.sum()
    return gaps @ kernel @ gaps


class MaximumMeanCalibrationError(ClassificationLoss):
    """Cross-entropy + weight * weighted MMCE."""

    kind: Literal["mmce"] = "mmce"
    weight: float = Field(default=2.0, ge=0)
    """Lambda; 2 in the thesis's code for images, where it has another meaning (:func:`squared_mmce`)."""

    def __call__(self, logits: Tensor, labels: Tensor, share: float) -> Tensor:  # noqa: ARG002
        # A root has no finite slope at 0; below this, a batch counts as calibrated.
        error = squared_mmce(logits, labels).clamp_min(1e-10).sqrt()
        return functional.cross_entropy(logits, labels) + self.weight * error

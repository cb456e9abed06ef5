"""Losses for classifiers that know what they do not know (thesis, chapter 7): a typed configuration is the loss."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import Field

from epaas_models.losses.brier import Brier
from epaas_models.losses.cross_entropy import CrossEntropy
from epaas_models.losses.dual_focal import DualFocal
from epaas_models.losses.focal import Focal, NeutralFocal, SampleDependentFocal, ScheduledFocal
from epaas_models.losses.label_smoothing import LabelSmoothing
from epaas_models.losses.loss import ClassificationLoss
from epaas_models.losses.mmce import MaximumMeanCalibrationError

__all__ = [
    "Brier",
    "ClassificationLoss",
    "CrossEntropy",
    "DualFocal",
    "Focal",
    "LabelSmoothing",
    "LossConfiguration",
    "MaximumMeanCalibrationError",
    "NeutralFocal",
    "SampleDependentFocal",
    "ScheduledFocal",
]

LossConfiguration: TypeAlias = Annotated[
    CrossEntropy
    | Focal
    | ScheduledFocal
    | SampleDependentFocal
    | NeutralFocal
    | DualFocal
    | Brier
    | LabelSmoothing
    | MaximumMeanCalibrationError,
    Field(discriminator="kind"),
]

"""How a binary network is trained: epochs and rates, the loss, what regularises it."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from epaas_models.losses import CrossEntropy, LossConfiguration


class LowRankRegulariser(BaseModel):
    """A low-rank layer on the bits before the last layer, divided by the root of their number (thesis 6.3)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rank: int = Field(ge=1)
    weight: float = Field(default=1.0, gt=0)
    """Of the penalty beside the loss."""


class AdversarialBits(BaseModel):
    """Adversarial training (Madry et al. 2018; thesis 3.2) on encoded records: bits are flipped before a step.

    Those are flipped whose slopes promise the greatest loss, in one step of the straight-through gradient.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    bits: int = Field(ge=1)
    """How many a record."""
    share: float = Field(default=0.5, gt=0, le=1)
    """Of each batch; the rest stays as it is."""


class TrainingConfiguration(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: int = Field(ge=0)
    batch_size: int = Field(default=128, ge=2)
    learning_rate: float = Field(default=0.002, gt=0)
    """Of Adam, after a short warm-up; falls to zero along a cosine."""
    distillation: float = Field(default=0.0, ge=0, le=1)
    """Share of the loss that is the distance from the teacher's softened predictions (Hinton et al. 2015)."""
    distillation_temperature: float = Field(default=2.0, gt=0)
    noise: tuple[float, ...] = ()
    """Standard deviation of the error of each hidden layer's sums; none where nothing is given."""
    limits: tuple[float, ...] = ()
    """How far the sums of each hidden layer should stay from their thresholds, 0 for any distance."""
    limit_penalty: float = Field(default=1.0, ge=0)
    loss: LossConfiguration = CrossEntropy()
    """Of the labels; a teacher's share is beside it."""
    stable_rank: float | None = Field(default=None, gt=0, lt=1)
    """Stable rank of each layer's latent weights while training, as a share of the greatest (thesis, Algorithm 5).

    Their spectral norm stays, since only signs and thresholds become weights.
    """
    low_rank: LowRankRegulariser | None = None
    trimmed: float = Field(default=0.0, ge=0, lt=1)
    """Share of each batch, the rows with the largest loss, that is left out: labels that are wrong are among them.

    Rises to it over the first tenth of the epochs (Shen and Sanghavi 2019; thesis chapter 5 says why it matters).
    """
    adversarial: AdversarialBits | None = None
    ternary_threshold: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.5, 0.5)
    """Magnitude up to which a latent ternary weight counts as 0: in the first epoch, and from the middle one on."""

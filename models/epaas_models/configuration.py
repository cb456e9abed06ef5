"""Configurations: everything that decides what a trained model is, but for the data and the seed.

A configuration is a TOML file; those of this release are in ``configurations/`` and known by their names. Knows neither
torch nor how any of it is done.
"""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from epaas_models.architecture import Architecture
from epaas_models.augmentation import Augmentation
from epaas_models.float_network import FloatConfiguration
from epaas_models.rounding import RoundedRegression
from epaas_models.training_configuration import TrainingConfiguration
from epaas_shared.bundle import MODEL_NAME
from epaas_shared.digest import digest_json
from epaas_shared.errors import ConfigurationError


class BinaryNetworkMethod(BaseModel):
    """A network trained by straight-through estimators, and what helps it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["binary-network"] = "binary-network"
    architecture: Architecture
    training: TrainingConfiguration
    augmentation: Augmentation | None = None
    teacher: FloatConfiguration | None = None
    drop: float = Field(default=0.0, ge=0, lt=1)
    """Share of each layer's weights dropped after training (thesis 8.4.3)."""
    fine_tuning: TrainingConfiguration | None = None
    """Of what is left after weights have been dropped."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.training.distillation and self.teacher is None:
            raise ValueError("distillation needs a teacher")
        if self.drop and self.fine_tuning is None:
            raise ValueError("what is left after dropping weights needs fine_tuning")
        layers = len(self.architecture.hidden)
        for training in filter(None, (self.training, self.fine_tuning)):
            if max(len(training.noise), len(training.limits)) > layers:
                raise ValueError(f"noise and limits are of hidden layers, of which there are {layers}")
        return self


class RoundedRegressionMethod(RoundedRegression):
    """One neuron from a logistic regression (:mod:`epaas_models.rounding`)."""

    kind: Literal["rounded-regression"] = "rounded-regression"


Method = Annotated[BinaryNetworkMethod | RoundedRegressionMethod, Field(discriminator="kind")]


class AccuracyClaim(BaseModel):
    """A test accuracy that somebody claims for such a model, to stand beside what is measured."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    by: str
    """Who claims it, and where."""
    accuracy: float = Field(ge=0, le=1)


class ModelConfiguration(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=MODEL_NAME)
    """Of the model that a server publishes."""
    title: str
    task: str
    """Of the data set."""
    input_schema: str
    """Name of a shipped schema, ``task/vN``."""
    method: Method
    output: Literal["label", "scores"] = "label"
    score_bits: int = Field(default=4, ge=1, le=6)
    validation_share: float = Field(default=0.1, ge=0, lt=0.5)
    """Of the training rows, kept from training for the choice of the scale of scores and of configurations."""
    strategies: tuple[str, ...] = ()
    """How a server should evaluate the layers, where not by its own choice."""
    trust_measured_ranges: bool = False
    """Whether sums may be provided for as they were measured, and a margin, rather than for every possible record."""
    intended_use: str = "Research and demonstration; not for decisions about people."
    limits: tuple[str, ...] = ()
    """What a reader of the report must know of the data or the model."""
    claims: tuple[AccuracyClaim, ...] = ()

    @property
    def training_digest(self) -> str:
        """Digest of what decides the weights: what is only said of the model is left out."""
        said = {"title", "intended_use", "limits", "claims"}
        return digest_json(self.model_dump(mode="json", exclude_defaults=True, exclude=said))

    @model_validator(mode="after")
    def _can_calibrate(self) -> Self:
        if self.output == "scores" and not self.validation_share:
            raise ValueError("scores are calibrated on validation data: give validation_share")
        return self


def shipped_configurations() -> tuple[str, ...]:
    """Names of the configurations of this release."""
    return tuple(sorted(file.name.removesuffix(".toml") for file in _folder().iterdir() if file.name.endswith(".toml")))


def load_configuration(name: str) -> ModelConfiguration:
    """A shipped configuration by its name, or one of the user's by the path of its TOML file.

    Raises :class:`ConfigurationError` naming the entry that is wrong.
    """
    if name in shipped_configurations():
        return load_shipped(name)
    try:
        return _parsed(name, Path(name).read_text("utf-8"))
    except (OSError, UnicodeDecodeError):
        raise _unknown(name, "name a TOML file, or one of") from None


def load_shipped(name: str) -> ModelConfiguration:
    """A configuration of this release. Raises :class:`ConfigurationError` for a name that there is not."""
    if name not in shipped_configurations():
        raise _unknown(name, "there are")
    return _parsed(name, (_folder() / f"{name}.toml").read_text("utf-8"))


def _unknown(name: str, hint: str) -> ConfigurationError:
    return ConfigurationError(
        f"there is no configuration {name[:200]!r}",
        field="configuration",
        hint=f"{hint} {', '.join(shipped_configurations())}",
    )


def _parsed(name: str, text: str) -> ModelConfiguration:
    try:
        return ModelConfiguration.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"the configuration is not valid TOML: {error}", field=name) from None
    except ValidationError as error:
        # of the alternatives of a union the last is the most telling
        first = error.errors()[-1]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(f"{first['msg'].lower()}", field=where or name, hint=f"correct it in {name}") from None


def _folder() -> resources.abc.Traversable:
    return resources.files("epaas_models") / "configurations"

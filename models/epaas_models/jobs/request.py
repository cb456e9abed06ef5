"""What a training job is asked to do: a document that decides everything, kept unchanged in the job's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from epaas_models.configuration import ModelConfiguration
from epaas_models.tables.own_tasks import OwnData
from epaas_shared.digest import digest_json
from epaas_shared.protocol import Alias


class PublishingRequest(BaseModel):
    """Publish the bundle once it is there."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    server: str
    token_file: Path
    """Read when it is needed, so that no token is in a job's folder."""
    alias: Alias = Alias.CANDIDATE
    budget_seconds: float | None = Field(default=None, gt=0)
    """What a record may take on the server."""
    trust_measured_ranges: bool = False


class TrainingRequest(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    configuration: ModelConfiguration
    seed: int = Field(default=0, ge=0, lt=2**32)
    """Of everything random."""
    splits: int = Field(default=0, ge=0, le=100)
    """Other splits to measure the spread of the accuracy on."""
    thoroughness: Literal["quick", "full"] = "full"
    """Of the reliability report."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """``auto``: a GPU where there is one. The same weights again are promised on the processor alone."""
    own: OwnData | None = None
    """The provider's own data, where the task is not one of this release."""
    publish: PublishingRequest | None = None
    command: str
    """What the bundle's provenance names."""
    output: str | None = None
    """The folder that the bundle is moved to, and the job's own removed; None leaves it where it is."""

    @property
    def digest(self) -> str:
        """Of what decides the weights: the same for a request that only measures more, or says other things."""
        own = {} if self.own is None else {"rows": self.own.rows.name, "schema": self.own.input_schema.digest}
        return digest_json({"configuration": self.configuration.training_digest, "seed": self.seed, **own})

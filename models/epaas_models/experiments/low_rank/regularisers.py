"""What an arm does to a network's representations: nothing, low-rank layers, or one of their alternatives."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from epaas_models.experiments.low_rank.networks import Parts, Position
from epaas_models.low_rank.alternatives import NuclearNorm
from epaas_models.low_rank.layer import LowRankLayer
from epaas_models.low_rank.penalised import Penalised


class Regulariser(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    def applied(self, parts: Parts) -> Penalised:
        """The network, which this may change, with what it is penalised for."""
        return Penalised(parts.network, {})


class Plain(Regulariser):
    """N-LR."""

    kind: Literal["plain"] = "plain"


class LowRank(Regulariser):
    """1-LR or 2-LR: low-rank layers, each with its rank."""

    kind: Literal["low-rank"] = "low-rank"
    ranks: dict[Position, int]
    reconstruction: float = 1.0
    norm: float = 1.0
    every: int = Field(default=10, ge=1)
    """Steps between cuts."""
    sampled_per_rank: int | None = 2
    """Columns that the Nyström method samples, times the rank; None cuts exactly."""
    runs: int = Field(default=2, ge=1)

    def applied(self, parts: Parts) -> Penalised:
        layers = {}
        for position, rank in self.ranks.items():
            layers[parts.place(position)] = LowRankLayer(
                parts.dimensions(position),
                rank,
                reconstruction=self.reconstruction,
                norm=self.norm,
                every=self.every,
                sampled=self.sampled_per_rank and self.sampled_per_rank * rank,
                runs=self.runs,
            )
        return Penalised(parts.network, layers)


class BottleneckLayer(Regulariser):
    """Bottle-LR: a bottleneck of the same rank, before the last layer."""

    kind: Literal["bottleneck"] = "bottleneck"
    rank: int = Field(ge=1)

    def applied(self, parts: Parts) -> Penalised:
        parts.put_bottleneck(self.rank)
        return Penalised(parts.network, {})


class Nuclear(Regulariser):
    """The nuclear norm of each batch's representations before the last layer."""

    kind: Literal["nuclear"] = "nuclear"
    weight: float = Field(gt=0)

    def applied(self, parts: Parts) -> Penalised:
        return Penalised(parts.network, {parts.head: NuclearNorm(self.weight)})


AnyRegulariser: TypeAlias = Annotated[Plain | LowRank | BottleneckLayer | Nuclear, Field(discriminator="kind")]

"""What is known of this deployment's speed: rates of the machine, and how evaluations compared with the prediction."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine, select, update
from sqlalchemy.dialects import postgresql, sqlite

from epaas_server.cost import EvaluationCost, Rates
from epaas_server.database import reading
from epaas_server.tables import calibration

_WEIGHT = 0.3
"""Of the newest evaluation in the correction."""


@dataclass(frozen=True)
class Calibrated:
    """Of one profile, at one moment."""

    rates: Rates
    correction: float
    """What evaluations took, as a multiple of what the rates say."""

    def seconds(self, cost: EvaluationCost, records: int = 1) -> float:
        """How long an evaluation will take here, alone."""
        return float(cost.seconds(self.rates, records) * self.correction)


@dataclass(frozen=True)
class Calibration:
    database: Engine

    def of(self, profile: str) -> Calibrated | None:
        """What is known for a profile; None before the first client's keys were tried."""
        with reading(self.database) as connection:
            row = connection.execute(select(calibration).filter_by(profile=profile)).first()
        return None if row is None else Calibrated(Rates.model_validate(row.rates), row.correction)

    def measured(self, profile: str, rates: Rates) -> None:
        """Remember newly measured rates; of several workers that measure at once, the last one's."""
        values = {"rates": rates.model_dump(), "correction": 1.0}
        insert = sqlite.insert if self.database.dialect.name == "sqlite" else postgresql.insert
        statement = insert(calibration).values(profile=profile, **values)
        with self.database.begin() as connection:
            connection.execute(statement.on_conflict_do_update(index_elements=[calibration.c.profile], set_=values))

    def observed(self, profile: str, cost: EvaluationCost, records: int, took: float) -> None:
        """An evaluation is done: let the next prediction be nearer.

        What it took is compared with the rates alone, not with what was predicted when it was queued: of many jobs
        that were queued together each would correct the same error once more.
        """
        known = self.of(profile)
        if known is None:
            return
        moved = (1 - _WEIGHT) * calibration.c.correction + _WEIGHT * took / cost.seconds(known.rates, records)
        with self.database.begin() as connection:
            connection.execute(update(calibration).filter_by(profile=profile).values(correction=moved))

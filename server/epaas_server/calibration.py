"""What is known of this deployment's speed: rates of the machine, and how evaluations compared with the prediction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, Row, select, update
from sqlalchemy.dialects import postgresql, sqlite

from epaas_server.cost import EvaluationCost, Rates
from epaas_server.database import reading
from epaas_server.tables import calibration

_WEIGHT = 0.3
"""Of the newest evaluation in the correction."""


@dataclass(frozen=True)
class Calibration:
    database: Engine

    def rates(self, profile: str) -> Rates | None:
        """The rates measured for a profile; None before the first client's keys were tried."""
        row = self._row(profile)
        return None if row is None else Rates.model_validate(row.rates)

    def seconds(self, cost: EvaluationCost, profile: str, records: int = 1) -> float | None:
        """How long an evaluation will take here, alone; None before the first client's keys were tried."""
        row = self._row(profile)
        return None if row is None else float(cost.seconds(Rates.model_validate(row.rates), records) * row.correction)

    def _row(self, profile: str) -> Row[Any] | None:
        with reading(self.database) as connection:
            return connection.execute(select(calibration).filter_by(profile=profile)).first()

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
        rates = self.rates(profile)
        if rates is None:
            return
        moved = (1 - _WEIGHT) * calibration.c.correction + _WEIGHT * took / cost.seconds(rates, records)
        with self.database.begin() as connection:
            connection.execute(update(calibration).filter_by(profile=profile).values(correction=moved))

"""How far predictions are, of many at one look. Knows neither their owners nor who waits for them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Engine, select

from epaas_server.database import reading
from epaas_server.tables import jobs
from epaas_shared.protocol import Prediction, PredictionState

_BATCH = 500


@dataclass(frozen=True)
class Stage:
    """What changes of a prediction until it has finished; two that are equal are of one and the same document."""

    state: PredictionState
    bootstraps_done: int
    attempts: int

    @classmethod
    def of(cls, prediction: Prediction) -> Stage:
        return cls(prediction.state, prediction.progress.done, prediction.attempts)


def stages_of(database: Engine, ids: Collection[str]) -> dict[str, Stage]:
    """The stages of predictions by their ids; one that was erased has none."""
    ordered = list(ids)
    columns = (jobs.c.id, jobs.c.state, jobs.c.bootstraps_done, jobs.c.attempts)
    found: dict[str, Stage] = {}
    with reading(database) as connection:
        for begin in range(0, len(ordered), _BATCH):
            rows = connection.execute(select(*columns).where(jobs.c.id.in_(ordered[begin : begin + _BATCH])))
            found |= {row.id: Stage(PredictionState(row.state), row.bootstraps_done, row.attempts) for row in rows}
    return found

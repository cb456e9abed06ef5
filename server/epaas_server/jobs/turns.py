"""Whose turn it is: tenants share the workers by seconds of evaluation; within a tenant short jobs may overtake.

Each tenant has a clock of virtual seconds. A job sets it forward, when it is claimed, by the seconds that are left of
it, and those that it does not use are given back. The tenant whose clock is furthest behind is next. Nobody saves up:
the clock of a tenant that had nothing to do is set to where the turns stand when it comes back. This is start-time
fair queueing (Goyal, Vin and Cheng, SIGCOMM 1996), which holds whatever the speed of the workers.

Within a tenant the job that is due first is next: the time when it was asked for and its predicted seconds. A short one
overtakes a long one, but only for as long as the long one takes itself, so that none waits for ever.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Float, case, cast, exists, func, select, update
from sqlalchemy.sql.elements import ColumnElement

from epaas_server.jobs.job import JobKind
from epaas_server.tables import jobs, tenants, turns
from epaas_shared.protocol import PredictionState

CHECK_SECONDS = 2.0
"""What the trial run of keys is taken to last."""
UNKNOWN_SECONDS = 1.0
"""What a prediction is taken to last before this server's first calibration."""
HELD_SECONDS = 2.0
"""How far a job may overtake those of others at a worker that has its keys in memory: about what loading them takes."""
_ACTIVE = (PredictionState.QUEUED.value, PredictionState.RUNNING.value)


def seconds_due(kind: JobKind, predicted_seconds: float | None) -> float:
    """What a whole job is taken to last."""
    if kind is JobKind.CHECK_KEYS:
        return CHECK_SECONDS
    return UNKNOWN_SECONDS if predicted_seconds is None else predicted_seconds


def _seconds_left() -> ColumnElement[float]:
    """Of a job's row: what is left of the seconds that it is taken to last."""
    whole = case(
        (jobs.c.kind == JobKind.CHECK_KEYS.value, CHECK_SECONDS),
        else_=func.coalesce(jobs.c.predicted_seconds, UNKNOWN_SECONDS),
    )
    done = cast(jobs.c.bootstraps_done, Float) / func.nullif(jobs.c.bootstraps_total, 0)
    return whole * (1.0 - func.coalesce(done, 0.0))


SECONDS_LEFT = _seconds_left()


def come_back(connection: Connection, tenant: str) -> None:
    """To be called before a tenant's job is queued, with the tenant's row locked."""
    active = exists(select(jobs.c.id).where(jobs.c.tenant == tenant, jobs.c.state.in_(_ACTIVE)))
    turn = select(turns.c.virtual_seconds).scalar_subquery()
    connection.execute(
        update(tenants)
        .where(tenants.c.name == tenant, tenants.c.virtual_seconds < turn, ~active)
        .values(virtual_seconds=turn)
    )


def order(held_keys: Sequence[str]) -> list[ColumnElement[float]]:
    """How jobs joined with their tenants are sorted, for a worker that holds the keys of these digests."""
    held = case((jobs.c.evaluation_keys.in_(held_keys), HELD_SECONDS), else_=0.0)
    checks_first = case((jobs.c.kind == JobKind.CHECK_KEYS.value, 0.0), else_=1.0)
    return [tenants.c.virtual_seconds - held, checks_first, jobs.c.due, jobs.c.created_at]


def take(connection: Connection, tenant: str, seconds: float) -> None:
    """A job with so many seconds left was claimed."""
    clock = select(tenants.c.virtual_seconds).filter_by(name=tenant).scalar_subquery()
    connection.execute(update(turns).where(turns.c.virtual_seconds < clock).values(virtual_seconds=clock))
    _set_forward(connection, tenant, seconds)


def give_back(connection: Connection, tenant: str, seconds: float) -> None:
    """So many seconds of a job that was claimed will not be used by this claim."""
    _set_forward(connection, tenant, -seconds)


def goes_before(tenant: str, due: float, seconds_left: float, clock: float) -> ColumnElement[bool]:
    """Of jobs joined with their tenants: those worth pausing a running job for, as they are short and would be next.

    The running job is of ``tenant``, whose clock stands at ``clock``, and has ``seconds_left``.
    """
    short = seconds_left > SECONDS_LEFT * 2
    of_others = (jobs.c.tenant != tenant) & (tenants.c.virtual_seconds < clock - seconds_left)
    of_the_same = (jobs.c.tenant == tenant) & (jobs.c.due < due)
    return short & (of_others | of_the_same)


def _set_forward(connection: Connection, tenant: str, seconds: float) -> None:
    moved = tenants.c.virtual_seconds + seconds
    connection.execute(update(tenants).where(tenants.c.name == tenant).values(virtual_seconds=moved))

"""Tenants: who owns keys and predictions, what each may have, and what each has used.

A tenant's row is locked by whatever adds to what it has, so that quotas hold also for requests that come together.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection, Engine, Row, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from epaas_server.database import reading
from epaas_server.tables import DEFAULT_TENANT, evaluation_keys, jobs, tenants, tokens, usage
from epaas_shared.errors import Conflict, InvalidRequest, QuotaExceeded, TenantNotFound
from epaas_shared.protocol import PredictionState

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_ACTIVE = (PredictionState.QUEUED.value, PredictionState.RUNNING.value)


class Quotas(BaseModel):
    """What a tenant may have at once, and use a day. None: as much as there is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    keysets: int | None = Field(default=100, ge=0)
    """Evaluation keys, each about 54 MB."""
    stored_bytes: int | None = Field(default=20_000_000_000, ge=0)
    """Evaluation keys, and records that wait."""
    unfinished_predictions: int | None = Field(default=1_000, ge=0)
    seconds_a_day: float | None = Field(default=None, ge=0)
    """Of evaluation, from midnight to midnight UTC; predictions that wait count by their predicted seconds."""


class Used(BaseModel):
    """What a tenant has now, and has used today."""

    model_config = ConfigDict(frozen=True)

    keysets: int
    stored_bytes: int
    unfinished_predictions: int
    seconds_today: float
    """Of evaluation, those predicted of unfinished predictions included."""
    predictions_today: int


@dataclass(frozen=True)
class Tenant:
    name: str
    created_at: datetime
    quotas: Quotas


@dataclass(frozen=True)
class TenantStore:
    database: Engine
    defaults: Quotas

    def create(self, name: str) -> Tenant:
        """Raises :class:`InvalidRequest` for a name that is none, :class:`Conflict` for one that is taken."""
        if not _NAME.fullmatch(name):
            raise InvalidRequest("is not a tenant's name: a-z, 0-9 and -, at most 40", field="name")
        values = {"name": name, "created_at": datetime.now(UTC), "quotas": {}, "virtual_seconds": 0.0}
        try:
            with self.database.begin() as connection:
                connection.execute(insert(tenants).values(**values))
        except IntegrityError:
            raise Conflict(f"there is a tenant {name} already", field="name") from None
        return self.get(name)

    def get(self, name: str) -> Tenant:
        """Raises :class:`TenantNotFound`."""
        with reading(self.database) as connection:
            row = connection.execute(select(tenants).filter_by(name=name)).first()
        return self._tenant(_found(row, name))

    def all(self) -> list[Tenant]:
        with reading(self.database) as connection:
            return [self._tenant(row) for row in connection.execute(select(tenants).order_by(tenants.c.name))]

    def set_quotas(self, name: str, changes: dict[str, float | None]) -> Tenant:
        """Change some quotas of a tenant: None lifts one, the others stay. Raises :class:`TenantNotFound`."""
        with self.database.begin() as connection:
            own = {**lock_tenant(connection, name).quotas, **changes}
            connection.execute(update(tenants).filter_by(name=name).values(quotas=own))
        return self.get(name)

    def used(self, name: str) -> Used:
        """Raises :class:`TenantNotFound`."""
        self.get(name)
        with reading(self.database) as connection:
            return _used(connection, name)

    def admit_keys(self, connection: Connection, name: str, size: int) -> None:
        """Refuse keys of ``size`` bytes over the tenant's quotas, in the transaction that adds them.

        Raises :class:`QuotaExceeded`.
        """
        quotas, used = self._locked(connection, name)
        hint = "`epaas keys delete NAME --remote` erases keys at the server"
        _check("keysets", used.keysets + 1, quotas.keysets, hint)
        _check("stored_bytes", used.stored_bytes + size, quotas.stored_bytes)

    def admit_prediction(self, connection: Connection, name: str, size: int, seconds: float) -> None:
        """Refuse a prediction with a record of ``size`` bytes that would take ``seconds``, as :meth:`admit_keys`."""
        quotas, used = self._locked(connection, name)
        _check(
            "unfinished_predictions",
            used.unfinished_predictions + 1,
            quotas.unfinished_predictions,
            "wait until some have finished",
            retry_after=10,
        )
        _check("stored_bytes", used.stored_bytes + size, quotas.stored_bytes)
        _check(
            "seconds_a_day",
            round(used.seconds_today + seconds, 3),
            quotas.seconds_a_day,
            "the day begins at midnight UTC",
            retry_after=_seconds_until_tomorrow(),
        )

    def delete(self, name: str) -> None:
        """Forget a tenant that has nothing any more, and its tokens. Raises :class:`TenantNotFound`, :class:`Conflict`.

        Its usage stays.
        """
        self.check_may_go(name)
        with self.database.begin() as connection:
            lock_tenant(connection, name)
            used = _used(connection, name)
            if used.keysets or connection.execute(select(jobs.c.id).filter_by(tenant=name).limit(1)).first():
                raise Conflict(f"{name} still has keys or predictions", field="name")
            connection.execute(delete(tokens).filter_by(tenant=name))
            connection.execute(delete(tenants).filter_by(name=name))

    def check_may_go(self, name: str) -> None:
        """Raises :class:`TenantNotFound`, and :class:`Conflict` for the tenant that is always there."""
        self.get(name)
        if name == DEFAULT_TENANT:
            raise Conflict(f"the tenant {name} is always there", field="name", hint="--keep erases what it has")

    def _locked(self, connection: Connection, name: str) -> tuple[Quotas, Used]:
        return self._tenant(lock_tenant(connection, name)).quotas, _used(connection, name)

    def _tenant(self, row: Row[Any]) -> Tenant:
        known = {key: value for key, value in row.quotas.items() if key in Quotas.model_fields}
        return Tenant(row.name, row.created_at, self.defaults.model_copy(update=known))


def lock_tenant(connection: Connection, name: str) -> Row[Any]:
    """The row of a tenant; whoever else locks it waits for this transaction. Raises :class:`TenantNotFound`."""
    return _found(connection.execute(select(tenants).filter_by(name=name).with_for_update()).first(), name)


def add_usage(connection: Connection, name: str, *, seconds: float, bootstraps: int = 0, predictions: int = 0) -> None:
    """What an evaluation used, on the day when it was used; the bootstraps are those of finished predictions."""
    today = datetime.now(UTC).date()
    added = {"predictions": predictions, "bootstraps": bootstraps, "evaluation_seconds": seconds}
    lock_tenant(connection, name)
    raised = {column: usage.c[column] + value for column, value in added.items()}
    if connection.execute(update(usage).filter_by(tenant=name, day=today).values(**raised)).rowcount == 0:
        connection.execute(insert(usage).values(tenant=name, day=today, **added))


def _used(connection: Connection, name: str) -> Used:
    own_keys, own_jobs = evaluation_keys.c.tenant == name, (jobs.c.tenant == name) & jobs.c.state.in_(_ACTIVE)
    keysets, key_bytes = connection.execute(
        select(func.count(), func.coalesce(func.sum(evaluation_keys.c.bytes), 0)).where(own_keys)
    ).one()
    left = 1.0 - jobs.c.bootstraps_done / func.nullif(jobs.c.bootstraps_total * 1.0, 0)
    waiting, record_bytes, seconds_left = connection.execute(
        select(
            func.count(jobs.c.record_blob),
            func.coalesce(func.sum(jobs.c.record_bytes), 0),
            func.coalesce(func.sum(jobs.c.predicted_seconds * func.coalesce(left, 1.0)), 0.0),
        ).where(own_jobs)
    ).one()
    today = connection.execute(select(usage).filter_by(tenant=name, day=datetime.now(UTC).date())).first()
    return Used(
        keysets=keysets,
        stored_bytes=int(key_bytes) + int(record_bytes),
        unfinished_predictions=waiting,
        seconds_today=float(seconds_left) + (today.evaluation_seconds if today else 0.0),
        predictions_today=today.predictions if today else 0,
    )


def _check(
    quota: str, wanted: float, allowed: float | None, hint: str | None = None, retry_after: int | None = None
) -> None:
    if allowed is not None and wanted > allowed:
        raise QuotaExceeded(
            f"{wanted} would be over the quota of {allowed}", field=quota, hint=hint, retry_after=retry_after
        )


def _found(row: Row[Any] | None, name: str) -> Row[Any]:
    if row is None:
        raise TenantNotFound(f"there is no tenant {name[:40]!r}", field="tenant")
    return row


def _seconds_until_tomorrow() -> int:
    now = datetime.now(UTC)
    return int((datetime.combine(now.date() + timedelta(days=1), time(), UTC) - now).total_seconds()) + 1

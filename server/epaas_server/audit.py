"""The audit log: who did what to whose things and when, in rows that are only added. Ids and names, no payloads."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from sqlalchemy import Connection, Engine, delete, insert, select

from epaas_server.database import reading
from epaas_server.tables import audit_events

COMMAND = "command"
"""The actor where the operator's command line did it."""
RETENTION = "retention"
"""The actor where something was erased because its time was over."""


class Action(StrEnum):
    KEYS_UPLOADED = "keys.uploaded"
    KEYS_ERASED = "keys.erased"
    PREDICTION_ASKED = "prediction.asked"
    RESULT_FETCHED = "result.fetched"
    PREDICTION_CANCELLED = "prediction.cancelled"
    PREDICTION_ERASED = "prediction.erased"
    MODEL_PUBLISHED = "model.published"
    MODEL_PROMOTED = "model.promoted"
    MODEL_ROLLED_BACK = "model.rolled-back"
    TOKEN_CREATED = "token.created"  # noqa: S105  (no secret)
    TOKEN_REVOKED = "token.revoked"  # noqa: S105
    TENANT_CREATED = "tenant.created"
    TENANT_ERASED = "tenant.erased"
    QUOTAS_CHANGED = "quotas.changed"
    AUDIT_READ = "audit.read"


@dataclass(frozen=True)
class AuditEvent:
    at: datetime
    tenant: str
    actor: str
    """A token's id, ``anonymous``, or the name of a part of the server."""
    action: str
    subject: str
    """What it was done to: a job's id, a digest, a model and version."""


@dataclass(frozen=True)
class AuditLog:
    database: Engine

    def add(self, tenant: str, actor: str, action: Action, subject: str, connection: Connection | None = None) -> None:
        """Note that something was done; with a connection in its transaction, so that one is not without the other."""
        row = insert(audit_events).values(
            at=datetime.now(UTC), tenant=tenant, actor=actor, action=action.value, subject=subject
        )
        if connection is not None:
            connection.execute(row)
            return
        with self.database.begin() as own:
            own.execute(row)

    def read(self, *, tenant: str | None = None, since: datetime | None = None, limit: int = 1000) -> list[AuditEvent]:
        """The newest events, at most ``limit``, oldest first."""
        query = select(audit_events).order_by(audit_events.c.id.desc()).limit(limit)
        if tenant is not None:
            query = query.where(audit_events.c.tenant == tenant)
        if since is not None:
            since = since if since.tzinfo else since.replace(tzinfo=UTC)
            query = query.where(audit_events.c.at >= since)
        with reading(self.database) as connection:
            rows = connection.execute(query).all()
        return [AuditEvent(row.at, row.tenant, row.actor, row.action, row.subject) for row in reversed(rows)]

    def forget_before(self, age: timedelta) -> int:
        """Remove events that are older; how many there were."""
        with self.database.begin() as connection:
            return connection.execute(delete(audit_events).where(audit_events.c.at < datetime.now(UTC) - age)).rowcount

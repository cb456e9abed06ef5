"""Tenants, their turns, usage and audit; workers. Whatever there was belongs to the tenant ``default``."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_TENANT = "default"


def upgrade() -> None:
    tenants = op.create_table(
        "tenants",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("quotas", sa.JSON, nullable=False),
        sa.Column("virtual_seconds", sa.Float, nullable=False),
    )
    turns = op.create_table(
        "turns",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("virtual_seconds", sa.Float, nullable=False),
    )
    now = datetime.now(UTC).replace(tzinfo=None)
    op.bulk_insert(tenants, [{"name": _TENANT, "created_at": now, "quotas": {}, "virtual_seconds": 0.0}])
    op.bulk_insert(turns, [{"id": 1, "virtual_seconds": 0.0}])
    op.create_table(
        "usage",
        sa.Column("tenant", sa.String, primary_key=True),
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("predictions", sa.BigInteger, nullable=False),
        sa.Column("bootstraps", sa.BigInteger, nullable=False),
        sa.Column("evaluation_seconds", sa.Float, nullable=False),
    )
    op.create_table(
        "audit_events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("at", sa.DateTime, nullable=False),
        sa.Column("tenant", sa.String, nullable=False),
        sa.Column("actor", sa.String, nullable=False),
        sa.Column("action", sa.String, nullable=False),
        sa.Column("subject", sa.String, nullable=False),
    )
    op.create_index("audit_events_by_time", "audit_events", ["at"])
    op.create_table(
        "workers",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("started_at", sa.DateTime, nullable=False),
        sa.Column("seen", sa.Float, nullable=False),
        sa.Column("facts", sa.JSON, nullable=False),
    )
    with op.batch_alter_table("tokens") as tokens:
        tokens.add_column(sa.Column("tenant", sa.String, nullable=False, server_default=_TENANT))
        tokens.add_column(sa.Column("expires_at", sa.DateTime))
    _keys_of_tenants()
    _jobs_of_tenants()


def _keys_of_tenants() -> None:
    names = {"pk": "%(table_name)s_pkey"}  # as PostgreSQL names it
    with op.batch_alter_table("evaluation_keys", naming_convention=names) as keys:
        keys.add_column(sa.Column("tenant", sa.String, nullable=False, server_default=_TENANT))
        keys.add_column(sa.Column("used_at", sa.DateTime))
        keys.add_column(sa.Column("blob", sa.String))
        keys.alter_column("bytes", type_=sa.BigInteger)
        keys.drop_constraint("evaluation_keys_pkey", type_="primary")
        keys.create_primary_key("evaluation_keys_pkey", ["tenant", "digest"])


def _jobs_of_tenants() -> None:
    names = {"uq": "uq_%(table_name)s_%(column_0_name)s"}
    earlier = _constraint_of_idempotency_keys()
    with op.batch_alter_table("jobs", naming_convention=names) as jobs:
        jobs.add_column(sa.Column("tenant", sa.String, nullable=False, server_default=_TENANT))
        jobs.add_column(sa.Column("due", sa.Float, nullable=False, server_default="0"))
        jobs.add_column(sa.Column("predicted_memory_bytes", sa.BigInteger))
        jobs.add_column(sa.Column("record_bytes", sa.BigInteger))
        jobs.add_column(sa.Column("traceparent", sa.String))
        jobs.alter_column("bootstraps_done", type_=sa.BigInteger)
        jobs.alter_column("bootstraps_total", type_=sa.BigInteger)
        jobs.drop_constraint(earlier, type_="unique")
        jobs.create_unique_constraint("uq_jobs_tenant_idempotency_key", ["tenant", "idempotency_key"])
    op.create_index("jobs_by_tenant", "jobs", ["tenant", "state"])


def _constraint_of_idempotency_keys() -> str:
    """Its name: PostgreSQL gave one to that of earlier releases, SQLite has kept none."""
    found = sa.inspect(op.get_bind()).get_unique_constraints("jobs")
    (name,) = [each["name"] for each in found if each["column_names"] == ["idempotency_key"]]
    return name or "uq_jobs_idempotency_key"

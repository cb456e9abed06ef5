"""The tables, as the newest migration leaves them (``migrations``). Knows no database and no connection."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Date,
    DateTime,
    Float,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """A moment with its time zone, also on databases that store none."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:  # noqa: ARG002
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:  # noqa: ARG002
        return None if value is None else value.replace(tzinfo=UTC)


DEFAULT_TENANT = "default"
"""Who everybody is where no tokens are asked for, and whose everything was before there were tenants."""

metadata = MetaData()

model_versions = Table(
    "model_versions",
    metadata,
    Column("name", String, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("digest", String, nullable=False),
    Column("manifest", JSON, nullable=False),
    Column("task", String, nullable=False),
    Column("plan", JSON, nullable=False),
    Column("cost", JSON, nullable=False),
    Column("published_at", UtcDateTime, nullable=False),
    UniqueConstraint("name", "digest"),
)

releases = Table(
    "releases",
    metadata,
    Column("name", String, primary_key=True),
    Column("alias", String, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("before", Integer),  # the number of the release that a roll back returns to
    Column("released_at", UtcDateTime, nullable=False),
    ForeignKeyConstraint(["name", "version"], ["model_versions.name", "model_versions.version"]),
)
"""What an alias named and names; rows are added and never changed (``releases``)."""

tenants = Table(
    "tenants",
    metadata,
    Column("name", String, primary_key=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("quotas", JSON, nullable=False),  # what differs from the settings
    Column("virtual_seconds", Float, nullable=False),  # of evaluation, by which tenants take turns (jobs.turns)
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("scope", String, nullable=False),  # several are parted by spaces
    Column("sha256", String, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("tenant", String, nullable=False, server_default=DEFAULT_TENANT),
    Column("expires_at", UtcDateTime),
)

evaluation_keys = Table(
    "evaluation_keys",
    metadata,
    Column("tenant", String, primary_key=True, server_default=DEFAULT_TENANT),
    Column("digest", String, primary_key=True),
    Column("profile", String, nullable=False),
    Column("state", String, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("uploaded_at", UtcDateTime, nullable=False),
    Column("used_at", UtcDateTime),
    Column("blob", String),  # NULL: of a release without tenants, keys/<digest>
    Column("problem", JSON),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("state", String, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("started_at", UtcDateTime),
    Column("finished_at", UtcDateTime),
    # who works on it
    Column("worker", String),
    Column("fence", Integer, nullable=False, default=0),
    Column("attempts", Integer, nullable=False, default=0),
    Column("lease_until", Float),
    # whose it is, and when it is its turn
    Column("tenant", String, nullable=False, server_default=DEFAULT_TENANT),
    Column("due", Float, nullable=False, server_default="0"),
    Column("predicted_memory_bytes", BigInteger),
    # what it is about; digests, never bytes
    Column("evaluation_keys", String, nullable=False),
    Column("model_name", String),
    Column("model_version", Integer),
    Column("model_digest", String),
    Column("records", Integer),
    Column("plan", JSON),
    Column("predicted_seconds", Float),
    Column("record_blob", String),
    Column("record_bytes", BigInteger),
    # how far it is
    Column("bootstraps_done", BigInteger, nullable=False, default=0),
    Column("bootstraps_total", BigInteger, nullable=False, default=0),
    Column("layers_done", Integer, nullable=False, default=0),
    Column("checkpoint_blob", String),
    Column("result_blob", String),
    Column("evaluation_seconds", Float, nullable=False, default=0.0),
    Column("threads", Integer),
    Column("problem", JSON),
    # the request that made it
    Column("idempotency_key", String),
    Column("request_digest", String),
    Column("traceparent", String),
    UniqueConstraint("tenant", "idempotency_key", name="uq_jobs_tenant_idempotency_key"),
    Index("jobs_by_state", "state", "created_at"),
    Index("jobs_by_tenant", "tenant", "state"),
)

calibration = Table(
    "calibration",
    metadata,
    Column("profile", String, primary_key=True),
    Column("rates", JSON, nullable=False),
    Column("correction", Float, nullable=False),
)

turns = Table(
    "turns",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("virtual_seconds", Float, nullable=False),
)
"""One row: where tenants that come back begin (``jobs.turns``)."""

usage = Table(
    "usage",
    metadata,
    Column("tenant", String, primary_key=True),
    Column("day", Date, primary_key=True),  # UTC
    Column("predictions", BigInteger, nullable=False),
    Column("bootstraps", BigInteger, nullable=False),
    Column("evaluation_seconds", Float, nullable=False),
)

audit_events = Table(
    "audit_events",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("at", UtcDateTime, nullable=False),
    Column("tenant", String, nullable=False),
    Column("actor", String, nullable=False),
    Column("action", String, nullable=False),
    Column("subject", String, nullable=False),
    Index("audit_events_by_time", "at"),
)

workers = Table(
    "workers",
    metadata,
    Column("name", String, primary_key=True),
    Column("started_at", UtcDateTime, nullable=False),
    Column("seen", Float, nullable=False),  # by the database's clock
    Column("facts", JSON, nullable=False),
)
"""Workers and what they last said of themselves; one that is not seen any more is removed after a while."""

counters = Table(
    "counters",
    metadata,
    Column("name", String, primary_key=True),
    Column("labels", String, primary_key=True),  # canonical JSON
    Column("value", Float, nullable=False),
)
"""What all workers have counted since there is this database (``observability.tally``)."""

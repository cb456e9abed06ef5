"""The tables and the connection. SQLite by default; nothing here is special to it but :func:`_configure_sqlite`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    DateTime,
    Engine,
    Float,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    create_engine,
    event,
    insert,
    inspect,
    select,
)
from sqlalchemy.engine import make_url
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """A moment with its time zone, also on databases that store none."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:  # noqa: ARG002
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:  # noqa: ARG002
        return None if value is None else value.replace(tzinfo=UTC)


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

tokens = Table(
    "tokens",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("scope", String, nullable=False),
    Column("sha256", String, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

evaluation_keys = Table(
    "evaluation_keys",
    metadata,
    Column("digest", String, primary_key=True),
    Column("profile", String, nullable=False),
    Column("state", String, nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("uploaded_at", UtcDateTime, nullable=False),
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
    # what it is about; digests, never bytes
    Column("evaluation_keys", String, nullable=False),
    Column("model_name", String),
    Column("model_version", Integer),
    Column("model_digest", String),
    Column("records", Integer),
    Column("plan", JSON),
    Column("predicted_seconds", Float),
    Column("record_blob", String),
    # how far it is
    Column("bootstraps_done", Integer, nullable=False, default=0),
    Column("bootstraps_total", Integer, nullable=False, default=0),
    Column("layers_done", Integer, nullable=False, default=0),
    Column("checkpoint_blob", String),
    Column("result_blob", String),
    Column("evaluation_seconds", Float, nullable=False, default=0.0),
    Column("threads", Integer),
    Column("problem", JSON),
    # the request that made it
    Column("idempotency_key", String, unique=True),
    Column("request_digest", String),
    Index("jobs_by_state", "state", "created_at"),
)

calibration = Table(
    "calibration",
    metadata,
    Column("profile", String, primary_key=True),
    Column("rates", JSON, nullable=False),
    Column("correction", Float, nullable=False),
)


def open_database(url: str) -> Engine:
    """Connect and make the tables that are missing."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":
        _configure_sqlite(engine)
    with engine.begin() as connection:
        known = set(inspect(connection).get_table_names())
        metadata.create_all(connection)
        if model_versions.name in known and releases.name not in known:
            _release_earlier_versions(connection)
    return engine


def _release_earlier_versions(connection: Connection) -> None:
    """Of a database of a release without aliases, where the newest version answered: each was stable in its turn."""
    order = (model_versions.c.name, model_versions.c.version)
    for row in connection.execute(select(model_versions).order_by(*order)).all():
        before = None if row.version == 1 else row.version - 1
        connection.execute(
            insert(releases).values(
                name=row.name,
                alias="stable",
                number=row.version,
                version=row.version,
                before=before,
                released_at=row.published_at,
            )
        )


def reading(database: Engine) -> Connection:
    """A connection that only reads: on SQLite it waits for no writer and hinders none."""
    return database.execution_options(read_only=True).connect()


def _configure_sqlite(engine: Engine) -> None:
    """Write-ahead log, durable commits, patience with other processes, and transactions that lock at their beginning.

    pysqlite would begin a transaction late and deadlock two writers that have both read; see "Serializable isolation"
    in SQLAlchemy's SQLite dialect.
    """

    @event.listens_for(engine, "connect")
    def connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA busy_timeout=30000")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        read_only = connection.get_execution_options().get("read_only", False)
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

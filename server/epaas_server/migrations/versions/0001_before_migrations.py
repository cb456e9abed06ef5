"""The schema that releases had before there were migrations; what of it is there already stays as it is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_metadata = sa.MetaData()

_model_versions = sa.Table(
    "model_versions",
    _metadata,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("digest", sa.String, nullable=False),
    sa.Column("manifest", sa.JSON, nullable=False),
    sa.Column("task", sa.String, nullable=False),
    sa.Column("plan", sa.JSON, nullable=False),
    sa.Column("cost", sa.JSON, nullable=False),
    sa.Column("published_at", sa.DateTime, nullable=False),
    sa.UniqueConstraint("name", "digest"),
)
_releases = sa.Table(
    "releases",
    _metadata,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("alias", sa.String, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("before", sa.Integer),
    sa.Column("released_at", sa.DateTime, nullable=False),
    sa.ForeignKeyConstraint(["name", "version"], ["model_versions.name", "model_versions.version"]),
)
sa.Table(
    "tokens",
    _metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("name", sa.String, nullable=False),
    sa.Column("scope", sa.String, nullable=False),
    sa.Column("sha256", sa.String, nullable=False),
    sa.Column("created_at", sa.DateTime, nullable=False),
)
sa.Table(
    "evaluation_keys",
    _metadata,
    sa.Column("digest", sa.String, primary_key=True),
    sa.Column("profile", sa.String, nullable=False),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("bytes", sa.Integer, nullable=False),
    sa.Column("uploaded_at", sa.DateTime, nullable=False),
    sa.Column("problem", sa.JSON),
)
sa.Table(
    "jobs",
    _metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("created_at", sa.DateTime, nullable=False),
    sa.Column("started_at", sa.DateTime),
    sa.Column("finished_at", sa.DateTime),
    sa.Column("worker", sa.String),
    sa.Column("fence", sa.Integer, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("lease_until", sa.Float),
    sa.Column("evaluation_keys", sa.String, nullable=False),
    sa.Column("model_name", sa.String),
    sa.Column("model_version", sa.Integer),
    sa.Column("model_digest", sa.String),
    sa.Column("records", sa.Integer),
    sa.Column("plan", sa.JSON),
    sa.Column("predicted_seconds", sa.Float),
    sa.Column("record_blob", sa.String),
    sa.Column("bootstraps_done", sa.Integer, nullable=False),
    sa.Column("bootstraps_total", sa.Integer, nullable=False),
    sa.Column("layers_done", sa.Integer, nullable=False),
    sa.Column("checkpoint_blob", sa.String),
    sa.Column("result_blob", sa.String),
    sa.Column("evaluation_seconds", sa.Float, nullable=False),
    sa.Column("threads", sa.Integer),
    sa.Column("problem", sa.JSON),
    sa.Column("idempotency_key", sa.String),
    sa.Column("request_digest", sa.String),
    sa.UniqueConstraint("idempotency_key", name="uq_jobs_idempotency_key"),
    sa.Index("jobs_by_state", "state", "created_at"),
)
sa.Table(
    "calibration",
    _metadata,
    sa.Column("profile", sa.String, primary_key=True),
    sa.Column("rates", sa.JSON, nullable=False),
    sa.Column("correction", sa.Float, nullable=False),
)


def upgrade() -> None:
    connection = op.get_bind()
    known = set(sa.inspect(connection).get_table_names())
    _metadata.create_all(connection)
    if _model_versions.name in known and _releases.name not in known:
        _release_earlier_versions(connection)


def _release_earlier_versions(connection: sa.Connection) -> None:
    """Of a release without aliases, where the newest version answered: each was stable in its turn."""
    columns = (_model_versions.c.name, _model_versions.c.version, _model_versions.c.published_at)
    for row in connection.execute(sa.select(*columns).order_by(*columns[:2])).all():
        connection.execute(
            sa.insert(_releases).values(
                name=row.name,
                alias="stable",
                number=row.version,
                version=row.version,
                before=None if row.version == 1 else row.version - 1,
                released_at=row.published_at,
            )
        )

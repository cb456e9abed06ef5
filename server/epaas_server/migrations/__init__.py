"""Bringing a database to the schema of this release, with Alembic.

Each migration may run while processes of the release before go on working: it adds what these do not miss (columns
with defaults, tables, wider keys), and what nobody uses any more goes a release later. The first, ``0001``, makes what
is missing of the schema that releases had before there were migrations, so that their databases need no mark.
"""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, text

from epaas_shared.errors import ConfigurationError

_LOCK = 5_242_001_944
"""Of PostgreSQL, so that one process migrates at a time."""


def upgrade(database: Engine) -> str:
    """Migrate to the newest schema, all or nothing, and return its name. One process at a time; the others wait.

    A schema of a later release stays as it is.
    """
    found = present(database)
    if found is not None and _is_served(found):
        return found  # without waiting for whoever writes
    with database.begin() as connection:
        if database.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL statement_timeout = 0"))  # a large table takes what it takes
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        configuration = _configuration()
        configuration.attributes["connection"] = connection
        command.upgrade(configuration, newest())
    return newest()


def present(database: Engine) -> str | None:
    """The name of the database's schema; None before the first migration."""
    with database.execution_options(read_only=True).connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def newest() -> str:
    """The name of this release's schema."""
    head = ScriptDirectory.from_config(_configuration()).get_current_head()
    assert head is not None
    return head


def check(database: Engine) -> None:
    """Raises :class:`ConfigurationError` for a schema older than this release's.

    One that is newer serves this release too, as long as the release is the one before.
    """
    found = present(database)
    if found is not None and _is_served(found):
        return
    raise ConfigurationError(
        f"has the schema {found or 'of no release'}, this release needs {newest()}",
        field="database",
        hint="`epaas-server database migrate` brings it there; processes of the release before may go on meanwhile",
    )


def _is_served(schema: str) -> bool:
    """Whether it is this release's, or a newer one."""
    known = {script.revision for script in ScriptDirectory.from_config(_configuration()).walk_revisions()}
    return schema == newest() or schema not in known


def _configuration() -> Config:
    configuration = Config()
    configuration.set_main_option("script_location", "epaas_server:migrations")
    return configuration

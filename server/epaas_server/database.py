"""The connection: SQLite by default, or another database by URL; nothing is special to SQLite but its configuration.

An SQLite database is brought to the newest schema when it is opened. Another one, which several releases may be
working on at once, is migrated by command (``epaas-server database migrate``) and only looked at here.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Float, create_engine, event, literal_column
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, NoSuchModuleError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.sql.elements import ColumnElement

from epaas_server import migrations
from epaas_shared.errors import ConfigurationError, Unavailable

_POSTGRESQL_OPTIONS = "-c lock_timeout=10000 -c statement_timeout=60000 -c idle_in_transaction_session_timeout=30000"
"""Nobody waits for ever on another process that hangs, nor holds locks for it."""
_CONNECTION: dict[str, Any] = {
    "options": _POSTGRESQL_OPTIONS,
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""A host that is lost without a word is noticed in about ten seconds."""
_SQLITE_SECONDS = 30
"""How long a process waits for others that write."""
_DISK_FULL, _READ_ONLY = "53100", "25006"


def database_url(url: str, password_file: str = "") -> URL:
    """The address with the password of a file, which no environment and no list of processes shows.

    Raises :class:`ConfigurationError`.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ConfigurationError(
            "is not the address of a database",
            field="database_url",
            hint="postgresql+psycopg://USER@HOST/DATABASE, or sqlite:////PATH",
        ) from None
    if not password_file:
        return parsed
    try:
        return parsed.set(password=Path(password_file).read_text().strip())
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot be read: {error}", field="database_password_file") from None


def connect(url: URL) -> Engine:
    """A pool of connections to a database, whatever its schema. Raises :class:`ConfigurationError`."""
    if url.get_backend_name() == "sqlite":
        if url.database:
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(url)
        _configure_sqlite(engine)
        return engine
    try:
        return create_engine(
            url,
            pool_pre_ping=True,
            pool_size=10,
            max_overflow=30,
            pool_timeout=10,
            connect_args=_CONNECTION,
        )
    except (ModuleNotFoundError, NoSuchModuleError) as missing:
        raise ConfigurationError(
            f"needs a driver that is not installed: {missing}",
            field="database_url",
            hint="`pip install epaas[postgres]`, and an address that begins with postgresql+psycopg://",
        ) from None


def open_database(url: str, password_file: str = "") -> Engine:
    """Connect to a database of the present schema.

    Raises :class:`ConfigurationError` where it has another, :class:`Unavailable` where it does not answer.
    """
    engine = connect(database_url(url, password_file))
    try:
        with answering():
            if engine.dialect.name == "sqlite":
                migrations.upgrade(engine)
            else:
                migrations.check(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine


@contextmanager
def answering() -> Iterator[None]:
    """Turns what a driver says of a database that does not answer into :class:`Unavailable`."""
    try:
        yield
    except OperationalError as error:
        raise Unavailable(
            f"the database does not answer: {str(error.orig).splitlines()[0]}",
            hint="look at EPAAS_SERVER_DATABASE_URL, and whether the database runs",
        ) from None


DATABASE_ERRORS = (DBAPIError, PoolTimeout)
"""What is raised of a database; :func:`is_away` says of which it is worth trying again."""


def is_away(error: BaseException) -> bool:
    """Whether the database did not answer, ended the connection or gave the transaction up, for this time."""
    if isinstance(error, (OperationalError, InterfaceError, PoolTimeout)):
        return True
    if not isinstance(error, DBAPIError):
        return False
    read_only = getattr(error.orig, "sqlstate", None) == _READ_ONLY  # by a standby, until it is the primary
    return error.connection_invalidated or read_only


def is_full(error: BaseException) -> bool:
    """Whether the database's disk is full."""
    cause = error.orig if isinstance(error, DBAPIError) else None
    return getattr(cause, "sqlstate", None) == _DISK_FULL or "disk is full" in str(cause)


def reading(database: Engine) -> Connection:
    """A connection that only reads: on SQLite it waits for no writer and hinders none."""
    return database.execution_options(read_only=True).connect()


def clock(database: Engine) -> ColumnElement[float]:
    """Seconds since 1970 by the database's own clock, the one that all processes share.

    Not ``unixepoch('subsec')``: it is NULL before SQLite 3.42, and a NULL lease never runs out.
    """
    if database.dialect.name == "sqlite":
        return literal_column("((julianday('now') - 2440587.5) * 86400.0)", Float)
    return literal_column("extract(epoch from clock_timestamp())", Float)


def _configure_sqlite(engine: Engine) -> None:
    """Write-ahead log, durable commits, patience with other processes, and transactions that lock at their beginning.

    pysqlite would begin a transaction late and deadlock two writers that have both read; see "Serializable isolation"
    in SQLAlchemy's SQLite dialect.
    """

    @event.listens_for(engine, "connect")
    def connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={1000 * _SQLITE_SECONDS}")
        _write_ahead(cursor)
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        read_only = connection.get_execution_options().get("read_only", False)
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def _write_ahead(cursor: sqlite3.Cursor) -> None:
    """Of those that go over to it at once, in a new database, SQLite refuses some without waiting."""
    deadline = time.monotonic() + _SQLITE_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return

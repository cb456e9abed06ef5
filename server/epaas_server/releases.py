"""Which versions a model's aliases name, and how that changes: in transactions of the caller, by rows that only add up.

A release is a row: its number counts up a model and alias, and ``before`` is the number of the one that a roll back
returns to, so that each row is the top of a stack. A promotion puts a version on the present stack; a roll back adds a
row whose stack is that below the present top. Rolled back twice is thus two back, and nothing is ever forgotten.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, func, insert, select

from epaas_server.tables import model_versions, releases
from epaas_shared.errors import Conflict, ModelNotFound
from epaas_shared.protocol import Alias, Release

_LOCK = 5_242_001_945


def lock(connection: Connection, name: str) -> dict[int, str]:
    """The digests of a model's versions; whoever else changes the model waits until this transaction ends.

    On SQLite a transaction that may write is alone from its beginning. On PostgreSQL those that publish or promote
    come one after the other, whatever the model: the first version of one has no row that could be locked, and models
    of one task must agree on its schema.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    query = select(model_versions.c.version, model_versions.c.digest).filter_by(name=name)
    rows = connection.execute(query.order_by(model_versions.c.version))
    return {row.version: row.digest for row in rows}


def stable_version(name: str) -> Select[Any]:
    """The query of the version that answers requests by the model's name."""
    return (
        select(model_versions)
        .join(releases, (releases.c.name == model_versions.c.name) & (releases.c.version == model_versions.c.version))
        .where(releases.c.name == name, releases.c.alias == Alias.STABLE.value)
        .order_by(releases.c.number.desc())
        .limit(1)
    )


def aliases(connection: Connection, name: str) -> dict[Alias, int]:
    """What each alias of a model names at present; one that has never named anything is left out."""
    tops = {alias: _top(connection, name, alias) for alias in Alias}
    return {alias: top.version for alias, top in tops.items() if top is not None}


def history(connection: Connection, name: str) -> list[Release]:
    """What was stable when, from the first on."""
    rows = connection.execute(
        select(releases).filter_by(name=name, alias=Alias.STABLE.value).order_by(releases.c.number)
    )
    return [Release(version=row.version, released_at=row.released_at) for row in rows]


def release(connection: Connection, name: str, alias: Alias, version: int, expected: int | None = None) -> None:
    """Let the alias name a version; nothing changes where it does already.

    The model must be locked. Raises :class:`Conflict` where another version than ``expected`` is named by now.
    """
    top = _top(connection, name, alias)
    if top is not None and top.version == version:
        return
    _check_expected(top, alias, expected)
    _add(connection, name, alias, top, version, None if top is None else top.number)


def roll_back(connection: Connection, name: str, expected: int | None = None) -> None:
    """Make the version stable that was so before the present one.

    The model must be locked. Raises :class:`Conflict` where there is none, or where another version than ``expected``
    is stable by now, as it is when a request that succeeded is repeated.
    """
    top = _top(connection, name, Alias.STABLE)
    if top is None:
        raise ModelNotFound(f"there is no stable version of a model named {name[:80]!r}", field="model")
    _check_expected(top, Alias.STABLE, expected)
    if top.before is None:
        raise Conflict(
            f"version {top.version} of {name} is the first that was stable; there is none to go back to",
            hint="promote another version instead",
        )
    query = select(releases).filter_by(name=name, alias=Alias.STABLE.value, number=top.before)
    below = connection.execute(query).one()
    _add(connection, name, Alias.STABLE, top, below.version, below.before)


def _top(connection: Connection, name: str, alias: Alias) -> Row[Any] | None:
    query = select(releases).filter_by(name=name, alias=alias.value).order_by(releases.c.number.desc()).limit(1)
    return connection.execute(query).first()


def _check_expected(top: Row[Any] | None, alias: Alias, expected: int | None) -> None:
    if expected is None or (top is not None and top.version == expected):
        return
    named = "no version" if top is None else f"version {top.version}"
    raise Conflict(
        f"{named} is {alias.value} by now, not version {expected}",
        field="expected",
        hint="look at the versions and decide again",
    )


def _add(
    connection: Connection, name: str, alias: Alias, top: Row[Any] | None, version: int, before: int | None
) -> None:
    connection.execute(
        insert(releases).values(
            name=name,
            alias=alias.value,
            number=1 if top is None else top.number + 1,
            version=version,
            before=before,
            released_at=datetime.now(UTC),
        )
    )

"""Tokens that allow what is not open to everybody. A token is shown once; what is kept is its SHA-256.

A token is ``epaas_ID_SECRET``: the id finds the row and is no secret, the secret has 256 random bits, so that a plain
digest hides it and guessing needs no slowing down.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, delete, insert, select

from epaas_server.database import reading
from epaas_server.scopes import Scope
from epaas_server.tables import DEFAULT_TENANT, tokens
from epaas_server.tenants import lock_tenant
from epaas_shared.errors import Forbidden, TokenNotFound, Unauthorised

_PREFIX = "epaas"
_WITHOUT_DIGEST = [column for column in tokens.c if column is not tokens.c.sha256]


@dataclass(frozen=True)
class Token:
    """What is known of a token; not the token itself."""

    id: str
    name: str
    scope: str
    """Scopes parted by spaces: each a :class:`Scope`, or one that another release of the server has given."""
    created_at: datetime
    tenant: str
    expires_at: datetime | None

    @property
    def scopes(self) -> frozenset[str]:
        return frozenset(self.scope.split())

    def require(self, scope: Scope) -> None:
        """Raises :class:`Forbidden`."""
        if scope.value not in self.scopes:
            raise Forbidden(f"the token allows {self.scope!r}; this needs {scope.value!r}", field="Authorization")


@dataclass(frozen=True)
class TokenStore:
    database: Engine

    def create(
        self,
        name: str,
        scopes: Collection[Scope],
        tenant: str = DEFAULT_TENANT,
        lifetime: timedelta | None = None,
    ) -> tuple[Token, str]:
        """A new token and its text, which nobody can see again. Raises :class:`TenantNotFound`."""
        now = datetime.now(UTC)
        scope = " ".join(each.value for each in Scope if each in scopes)
        token = Token(secrets.token_hex(8), name, scope, now, tenant, None if lifetime is None else now + lifetime)
        text = f"{_PREFIX}_{token.id}_{secrets.token_hex(32)}"
        with self.database.begin() as connection:
            lock_tenant(connection, tenant)
            connection.execute(insert(tokens).values(**vars(token), sha256=_sha256(text)))
        return token, text

    def all(self) -> list[Token]:
        """The tokens that were not revoked, from the oldest on."""
        with reading(self.database) as connection:
            rows = connection.execute(select(*_WITHOUT_DIGEST).order_by(tokens.c.created_at, tokens.c.id))
            return [Token(**row._mapping) for row in rows]

    def revoke(self, token_id: str) -> Token:
        """Let a token allow nothing from now on. Raises :class:`TokenNotFound`."""
        with self.database.begin() as connection:
            row = connection.execute(delete(tokens).filter_by(id=token_id).returning(*_WITHOUT_DIGEST)).first()
        if row is None:
            raise TokenNotFound(f"there is no token with the id {token_id[:40]!r}", field="id")
        return Token(**row._mapping)

    def known(self, text: str | None) -> Token:
        """The token of this text. Raises :class:`Unauthorised` for what is no valid token."""
        if text is None:
            raise Unauthorised("there is no token in the request", field="Authorization")
        _, _, rest = text.partition("_")
        with reading(self.database) as connection:
            row = connection.execute(select(tokens).filter_by(id=rest.partition("_")[0])).first()
        # an id that is not known takes as long as a wrong secret
        same = hmac.compare_digest(_sha256(text), row.sha256 if row else _sha256(""))
        if row is None or not same:
            raise Unauthorised("the token is not known here, or was revoked", field="Authorization")
        token = Token(**{column.name: row._mapping[column.name] for column in _WITHOUT_DIGEST})
        if token.expires_at is not None and token.expires_at <= datetime.now(UTC):
            raise Unauthorised("the token has expired", field="Authorization")
        return token


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()

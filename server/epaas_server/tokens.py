"""Tokens that allow what is not open to everybody. A token is shown once; what is kept is its SHA-256.

A token is ``epaas_ID_SECRET``: the id finds the row and is no secret, the secret has 256 random bits.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Engine, delete, insert, select

from epaas_server.database import reading, tokens
from epaas_server.scopes import Scope
from epaas_shared.errors import Forbidden, TokenNotFound, Unauthorised

_PREFIX = "epaas"


@dataclass(frozen=True)
class Token:
    """What is known of a token; not the token itself."""

    id: str
    name: str
    scope: str
    """A :class:`Scope`, or one that another release of the server has given."""
    created_at: datetime


@dataclass(frozen=True)
class TokenStore:
    database: Engine

    def create(self, name: str, scope: Scope) -> tuple[Token, str]:
        """A new token and its text, which nobody can see again."""
        token = Token(secrets.token_hex(8), name, scope.value, datetime.now(UTC))
        text = f"{_PREFIX}_{token.id}_{secrets.token_hex(32)}"
        with self.database.begin() as connection:
            connection.execute(insert(tokens).values(**vars(token), sha256=_sha256(text)))
        return token, text

    def all(self) -> list[Token]:
        """The tokens that are valid, from the oldest on."""
        columns = (tokens.c.id, tokens.c.name, tokens.c.scope, tokens.c.created_at)
        with reading(self.database) as connection:
            rows = connection.execute(select(*columns).order_by(tokens.c.created_at, tokens.c.id))
            return [Token(**row._mapping) for row in rows]

    def revoke(self, token_id: str) -> None:
        """Let a token allow nothing from now on. Raises :class:`TokenNotFound`."""
        with self.database.begin() as connection:
            if connection.execute(delete(tokens).filter_by(id=token_id)).rowcount == 0:
                raise TokenNotFound(f"there is no token with the id {token_id[:40]!r}", field="id")

    def check(self, text: str | None, scope: Scope) -> None:
        """Raises :class:`Unauthorised` for what is no valid token, :class:`Forbidden` for one of another scope."""
        if text is None:
            raise Unauthorised("there is no token in the request", field="Authorization")
        _, _, rest = text.partition("_")
        with reading(self.database) as connection:
            row = connection.execute(select(tokens).filter_by(id=rest.partition("_")[0])).first()
        # an id that is not known takes as long as a wrong secret
        same = hmac.compare_digest(_sha256(text), row.sha256 if row else _sha256(""))
        if row is None or not same:
            raise Unauthorised("the token is not known here, or was revoked", field="Authorization")
        if row.scope != scope.value:
            raise Forbidden(f"the token allows {row.scope!r}; this needs {scope.value!r}", field="Authorization")


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()

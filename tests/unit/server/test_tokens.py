"""Tokens: shown once, kept as digests, of one scope."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, insert, select

from epaas_server.database import reading
from epaas_server.scopes import Scope
from epaas_server.tables import tokens
from epaas_server.tenants import Quotas, TenantStore
from epaas_server.tokens import TokenStore
from epaas_shared.errors import Forbidden, TenantNotFound, TokenNotFound, Unauthorised


@pytest.fixture
def store(database: Engine) -> TokenStore:
    return TokenStore(database)


def test_a_token_allows_its_scope_until_it_is_revoked(store: TokenStore) -> None:
    token, text = store.create("training", [Scope.PUBLISH])
    other, other_text = store.create("training", [Scope.PUBLISH])
    store.known(text)
    assert store.all() == [token, other]
    store.revoke(token.id)
    with pytest.raises(Unauthorised):
        store.known(text)
    store.known(other_text)
    assert store.all() == [other]
    with pytest.raises(TokenNotFound):
        store.revoke(token.id)


def test_a_token_has_256_random_bits_and_is_kept_as_a_digest_only(
    store: TokenStore, stored_bytes: Callable[[], bytes]
) -> None:
    made = [store.create("one", [Scope.PUBLISH]) for _ in range(3)]
    texts = [text for _, text in made]
    assert all(re.fullmatch(r"epaas_[0-9a-f]{16}_[0-9a-f]{64}", text) for text in texts)
    assert len({text[-64:] for text in texts}) == 3
    stored = stored_bytes()
    assert made[0][0].id.encode() in stored, "the search would find what is there"
    assert not any(text[-64:].encode() in stored or bytes.fromhex(text[-64:]) in stored for text in texts)
    assert not any(text[-64:] in repr(token) for token, text in made)


@pytest.mark.parametrize(
    "wrong",
    ["", "x", "epaas_", "_", "epaas__", "epaas_0000000000000000_" + "0" * 64, "é", "a" * 10_000, "%' OR 1=1 --"],
)
def test_what_is_no_token_is_unauthorised(store: TokenStore, wrong: str) -> None:
    store.create("one", [Scope.PUBLISH])
    with pytest.raises(Unauthorised):
        store.known(wrong)


def test_no_token_is_unauthorised(store: TokenStore) -> None:
    with pytest.raises(Unauthorised):
        store.known(None)


def test_every_character_counts(store: TokenStore) -> None:
    _, text = store.create("one", [Scope.PUBLISH])
    for place in range(len(text)):
        changed = text[:place] + ("0" if text[place] != "0" else "1") + text[place + 1 :]
        with pytest.raises(Unauthorised):
            store.known(changed)
    for changed in (text[:-1], text + "0", text.upper(), f" {text}"):
        with pytest.raises(Unauthorised):
            store.known(changed)


def test_a_token_of_another_scope_is_known_but_forbidden(store: TokenStore, database: Engine) -> None:
    """Also one that another release of the server, which has more scopes, has left."""
    _, text = store.create("one", [Scope.PUBLISH])
    with reading(database) as connection:
        digest = connection.execute(select(tokens.c.sha256)).scalar()
    with database.begin() as connection:
        connection.execute(tokens.delete())
        connection.execute(
            insert(tokens).values(
                id=text.split("_")[1], name="later", scope="dream", sha256=digest, created_at=datetime.now(UTC)
            )
        )
    with pytest.raises(Forbidden) as caught:
        store.known(text).require(Scope.PUBLISH)
    assert "'dream'" in caught.value.detail
    assert [token.scope for token in store.all()] == ["dream"]


def test_a_token_may_have_several_scopes_and_has_no_others(store: TokenStore) -> None:
    _, text = store.create("one", [Scope.PUBLISH, Scope.PREDICT])
    token = store.known(text)
    assert token.scope == "predict publish"
    token.require(Scope.PREDICT)
    token.require(Scope.PUBLISH)
    with pytest.raises(Forbidden):
        token.require(Scope.ADMIN)


def test_a_token_belongs_to_a_tenant_that_there_is(store: TokenStore, database: Engine) -> None:
    with pytest.raises(TenantNotFound):
        store.create("one", [Scope.PREDICT], "st-mary")
    TenantStore(database, Quotas()).create("st-mary")
    _, text = store.create("one", [Scope.PREDICT], "st-mary")
    assert store.known(text).tenant == "st-mary"
    assert store.known(store.create("two", [Scope.PREDICT])[1]).tenant == "default"


def test_a_token_expires(store: TokenStore) -> None:
    _, lasting = store.create("one", [Scope.PREDICT], lifetime=timedelta(hours=1))
    _, over = store.create("two", [Scope.PREDICT], lifetime=timedelta(seconds=-1))
    store.known(lasting)
    with pytest.raises(Unauthorised, match="expired"):
        store.known(over)

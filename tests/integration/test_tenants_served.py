"""Nobody sees, uses or disturbs what another tenant has, nor learns that it has it. Over all routes that there are."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from epaas_server.api.app import create_app
from epaas_server.scopes import Scope
from epaas_server.settings import Settings
from epaas_shared.protocol import PROBLEM_MEDIA_TYPE
from tests.conftest import ClientKeys
from tests.integration.processes import wait_until
from tests.integration.tenant_making import Office, Tenant, connect, open_office, record_of, under

OPEN = None
SCOPES: dict[str, Scope | None] = {
    "show_models_page": OPEN,
    "show_comparison_page": OPEN,
    "list_models": OPEN,
    "get_model": OPEN,
    "list_model_versions": OPEN,
    "show_versions_page": OPEN,
    "get_model_version": OPEN,
    "get_model_report": OPEN,
    "get_model_report_json": OPEN,
    "show_model_report_page": OPEN,
    "get_schema": OPEN,
    "health": OPEN,
    "readiness": OPEN,
    "metrics": OPEN,
    "put_evaluation_keys": Scope.PREDICT,
    "get_evaluation_keys": Scope.PREDICT,
    "head_evaluation_keys": Scope.PREDICT,
    "delete_evaluation_keys": Scope.PREDICT,
    "create_prediction": Scope.PREDICT,
    "get_prediction": Scope.PREDICT,
    "stream_prediction_events": Scope.PREDICT,
    "get_prediction_result": Scope.PREDICT,
    "cancel_prediction": Scope.PREDICT,
    "delete_prediction": Scope.PREDICT,
    "get_usage": Scope.PREDICT,
    "publish_version": Scope.PUBLISH,
    "promote_version": Scope.PUBLISH,
    "roll_back_model": Scope.PUBLISH,
    "list_tenants": Scope.ADMIN,
    "erase_tenant_data": Scope.ADMIN,
    "read_audit_log": Scope.ADMIN,
}
"""Who may ask for what. A new route must be put here before the tests pass."""

NOT_THERE = hashlib.sha256(b"no such thing").hexdigest()


@dataclass(frozen=True)
class Operation:
    id: str
    method: str
    path: str

    @property
    def scope(self) -> Scope | None:
        return SCOPES.get(self.id)

    def ask(self, http: httpx.Client, headers: Sequence[tuple[bytes, bytes]] = (), **parameters: str) -> httpx.Response:
        """Whatever is not given is of things that could be there."""
        known = {"digest": NOT_THERE, "prediction_id": NOT_THERE[:32], "name": "toy", "version": "1"}
        return http.request(self.method, self.path.format(**{**known, **parameters}), headers=headers)


def operations() -> list[Operation]:
    document: dict[str, Any] = create_app(Settings()).openapi()
    return [
        Operation(operation["operationId"], method.upper(), path)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


ALL = operations()
IDENTIFYING = {"digest", "prediction_id"}
"""Names of what tenants have, in paths."""
OF_A_TENANT = [operation for operation in ALL if operation.scope is Scope.PREDICT and "{" in operation.path]
LOOKING_UP = [operation for operation in OF_A_TENANT if operation.id != "put_evaluation_keys"]


def by_id(operation: Operation) -> str:
    return operation.id


@dataclass(frozen=True)
class World:
    office: Office
    ann: Tenant
    bob: Tenant
    keys: ClientKeys
    frame: bytes
    done: str
    """A prediction of ann's that has succeeded."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, keys: ClientKeys) -> Iterator[World]:
    """A server that asks for tokens; ann has keys and predictions, bob has nothing."""
    with open_office(tmp_path_factory.mktemp("tenants"), authentication="tokens") as office:
        ann, bob = office.tenant("ann-ltd"), office.tenant("bob-ltd")
        ann.have_keys(keys)
        frame = record_of(keys)
        yield World(office, ann, bob, keys, frame, ann.finished(frame))


def seen(answer: httpx.Response, identifier: str) -> tuple[int, dict[str, str], str]:
    """All that an answer tells, without the id that was asked for."""
    headers = {name: value for name, value in answer.headers.items() if name not in ("date", "x-request-id")}
    text = answer.text.replace(identifier, "ID").replace(identifier[:12], "ID")
    return answer.status_code, headers, text


def test_every_route_says_who_may_ask() -> None:
    document: dict[str, Any] = create_app(Settings()).openapi()
    assert {operation.id for operation in ALL} == set(SCOPES)
    secured = {
        operation["operationId"]
        for methods in document["paths"].values()
        for operation in methods.values()
        if operation.get("security") == [{"token": []}]
    }
    assert secured == {name for name, scope in SCOPES.items() if scope is not OPEN}
    named = {part.split("}")[0] for operation in OF_A_TENANT for part in operation.path.split("{")[1:]}
    assert named == IDENTIFYING, "a new kind of id: give it to the test of what is another's"


@pytest.mark.parametrize("operation", LOOKING_UP, ids=by_id)
def test_what_is_anothers_is_as_what_does_not_exist(world: World, operation: Operation) -> None:
    running = world.ann.asked(world.frame)
    for theirs in (running, world.done):
        answer = operation.ask(world.bob.http, digest=world.keys.digest, prediction_id=theirs)
        asked_for = world.keys.digest if "{digest}" in operation.path else theirs
        nothing = operation.ask(world.bob.http)
        assert answer.status_code == 404
        assert answer.headers["content-type"] == PROBLEM_MEDIA_TYPE
        assert seen(answer, asked_for) == seen(nothing, NOT_THERE if "{digest}" in operation.path else NOT_THERE[:32])
    # and it did nothing
    assert world.ann.http.get(f"/v1/evaluation-keys/{world.keys.digest}").json()["state"] == "ready"
    wait_until(lambda: world.ann.state(running) == "succeeded")
    for job in (running, world.done):
        result = world.ann.http.get(f"/v1/predictions/{job}/result")
        assert result.status_code == 200
        assert len(result.content) > 16_000


def test_another_sees_nothing_in_what_is_open(world: World) -> None:
    ids = {world.ann.name, world.done, world.keys.digest, world.keys.digest[:12], world.ann.token.split("_")[1]}
    with connect(world.office.server) as http:
        for operation in ALL:
            if operation.scope is OPEN:
                text = operation.ask(http).text
                assert not {each for each in ids if each in text}, operation.id
    assert world.bob.used() == {
        "keysets": 0,
        "stored_bytes": 0,
        "unfinished_predictions": 0,
        "seconds_today": 0.0,
        "predictions_today": 0,
    }


def test_keys_of_another_cannot_be_used(world: World) -> None:
    theirs = world.bob.ask(world.frame)
    nothing = world.bob.ask(under(world.frame, NOT_THERE))
    assert theirs.status_code == 404
    assert theirs.json()["code"] == "evaluation-keys-not-found"
    assert seen(theirs, world.keys.digest) == seen(nothing, NOT_THERE)
    named = {"Evaluation-Keys": world.keys.digest}
    assert seen(world.bob.ask(world.frame, **named), world.keys.digest) == seen(theirs, world.keys.digest)


def test_the_same_keys_of_two_tenants_are_two(world: World) -> None:
    cid = world.office.tenant("cid-ltd")
    path = f"/v1/evaluation-keys/{world.keys.digest}"
    uploaded = cid.put_keys(world.keys)
    assert (uploaded.status_code, uploaded.json()["state"]) == (201, "checking"), "as if nobody had them"
    assert cid.put_keys(world.keys).status_code == 200
    assert len(list(world.office.server.data_dir.glob("blobs/keys/cid-ltd/*"))) == 1
    wait_until(lambda: cid.http.get(path).json()["state"] == "ready")
    waiting = world.ann.asked(world.frame)
    assert cid.http.delete(path).status_code == 204
    assert cid.http.get(path).status_code == 404
    assert cid.ask(world.frame).status_code == 404
    assert list(world.office.server.data_dir.glob("blobs/keys/cid-ltd/*")) == []
    assert world.ann.http.get(path).json()["state"] == "ready"
    wait_until(lambda: world.ann.state(waiting) == "succeeded")
    world.ann.finished(world.frame)


def test_idempotency_keys_of_two_tenants_do_not_meet(world: World) -> None:
    dan = world.office.tenant("dan-ltd")
    dan.have_keys(world.keys)
    same = {"Idempotency-Key": "same"}
    of_ann, of_dan = world.ann.asked(world.frame, **same), dan.asked(world.frame, **same)
    assert of_ann != of_dan
    assert world.ann.asked(world.frame, **same) == of_ann
    assert dan.asked(world.frame, **same) == of_dan
    other = dan.ask(record_of(world.keys), **same)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency-conflict")
    assert of_ann not in other.text
    # what is erased may be asked for anew, and only by its owner
    assert world.ann.http.delete(f"/v1/predictions/{of_ann}").status_code == 204
    assert world.ann.asked(world.frame, **same) not in (of_ann, of_dan)
    assert dan.asked(world.frame, **same) == of_dan


@pytest.mark.parametrize("operation", [each for each in ALL if each.scope is not OPEN], ids=by_id)
def test_a_token_allows_what_its_scope_says(world: World, operation: Operation) -> None:
    assert operation.scope is not None
    others = [scope for scope in Scope if scope is not operation.scope]
    for scopes in ([others[0]], [others[1]], others):
        with connect(world.office.server, world.office.token("bob-ltd", scopes)[1]) as http:
            refused = operation.ask(http)
            assert refused.status_code == 403
            assert 'error="insufficient_scope"' in refused.headers["www-authenticate"]
            if operation.method != "HEAD":
                assert refused.json()["code"] == "forbidden"
                assert repr(operation.scope.value) in refused.json()["detail"]
    for scopes in ([operation.scope], list(Scope)):
        with connect(world.office.server, world.office.token("eve-ltd", scopes)[1]) as http:
            allowed = operation.ask(http, name="eve-ltd" if operation.scope is Scope.ADMIN else "toy")
            assert allowed.status_code not in (401, 403), allowed.text


@pytest.fixture(scope="module", autouse=True)
def _eve(world: World) -> None:
    """A tenant with nothing, so that what is done in its name harms nobody."""
    world.office.tenant("eve-ltd")


@pytest.fixture(scope="module")
def bad_authorisations(world: World) -> dict[str, str | None]:
    office = world.office
    expired = office.token("bob-ltd", list(Scope), timedelta(seconds=-1))[1]
    revoked_id, revoked = office.token("bob-ltd", list(Scope))
    office.services.tokens.revoke(revoked_id)
    gone = office.tenant("gone-ltd")
    of_nobody = office.token("gone-ltd", list(Scope))[1]
    office.services.tenants.delete(gone.name)
    good = office.token("bob-ltd", list(Scope))[1]
    wrong = good[:-1] + ("0" if good[-1] != "0" else "1")
    return {
        "none": None,
        "expired": f"Bearer {expired}",
        "revoked": f"Bearer {revoked}",
        "of a tenant that is gone": f"Bearer {of_nobody}",
        "a wrong secret": f"Bearer {wrong}",
        "the id alone": f"Bearer {'_'.join(good.split('_')[:2])}",
        "no secret": f"Bearer {'_'.join(good.split('_')[:2])}_",
        "another's secret": f"Bearer {'_'.join(good.split('_')[:2])}_{revoked.split('_')[2]}",
        "another scheme": f"Basic {good}",
        "no scheme": good,
        "nothing after the scheme": "Bearer",
        "two tokens": f"Bearer {good} {good}",
        "wildcards": "Bearer epaas_%_%",
        "not ASCII": "Bearer épaas",
    }


@pytest.mark.parametrize("operation", ALL, ids=by_id)
def test_without_a_valid_token_nothing_is_allowed_but_what_is_open(
    world: World, operation: Operation, bad_authorisations: dict[str, str | None]
) -> None:
    with connect(world.office.server) as http:
        for why, authorisation in bad_authorisations.items():
            headers = [] if authorisation is None else [(b"Authorization", authorisation.encode("latin-1"))]
            answer = operation.ask(http, headers, prediction_id=world.done, digest=world.keys.digest)
            if operation.scope is OPEN:
                assert answer.status_code not in (401, 403), (why, answer.text)
                continue
            assert answer.status_code == 401, (why, answer.text)
            assert answer.headers["www-authenticate"] == 'Bearer realm="epaas"'
            assert operation.method == "HEAD" or answer.json()["code"] == "unauthorised"


def test_a_token_counts_in_no_other_place(world: World) -> None:
    token = world.ann.token
    with connect(world.office.server) as http:
        for options in (
            {"params": {"access_token": token, "token": token}},
            {"headers": {"Cookie": f"token={token}; Authorization=Bearer {token}"}},
            {"headers": {"X-API-Key": token, "Proxy-Authorization": f"Bearer {token}"}},
        ):
            answer = http.get(f"/v1/predictions/{world.done}", **options)  # type: ignore[arg-type]
            assert answer.status_code == 401


def test_a_body_is_not_read_before_its_sender_is_known(world: World) -> None:
    """Half of 54 MB from nobody: the answer comes before the rest, and there is no file of them."""
    incoming = world.office.server.data_dir / "blobs" / "incoming"
    target = urlsplit(world.office.server.url)
    half = world.keys.frame[: len(world.keys.frame) // 2]
    head = f"PUT /v1/evaluation-keys/{world.keys.digest} HTTP/1.1\r\nHost: x\r\nContent-Length: {2 * len(half)}\r\n\r\n"
    with socket.create_connection((target.hostname, target.port), 60) as connection:
        connection.sendall(head.encode() + half)
        assert connection.recv(65536).startswith(b"HTTP/1.1 401 ")
        assert not [path for path in incoming.iterdir() if path.stat().st_size > 1_000_000]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """A server for one's own machine, where nobody needs a token. It evaluates nothing."""
    with open_office(tmp_path_factory.mktemp("home"), workers="0") as office:
        yield office


def test_where_no_tokens_are_asked_for_everybody_is_the_default_tenant(home: Office, keys: ClientKeys) -> None:
    path, frame = f"/v1/evaluation-keys/{keys.digest}", record_of(keys)
    ann = home.tenant("ann-ltd")
    assert ann.put_keys(keys).status_code == 201
    job = ann.asked(frame)
    with connect(home.server) as nobody:
        assert nobody.get("/v1/usage").json()["name"] == "default"
        assert nobody.get(path).status_code == 404
        for operation in LOOKING_UP:
            assert operation.ask(nobody, digest=keys.digest, prediction_id=job).status_code == 404, operation.id
        assert nobody.put(path, content=keys.frame).status_code == 201
        own = nobody.post("/v1/predictions", params={"model": "toy"}, content=frame).json()["id"]
        assert own != job
        # a token makes one its tenant here too, and a bad one nobody
        assert ann.http.get(f"/v1/predictions/{own}").status_code == 404
        assert home.tenant("default").state(own) == "queued"
        assert nobody.get(path, headers={"Authorization": "Bearer epaas_0_0"}).status_code == 401
        for operation in ALL:
            if operation.scope in (Scope.PUBLISH, Scope.ADMIN):
                assert operation.ask(nobody).status_code == 401, operation.id
        assert nobody.delete(path).status_code == 204
    assert ann.http.get(path).status_code == 200
    assert ann.state(job) == "queued"

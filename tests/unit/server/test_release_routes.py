"""Publishing over HTTP: who may, what is taken, what is answered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from acceptance_making import EVERYTHING, bundle_with, encrypted
from api_making import serving
from archive_making import bundle_files, zipped, zipped_bundle
from server_making import BundleParts

from epaas_server.registry import Registry
from epaas_server.scopes import Scope
from epaas_server.tokens import TokenStore
from epaas_shared.errors import error_class
from epaas_shared.protocol import Problem

VERSIONS, STABLE, BACK = "/v1/models/toy/versions", "/v1/models/toy/aliases/stable", "/v1/models/toy/rollback"
CHANGES = [("POST", VERSIONS), ("PUT", STABLE), ("POST", BACK)]


def archive(title: str, **changes: str) -> bytes:
    return zipped_bundle(BundleParts(changes={"title": title, **changes}))


@dataclass
class Provider:
    """Somebody with a token; ``http`` sends it with every request."""

    http: httpx.Client
    registry: Registry
    token: str
    data: Path

    def publish(self, title: str, **query: Any) -> httpx.Response:
        return self.http.post(VERSIONS, content=archive(title), params=query)

    def promote(self, version: int, **expected: int | None) -> httpx.Response:
        return self.http.put(STABLE, json={"version": version, **expected})

    def aliases(self) -> dict[str, int]:
        found: dict[str, int] = self.http.get(VERSIONS).json()["aliases"]
        return found


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    with serving(tmp_path) as (http, registry):
        _, token = TokenStore(registry.database).create("tests", [Scope.PUBLISH])
        http.headers["Authorization"] = f"Bearer {token}"
        yield Provider(http, registry, token, tmp_path / "data")


def problem(response: httpx.Response, status: int, code: str) -> Problem:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    found = Problem.model_validate_json(response.content)
    assert found.code == code
    assert error_class(code).status == status
    return found


def test_a_candidate_is_uploaded_promoted_and_rolled_back(provider: Provider) -> None:
    first = provider.publish("one", alias="stable")
    assert (first.status_code, first.headers["location"]) == (201, f"{VERSIONS}/1")
    second = provider.publish("two")
    assert (second.status_code, second.headers["location"]) == (201, f"{VERSIONS}/2")
    assert provider.http.get(second.headers["location"]).json() == second.json()
    assert provider.http.get("/v1/models/toy").json() == {
        **first.json(),
        "aliases": {"stable": 1, "candidate": 2},
    }
    promoted = provider.promote(2, expected=1)
    assert promoted.status_code == 200
    assert promoted.json() == {**second.json(), "aliases": {"stable": 2, "candidate": 2}}
    assert provider.http.get("/v1/models").json()["models"] == [second.json()]
    back = provider.http.post(BACK)
    assert back.json() == {**first.json(), "aliases": {"stable": 1, "candidate": 2}}
    listed = provider.http.get(VERSIONS).json()
    assert listed["name"] == "toy"
    assert listed["versions"] == [first.json(), second.json()]
    assert [release["version"] for release in listed["history"]] == [1, 2, 1]


def test_the_same_bundle_again_is_the_same_version(provider: Provider) -> None:
    first = provider.publish("one")
    again = provider.publish("one")
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert again.headers["location"] == first.headers["location"]
    assert provider.aliases() == {"candidate": 1}
    provider.publish("two", alias="stable")
    assert provider.publish("one", alias="stable").status_code == 200
    assert provider.aliases() == {"candidate": 1, "stable": 1}
    assert provider.http.post(BACK).json()["version"] == 2


def test_how_layers_are_evaluated_can_be_said(provider: Provider) -> None:
    published = provider.publish("one", strategy=["reduce-tree", "accumulate"])
    assert published.status_code == 201
    model = provider.registry.version("toy", 1)
    assert provider.registry.served(model.name, model.version).plan.strategies == ["reduce-tree", "accumulate"]
    assert published.json()["cost"]["bootstraps"] == model.cost.bootstraps
    refused = problem(provider.publish("two", strategy="quantum"), 422, "invalid-input")
    assert refused.field == "strategy"
    assert problem(provider.publish("two", trust_measured_ranges=True), 422, "invalid-input").field == (
        "trust_measured_ranges"
    )
    assert problem(provider.publish("two", alias="newest"), 422, "invalid-request").field == "query.alias"


def test_a_promotion_that_comes_too_late_is_refused(provider: Provider) -> None:
    for title in ("one", "two", "three"):
        provider.publish(title, alias="stable")
    assert problem(provider.promote(1, expected=2), 409, "conflict").field == "expected"
    late = provider.http.post(BACK, json={"expected": 2})
    assert problem(late, 409, "conflict").field == "expected"
    assert provider.aliases() == {"stable": 3}
    for _ in range(2):  # the second time there is nothing left to be done
        assert provider.promote(1, expected=3).json()["version"] == 1
    assert provider.promote(2, expected=None).json()["version"] == 2


def test_there_is_an_end_to_going_back(provider: Provider) -> None:
    for title in ("one", "two", "three"):
        provider.publish(title, alias="stable")
    assert [provider.http.post(BACK, json={}).json()["version"] for _ in range(2)] == [2, 1]
    assert "none to go back to" in problem(provider.http.post(BACK), 409, "conflict").detail


def test_what_is_not_there_is_not_found(provider: Provider) -> None:
    provider.publish("one")
    for response in (provider.promote(2), provider.http.post(BACK), provider.http.get("/v1/models/toy")):
        problem(response, 404, "model-not-found")
    problem(provider.http.get("/v1/models/other/versions"), 404, "model-not-found")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "body"),
        (b"{", "body"),
        (b"[]", "body"),
        (b"{}", "body.version"),
        (b'{"version": 0}', "body.version"),
        (b'{"version": "x"}', "body.version"),
        (b'{"version": 99999999999}', "body.version"),
        (b'{"version": 1, "expected": 0}', "body.expected"),
        (b'{"version": 1, "expcted": 1}', "body.expcted"),
        (b'{"version": \xff}', "body"),
    ],
)
def test_a_malformed_promotion_names_the_field(provider: Provider, body: bytes, field: str) -> None:
    assert problem(provider.http.put(STABLE, content=body), 422, "invalid-request").field == field


def test_an_instruction_has_a_limit(provider: Provider) -> None:
    body = b'{"version": 1' + b" " * 5000 + b"}"
    problem(provider.http.put(STABLE, content=body), 413, "payload-too-large")
    problem(provider.http.post(BACK, content=body), 413, "payload-too-large")


# Bodies


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "body"),
        (b"garbage" * 100, "body"),
        (zipped([("../manifest.json", b"")] * 1), "body"),
        (archive("one")[:-1], "body"),
        (archive("one", name="other"), "name"),
        (zipped({**bundle_files(), "report.json": b"{}"}.items()), "files.report.json"),
    ],
    ids=["nothing", "garbage", "traversal", "truncated", "of another model", "damaged"],
)
def test_a_body_that_is_no_bundle_of_the_model_is_refused(provider: Provider, body: bytes, field: str) -> None:
    assert problem(provider.http.post(VERSIONS, content=body), 422, "invalid-bundle").field == field
    assert left_behind(provider.data) == []


def left_behind(data: Path) -> list[str]:
    """Files of the data folder that are neither the database's nor of a version."""
    return sorted(
        str(path.relative_to(data)) for path in data.rglob("*") if path.is_file() and not path.name.startswith("epaas.")
    )


def test_a_bundle_over_the_limit_is_refused_and_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EPAAS_SERVER_MAX_BUNDLE_BYTES", "3000")
    with serving(tmp_path) as (http, registry):
        _, token = TokenStore(registry.database).create("tests", [Scope.PUBLISH])
        headers = {"Authorization": f"Bearer {token}"}

        def unannounced() -> Iterator[bytes]:
            yield archive("one")

        for body in (archive("one"), unannounced()):
            response = http.post(VERSIONS, content=body, headers=headers)
            problem(response, 413, "payload-too-large")
        assert left_behind(tmp_path / "data") == []


def test_an_upload_leaves_the_bundle_alone_behind(provider: Provider) -> None:
    model = provider.publish("one").json()
    folder = f"bundles/{model['digest']}"
    assert left_behind(provider.data) == sorted(f"{folder}/{name}" for name in bundle_files())


def test_everything_that_falls_short_is_in_the_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "acceptance.toml").write_text(EVERYTHING)
    monkeypatch.setenv("EPAAS_SERVER_ACCEPTANCE_FILE", str(tmp_path / "acceptance.toml"))
    with serving(tmp_path) as (http, registry):
        _, token = TokenStore(registry.database).create("tests", [Scope.PUBLISH])
        headers = {"Authorization": f"Bearer {token}"}
        body = zipped_bundle(bundle_with(accuracy=0.5))
        response = http.post(VERSIONS, content=body, headers=headers)
        found = problem(response, 422, "bundle-falls-short").shortfalls
        assert found is not None
        assert response.json()["shortfalls"] == [
            {"measure": "accuracy", "measured": 0.5, "required": 0.97, "bound": "at least"},
            {"measure": "encrypted_agreement", "required": 1.0, "bound": "at least"},
            {"measure": "encrypted_rows", "measured": 0, "required": 5, "bound": "at least"},
            {"measure": "seconds", "required": 120, "bound": "at most"},
        ]
        assert [short.measured for short in found] == [0.5, None, 0, None]
        problem(http.get(VERSIONS), 404, "model-not-found")
        good = zipped_bundle(bundle_with(served=encrypted(5, 5, 1.0)))
        assert http.post(VERSIONS, content=good, headers=headers).status_code == 201


# Tokens


@pytest.mark.parametrize(("method", "path"), CHANGES)
def test_without_a_token_nothing_changes(provider: Provider, method: str, path: str) -> None:
    for title in ("one", "two"):
        provider.publish(title, alias="stable")
    before = provider.http.get(VERSIONS).json()
    del provider.http.headers["Authorization"]
    wrong = ["", "Bearer", "Bearer wrong", "Basic dG9rZW46", "Token TOKEN", "TOKEN", "Bearer TOKENx"]
    bodies = [archive("three"), b'{"version": 1}', b"", b"{" * 100_000]
    for authorisation in [None, *wrong]:
        headers = {} if authorisation is None else {"Authorization": authorisation.replace("TOKEN", provider.token)}
        for body in bodies if authorisation is None else bodies[:2]:
            response = provider.http.request(method, path, content=body, headers=headers)
            problem(response, 401, "unauthorised")
            assert response.headers["www-authenticate"] == 'Bearer realm="epaas"'
            assert provider.token not in response.text
    assert provider.http.get(VERSIONS).json() == before


def test_a_large_upload_without_a_token_is_answered(provider: Provider) -> None:
    """The body is not read, and yet the client sees why."""
    del provider.http.headers["Authorization"]
    problem(provider.http.post(VERSIONS, content=bytes(8_000_000)), 401, "unauthorised")
    assert provider.http.get("/healthz").status_code == 200


def test_a_revoked_token_changes_nothing(provider: Provider) -> None:
    provider.publish("one")
    store = TokenStore(provider.registry.database)
    store.revoke(store.all()[0].id)
    problem(provider.promote(1), 401, "unauthorised")
    assert provider.aliases() == {"candidate": 1}


def test_the_scheme_is_read_in_any_case(provider: Provider) -> None:
    headers = {"Authorization": f"bearer {provider.token}"}
    assert provider.http.post(VERSIONS, content=archive("one"), headers=headers).status_code == 201


def test_reading_and_predicting_need_no_token(provider: Provider) -> None:
    provider.publish("one", alias="stable")
    del provider.http.headers["Authorization"]
    for path in ("/v1/models", "/v1/models/toy", VERSIONS, f"{VERSIONS}/1"):
        assert provider.http.get(path).status_code == 200
    assert provider.http.post("/v1/predictions", params={"model": "toy"}).status_code == 422

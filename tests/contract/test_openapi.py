"""The HTTP interface keeps to its OpenAPI document, and the document does not change unnoticed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import (
    negative_data_rejection,
    positive_data_acceptance,
    unsupported_method,
)

from epaas_server.api.app import create_app
from epaas_server.settings import Settings
from epaas_shared.protocol import PROBLEM_MEDIA_TYPE
from tests.conftest import TOY_NETWORK, TOY_SCHEMA, Server, write_bundle
from tests.hostile.described import interface_of

DOCUMENT = Path(__file__).parents[2] / "docs" / "reference" / "openapi.json"


@pytest.fixture(scope="module")
def quiet_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that evaluates nothing, with a model to be asked about."""
    folder = tmp_path_factory.mktemp("contract")
    # a server without workers needs no circuits: it must be ready on a machine that has never built them
    options = {"workers": "0", "cache_dir": str(folder / "cache"), "authentication": "tokens"}
    quiet = Server(folder, options).start()
    bundle = tmp_path_factory.mktemp("contract-bundle")
    write_bundle(bundle, TOY_NETWORK, TOY_SCHEMA)
    assert quiet.publish(bundle).returncode == 0
    yield quiet
    quiet.stop()


@pytest.fixture(scope="module")
def token(quiet_server: Server) -> str:
    """For everything, so that nothing is refused before a request is looked at."""
    scopes = ("--scope", "predict", "--scope", "publish", "--scope", "admin")
    made = quiet_server.command("token", "create", "contract", *scopes)
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


interface = interface_of(create_app(Settings()).openapi())


@interface.parametrize()
@settings(max_examples=40, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_answer_is_documented(case: schemathesis.Case, quiet_server: Server, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"} if case.operation.definition.raw.get("security") else None
    response = case.call(base_url=quiet_server.url, headers=headers)
    assert response.status_code < 500 or case.path == "/readyz", response.text
    if response.status_code >= 400:
        assert response.headers["content-type"] == [PROBLEM_MEDIA_TYPE] or case.path == "/readyz"
    # a schema of strings cannot say what is a ciphertext, so that valid requests are refused with 422, as documented
    excluded = [unsupported_method, positive_data_acceptance]
    if headers:  # a token was put where the generator had left it out, and members that nobody knows are ignored
        excluded.append(negative_data_rejection)
    case.validate_response(response, excluded_checks=excluded)


def test_the_committed_document_is_the_servers(tmp_path: Path) -> None:
    document = create_app(Settings(data_dir=tmp_path)).openapi()
    assert json.loads(DOCUMENT.read_text()) == document, "run `make docs` and look at what changed"


def test_operation_ids_are_plain_names(tmp_path: Path) -> None:
    document = create_app(Settings(data_dir=tmp_path)).openapi()
    operations = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert len(operations) == len(set(operations))
    assert "create_prediction" in operations
    assert all(operation.isidentifier() for operation in operations)


def test_whoever_asks_for_a_token_says_what_it_refuses(tmp_path: Path) -> None:
    """Which operations do is held by ``test_tenants_served``."""
    document = create_app(Settings(data_dir=tmp_path)).openapi()
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    secured = [operation for operation in operations if "security" in operation]
    assert len(secured) > 10
    assert all({"401", "403", "429"} <= set(operation["responses"]) for operation in secured)
    assert not [operation for operation in operations if operation not in secured and "401" in operation["responses"]]
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"

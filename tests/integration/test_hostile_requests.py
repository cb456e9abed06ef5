"""Five hundred malformed requests: each is answered with what is wrong, and nothing of them stays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ClientKeys
from tests.hostile.siege import besieged
from tests.integration.tenant_making import Tenant

REQUESTS = 500
MOST_GROWTH_MEGABYTES = 150.0
"""A server that kept what it was sent would take more; one that has just started still grows to its usual size."""


@pytest.fixture(scope="module")
def siege(tmp_path_factory: pytest.TempPathFactory, keys: ClientKeys) -> Iterator[tuple[dict[str, Any], Tenant]]:
    """The report of a barrage on a server that evaluates nothing, and the tenant in whose name it was."""
    with besieged(tmp_path_factory.mktemp("siege"), keys, seed=20, workers="0") as (barrage, tenant):
        yield barrage.run(REQUESTS), tenant


def test_everything_was_sent(siege: tuple[dict[str, Any], Tenant]) -> None:
    report, _ = siege
    assert report["requests"] >= REQUESTS
    kinds = {kind.split(":")[0] for kind in report["answers"]}
    assert kinds == {"bundle", "connection", "described", "keys", "record", "request", "value"}


def test_no_request_makes_the_server_err(siege: tuple[dict[str, Any], Tenant]) -> None:
    report, tenant = siege
    assert report["server_errors"] == []
    assert tenant.office.server.events("unexpected error") == []
    assert report["requests_without_an_answer"] == []


def test_every_error_is_a_problem_document(siege: tuple[dict[str, Any], Tenant]) -> None:
    assert siege[0]["errors_without_a_problem_document"] == []


def test_nothing_of_them_stays(siege: tuple[dict[str, Any], Tenant]) -> None:
    report, tenant = siege
    assert report["files"]["at_the_end"] == report["files"]["after_a_tenth"]
    data_dir: Path = tenant.office.server.data_dir
    assert list((data_dir / "blobs" / "incoming").iterdir()) == []
    assert list(data_dir.glob(".upload-*")) == []
    assert not Path("/tmp/escaped").exists()


def test_memory_is_bounded(siege: tuple[dict[str, Any], Tenant]) -> None:
    memory = siege[0]["resident_megabytes"]
    assert memory["at_the_end"] - memory["after_a_tenth"] < MOST_GROWTH_MEGABYTES


def test_who_behaves_is_served_as_before(siege: tuple[dict[str, Any], Tenant], keys: ClientKeys) -> None:
    _, tenant = siege
    assert tenant.http.get("/readyz").status_code == 200
    assert tenant.http.get(f"/v1/evaluation-keys/{keys.digest}").status_code == 200
    assert tenant.http.get("/v1/models/toy").status_code == 200

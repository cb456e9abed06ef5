"""The operator changes how a model is evaluated; clients and jobs in the queue never notice (C3(i))."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cost_making import RATES
from job_making import claimed, upload
from server_making import BundleParts, layer, toy_schema

from epaas_server.api.app import create_app
from epaas_server.registry import Registry
from epaas_server.services import Services
from epaas_server.settings import Settings
from epaas_shared.errors import InvalidInput, ModelNotFound
from epaas_shared.frame import SEEDED_BYTES, RecordHeader, encode_frame
from epaas_shared.network import Network
from epaas_shared.profile import default_profile

RECORDS = 2


@pytest.fixture
def published(registry: Registry, tmp_path: Path) -> Registry:
    registry.publish(BundleParts().write(tmp_path / "toy"))
    return registry


def test_a_changed_plan_is_the_same_version_at_another_cost(published: Registry) -> None:
    published.calibration.measured(default_profile().digest, RATES)
    before = published.version("toy")
    changed = published.change_plan("toy", ["reduce-tree"])
    plan = published.served(changed.name, changed.version).plan
    assert plan.strategies == ["reduce-tree", "reduce-tree"]
    assert changed.cost.bootstraps == sum(planned.bootstraps for planned in plan.layers)
    assert changed.cost.bootstraps != before.cost.bootstraps
    assert changed.cost.seconds != before.cost.seconds
    assert changed.model_copy(update={"cost": before.cost}) == before
    assert published.versions() == [published.version("toy", 1)] == [changed]
    assert published.change_plan("toy") == before


def test_each_layer_can_be_planned_for_itself(published: Registry) -> None:
    changed = published.change_plan("toy", ["sorting-network", "approximate"])
    assert published.served(changed.name, changed.version).plan.strategies == ["sorting-network", "approximate"]
    assert published.served(changed.name, changed.version).plan.layers[1].bootstraps == 1


def test_a_plan_that_is_refused_changes_nothing(published: Registry) -> None:
    before, plan = published.version("toy"), published.served("toy").plan
    for strategies, trusting in ((["nothing"], False), (["accumulate"] * 3, False), ([], True)):
        with pytest.raises(InvalidInput):
            published.change_plan("toy", strategies, trust_measured_ranges=trusting)
    with pytest.raises(ModelNotFound):
        published.change_plan("another")
    assert published.version("toy") == before
    assert published.served(before.name, before.version).plan == plan


def test_publishing_the_same_bundle_again_plans_it_again(published: Registry, tmp_path: Path) -> None:
    first = published.version("toy")
    again = published.publish(tmp_path / "toy", ["reduce-tree", "accumulate"])
    assert (again.version, again.digest, again.published_at) == (1, first.digest, first.published_at)
    assert published.served(again.name, again.version).plan.strategies == ["reduce-tree", "accumulate"]
    assert published.publish(tmp_path / "toy") == first
    assert published.served(first.name, first.version).plan.strategies == ["accumulate", "accumulate"]


def test_a_refused_strategy_publishes_nothing(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput):
        registry.publish(BundleParts().write(tmp_path / "toy"), ["nothing"])
    assert registry.versions() == []
    assert not registry.bundles.local.exists()


def test_a_plan_is_that_of_its_version(published: Registry, tmp_path: Path) -> None:
    """A new version is planned by itself; the plan of the old one stays."""
    published.change_plan("toy", ["reduce-tree"])
    published.publish(BundleParts(changes={"title": "second"}).write(tmp_path / "second"))
    published.change_plan("toy", ["approximate"])
    assert published.served("toy", 1).plan.strategies == ["reduce-tree"] * 2
    assert published.served("toy", 2).plan.strategies == ["approximate"] * 2


def test_the_cost_of_a_bundle_is_known_by_the_plan_that_it_has(published: Registry) -> None:
    model = published.version("toy")
    plan = published.served(model.name, model.version).plan
    cost = published.cost(model.digest, plan)
    assert cost is not None
    assert cost.bootstraps == model.cost.bootstraps
    published.change_plan("toy", ["reduce-tree"])
    assert published.cost(model.digest, plan) is None
    assert published.cost("0" * 64, plan) is None


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    opened = Services.open(Settings(data_dir=tmp_path / "data"))
    yield opened
    opened.close()


def ask(services: Services, digest: str, model: str = "toy") -> dict[str, Any]:
    """A prediction asked for over the HTTP interface, by a record that nobody could decrypt."""
    served = services.registry.version(model)
    bits = services.registry.schema(served.input_schema).bits
    header = RecordHeader(
        payload_bytes=RECORDS * bits * SEEDED_BYTES,
        profile=served.profile,
        input_schema=served.input_schema,
        evaluation_keys=digest,
        records=RECORDS,
        bits=bits,
    )
    app = create_app(services.settings)
    app.state.services = services

    async def post() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as http:
            body = encode_frame(header, bytes(header.payload_bytes))
            return await http.post("/v1/predictions", params={"model": model}, content=body)

    response = asyncio.run(post())
    assert response.status_code == 202, response.text
    prediction: dict[str, Any] = response.json()
    return prediction


def test_jobs_keep_the_plan_of_the_moment_they_were_asked_for(services: Services, tmp_path: Path) -> None:
    registry = services.registry
    registry.publish(BundleParts().write(tmp_path / "toy"))
    keys, digest = upload(services.database, tmp_path / "data", b"keys")
    keys.settle(digest, None)
    services.jobs.succeed(claimed(services.jobs), None, 1.0, 1)
    registry.calibration.measured(default_profile().digest, RATES)

    asked = []
    for strategies in (["accumulate"], ["reduce-tree"], ["approximate"]):
        changed = registry.change_plan("toy", strategies)
        prediction = ask(services, digest)
        assert prediction["progress"]["total"] == RECORDS * changed.cost.bootstraps
        assert prediction["eta_seconds"] == registry.served("toy").seconds(RECORDS)
        asked.append((prediction["id"], registry.served(changed.name, changed.version).plan))
    assert len({plan.strategies[0] for _, plan in asked}) == 3

    claims = [claimed(services.jobs) for _ in asked]
    assert {claim.id: claim.plan for claim in claims} == dict(asked)


def test_a_job_of_several_layers_and_a_head_is_planned_to_its_end(services: Services, tmp_path: Path) -> None:
    three = Network((layer([[1, -1, 0], [0, 1, 1]], [0, 1]), layer([[1, 0], [0, 1], [1, 1]], [0, 0, 1])))
    schema = toy_schema(3, task="three").model_copy(update={"classes": ("a", "b", "c")})
    parts = BundleParts.of(three, schema)
    parts.changes = {"name": "three"}
    model = services.registry.publish(parts.write(tmp_path / "three"))
    keys, digest = upload(services.database, tmp_path / "data", b"keys")
    keys.settle(digest, None)
    services.jobs.succeed(claimed(services.jobs), None, 1.0, 1)
    ask(services, digest, "three")
    plan = claimed(services.jobs).plan
    assert plan is not None
    assert len(plan.layers) == 3, "two layers and the second of the head"
    assert sum(planned.bootstraps for planned in plan.layers) == model.cost.bootstraps

"""C3(i) for circuits: how a model is evaluated changes under the clients' feet, and none of them notices."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from epaas_server.circuits.library import library_folder
from epaas_server.settings import Settings
from epaas_shared.layers import DenseLayer
from epaas_shared.network import Network
from epaas_shared.profile import default_profile
from tests.conftest import ClientKeys, Server, random_records, toy_schema, upload_keys, write_bundle
from tests.integration.processes import wait_until

SCHEMA = toy_schema(8)
RECORDS = random_records(SCHEMA, 1, seed=41)
STRATEGIES = ("accumulate", "reduce-tree", "reduce-tree+1")


def network() -> Network:
    """24 inputs, 5 neurons, one output. Most weights of a neuron have one sign, so that the +1 trick is worth it."""
    random = np.random.default_rng(43)
    weights = np.where(random.random((5, SCHEMA.bits)) < 0.9, 1, -1) * np.array([1, -1, 1, 1, -1])[:, None]
    thresholds = np.rint(weights.sum(axis=1) / 3).astype(np.int64)
    return Network(
        (DenseLayer(weights.astype(np.int64), thresholds), DenseLayer(np.array([[1, 1, -1, 1, -1]]), np.array([1])))
    )


NETWORK = network()


def test_a_changed_strategy_takes_the_same_keys_and_the_same_bytes_and_compiles_nothing(
    make_server: Callable[..., Server], keys: ClientKeys, tmp_path: Path
) -> None:
    server = make_server()
    library = library_folder(Settings().cache_dir, default_profile()).parent
    compiled = {file: file.stat().st_mtime_ns for file in library.rglob("*")}
    write_bundle(tmp_path / "bundle", NETWORK, SCHEMA)
    assert server.publish(tmp_path / "bundle").returncode == 0
    upload_keys(server, keys)
    with server.http() as http:
        uploaded = http.get(f"/v1/evaluation-keys/{keys.digest}").json()
        told = http.get("/v1/models/toy").json()
    bits = SCHEMA.encode(RECORDS)
    frame = keys.secret.encrypt_records(bits, SCHEMA)
    (served,) = server.events("listening")

    totals, results = {}, []
    for strategy in STRATEGIES:
        planned = server.command("plan", "toy", "--json", "--strategy", strategy)
        assert planned.returncode == 0, planned.stderr
        plan = json.loads(planned.stdout)["plan"]
        assert [layer["strategy"] for layer in plan["layers"]] == [strategy] * 2
        prediction, result = predict(server, frame)
        output, header = keys.secret.decrypt_result(result)
        np.testing.assert_array_equal(output, NETWORK.evaluate(bits))
        assert (prediction["version"], header.model) == (1, told["digest"])
        totals[strategy] = prediction["progress"]["total"]
        assert totals[strategy] == len(RECORDS) * sum(layer["bootstraps"] for layer in plan["layers"])
        results.append(result)

    assert len(set(totals.values())) == len(STRATEGIES), "each strategy did another work"
    assert totals["reduce-tree+1"] < totals["reduce-tree"], "the +1 trick was used"
    assert len({len(result) for result in results}) == 1, "results of all strategies look alike"
    with server.http() as http:
        assert http.get(f"/v1/evaluation-keys/{keys.digest}").json() == uploaded
        assert {**http.get("/v1/models/toy").json(), "cost": None} == {**told, "cost": None}
    assert server.events("listening") == [served], "it is the same server all along"
    assert len([event for event in server.events("job claimed") if event["kind"] == "check-keys"]) == 1
    assert {file: file.stat().st_mtime_ns for file in library.rglob("*")} == compiled


def test_a_job_in_the_queue_keeps_its_plan_and_the_next_one_has_the_new(
    make_server: Callable[..., Server], keys: ClientKeys, tmp_path: Path
) -> None:
    """Asked for while nobody evaluates; both are evaluated after the plan has changed."""
    server = make_server(workers="0")
    write_bundle(tmp_path / "bundle", NETWORK, SCHEMA)
    assert server.publish(tmp_path / "bundle", "--strategy", "reduce-tree").returncode == 0
    frame = keys.secret.encrypt_records(SCHEMA.encode(RECORDS), SCHEMA)
    with server.http() as http:
        http.put(f"/v1/evaluation-keys/{keys.digest}", content=keys.frame).raise_for_status()
        first = http.post("/v1/predictions", params={"model": "toy"}, content=frame).json()
        assert server.command("plan", "toy", "--strategy", "accumulate").returncode == 0
        second = http.post("/v1/predictions", params={"model": "toy"}, content=frame).json()
    assert second["progress"]["total"] < first["progress"]["total"]
    server.stop()
    server.options["workers"] = "1"
    server.start()
    for asked in (first, second):
        done = finished(server, asked["id"])
        assert done["progress"] == {**asked["progress"], "done": asked["progress"]["total"]}
        with server.http() as http:
            result = http.get(f"/v1/predictions/{asked['id']}/result").content
        output, _ = keys.secret.decrypt_result(result)
        np.testing.assert_array_equal(output, NETWORK.evaluate(SCHEMA.encode(RECORDS)))


@pytest.mark.parametrize("strategies", [("reduce-tree-levelled+1", "sorting-network"), ("accumulate", "reduce-tree")])
def test_layers_of_several_strategies_understand_one_another(
    server: Server, keys: ClientKeys, tmp_path: Path, strategies: tuple[str, str]
) -> None:
    schema = SCHEMA.model_copy(update={"task": "mixed"})
    write_bundle(tmp_path / "bundle", NETWORK, schema, name="mixed")
    options = [option for strategy in strategies for option in ("--strategy", strategy)]
    published = server.publish(tmp_path / "bundle", *options)
    assert published.returncode == 0, published.stderr
    bits = schema.encode(RECORDS)
    _, result = predict(server, keys.secret.encrypt_records(bits, schema), "mixed")
    output, _ = keys.secret.decrypt_result(result)
    np.testing.assert_array_equal(output, NETWORK.evaluate(bits))


def predict(server: Server, frame: bytes, model: str = "toy") -> tuple[dict[str, Any], bytes]:
    """The finished prediction and the frame of its result."""
    with server.http() as http:
        asked = http.post("/v1/predictions", params={"model": model}, content=frame).json()
        prediction = finished(server, asked["id"])
        return prediction, http.get(f"/v1/predictions/{asked['id']}/result").content


def finished(server: Server, job: str) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def done() -> bool:
        found.update(http.get(f"/v1/predictions/{job}", headers={"Prefer": "wait=10"}).json())
        return found["state"] not in ("queued", "running")

    with server.http() as http:
        wait_until(done, 300)
    assert found["state"] == "succeeded", found
    return found

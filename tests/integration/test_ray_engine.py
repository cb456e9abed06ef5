"""The engine ``ray`` on a real cluster: it says what ``local`` and the plain network say, whatever dies."""

from __future__ import annotations

import shutil
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from epaas_server.blobs import FolderBlobs
from epaas_server.bundles import read_bundle
from epaas_server.circuits.library import ensure_library, library_folder
from epaas_server.doctor.evaluation import evaluation
from epaas_server.doctor.patient import Finding, Patient, Verdict, ok
from epaas_server.engine.child import ChildConfiguration
from epaas_server.engine.cluster.assignment import ATTEMPTS
from epaas_server.engine.limits import MachineLimits
from epaas_server.engine.local import ChildDied
from epaas_server.engine.tasks import (
    Advanced,
    CheckKeys,
    Finished,
    LayerDone,
    Paused,
    Ready,
    Refused,
)
from epaas_server.plan import make_plan
from epaas_server.settings import Settings
from epaas_server.strategies import STRATEGIES
from epaas_shared.digest import digest_bytes
from epaas_shared.frame import EvaluationKeysHeader, decode_frame_start, encode_frame_start
from epaas_shared.layers import ConvolutionLayer, DenseLayer
from epaas_shared.network import Network
from epaas_shared.profile import default_profile
from tests.conftest import ClientKeys, Server, random_network, random_records, toy_schema, upload_keys, write_bundle
from tests.integration.evaluation_children import PATIENCE, Child, start_logged
from tests.integration.processes import wait_until
from tests.integration.ray_nodes import RayCluster, ray_cluster

SCHEMA = toy_schema(10)
RECORDS = random_records(SCHEMA, 2, seed=81)
BITS = SCHEMA.encode(RECORDS)


def shared_total(seed: int) -> DenseLayer:
    """Most weights of a neuron have one sign, so that the +1 trick is worth it."""
    random = np.random.default_rng(seed)
    weights = np.where(random.random((5, SCHEMA.bits)) < 0.9, 1, -1) * np.array([1, -1, 1, 1, -1])[:, None]
    return DenseLayer(weights.astype(np.int64), np.rint(weights.sum(axis=1) / 3).astype(np.int64))


def convolution(seed: int) -> ConvolutionLayer:
    """Two filters over the record as an image of 5 by 6."""
    weights = np.random.default_rng(seed).integers(-1, 2, (2, 1, 3, 3))
    thresholds = np.rint(weights.reshape(2, -1).sum(axis=1) / 3).astype(np.int64)
    return ConvolutionLayer(weights, thresholds, 5, 6, stride=(2, 2))


def ending(layer: DenseLayer | ConvolutionLayer) -> Network:
    return Network((layer, DenseLayer(np.where(np.arange(layer.outputs) % 2, -1, 1)[None], np.array([1]))))


TOTAL, IMAGE, WIDE = ending(shared_total(82)), ending(convolution(83)), random_network(SCHEMA.bits, (64, 1), seed=84)


Start = Callable[[Literal["local", "ray"], str], Child]


@pytest.fixture(scope="module")
def start_child(tmp_path_factory: pytest.TempPathFactory, keys: ClientKeys) -> Iterator[Start]:
    """Start an evaluation child over the blobs of all these tests."""
    folder = tmp_path_factory.mktemp("fan-out")
    blobs = FolderBlobs(folder / "blobs")
    blobs.put(f"keys/{keys.digest}", keys.frame)
    blobs.put("jobs/one/record", keys.secret.encrypt_records(BITS, SCHEMA))
    started: list[Child] = []

    def start(engine: Literal["local", "ray"], address: str) -> Child:
        configuration = ChildConfiguration(
            blobs=folder / "blobs",
            blob_store="",
            limits=MachineLimits(threads=1, keyset_cache_bytes=2 * 10**9, memory_bytes=4 * 10**9),
            engine=engine,
            circuits=ensure_library(Settings().cache_dir, default_profile()) if engine == "local" else None,
            ray_address=address,
        )
        log_file = folder / f"{engine}{len(started)}.log"
        own = folder / f"own{len(started)}"
        own.mkdir()
        process = start_logged(configuration, log_file)
        started.append(Child(blobs, own, keys, SCHEMA, process, log_file))
        return started[-1]

    yield start
    for child in started:
        child.process.kill()


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    """Two machines of one core, and a head that only drives."""
    with ray_cluster() as running, pytest.MonkeyPatch.context() as patch:
        for name, value in running.environment.items():
            patch.setenv(name, value)
        running.add()
        running.add()
        yield running


@pytest.fixture(scope="module")
def local(start_child: Start) -> Child:
    child = start_child("local", "")
    assert child.process.hear(PATIENCE) == Ready()
    return child


@pytest.fixture(scope="module")
def spread(cluster: RayCluster, start_child: Start) -> Child:
    """The child that drives the cluster, with both machines ready and the keys checked."""
    child = start_child("ray", cluster.address)
    assert child.process.hear(PATIENCE) == Ready()
    checked = child.check_keys()
    assert isinstance(checked, Finished), checked
    wait_until(lambda: after_a_task(child, "machine ready") == 2, PATIENCE)
    return child


def after_a_task(child: Child, event: str) -> int:
    """How often something has been logged. Machines are looked for while there is something to do."""
    child.do(child.task(TOTAL, ["accumulate"]))
    return len(child.logged(event))


CASES = [
    ("accumulate", IMAGE),
    ("approximate", TOTAL),
    ("reduce-tree", IMAGE),
    ("sorting-network", IMAGE),
    ("reduce-tree-levelled+1", TOTAL),
]


@pytest.mark.parametrize(("strategy", "network"), CASES, ids=[name for name, _ in CASES])
def test_every_layer_says_what_the_local_engine_says(
    strategy: str, network: Network, local: Child, spread: Child
) -> None:
    """Bit for bit, by ``approximate`` too, whose errors come of the ciphertexts and not of who evaluates them."""
    here = local.do(local.task(network, [strategy, "accumulate"]))
    there = spread.do(spread.task(network, [strategy, "accumulate"]))
    assert spread.layers(there) == local.layers(here)
    assert spread.values(there) == local.values(here)
    if STRATEGIES[strategy].exact:
        assert spread.values(there) == network.evaluate(BITS).tolist()
    plan = make_plan(read_bundle(spread.folder / f"bundle-{spread.tasks}"), [strategy, "accumulate"])
    announced = len(RECORDS) * sum(layer.bootstraps for layer in plan.layers)
    for told in (here, there):
        assert sum(message.bootstraps for message in told if isinstance(message, Advanced)) == announced


def test_every_machine_took_part_and_loaded_the_keys_once(spread: Child) -> None:
    ready = {line["node"] for line in spread.logged("machine ready")}
    assert len(ready) == 2
    assert Counter(line["node"] for line in spread.logged("evaluation keys loaded")) == dict.fromkeys(ready, 1)
    assert {node for line in spread.logged("neurons spread") for node in line["machines"]} == ready
    assert not spread.logged("machine lost")


def doctors_findings(cluster: RayCluster) -> list[Finding]:
    return list(evaluation(Patient(Settings(engine="ray", ray_address=cluster.address, threads=1), {})))


@pytest.mark.usefixtures("spread")
def test_the_doctor_looks_at_machines_that_are_taken(cluster: RayCluster) -> None:
    """Each has one processor, which is the child's as long as it drives them."""
    (found,) = doctors_findings(cluster)
    assert found == ok(f"machines of the cluster {cluster.address} that load the circuits: 2")


def test_a_task_pauses_at_a_checkpoint_and_goes_on_from_it(spread: Child) -> None:
    told = spread.do(spread.task(TOTAL, ["accumulate"]), pause=True)
    assert told[-1] == Paused((f"keys/{spread.keys.digest}",))
    (checkpoint,) = [message for message in told if isinstance(message, LayerDone)]
    resumed = spread.do(spread.task(TOTAL, ["accumulate"], done=1, checkpoint=checkpoint.blob))
    assert [message.layers_done for message in resumed if isinstance(message, LayerDone)] == [2]
    assert spread.values(resumed) == TOTAL.evaluate(BITS).tolist()
    finished = resumed[-1]
    assert isinstance(finished, Finished)
    assert finished.held_keys == (f"keys/{spread.keys.digest}",)
    assert finished.keys_were_held


def test_a_machine_that_dies_in_mid_layer_costs_its_block_alone(
    cluster: RayCluster, local: Child, spread: Child
) -> None:
    """And another that comes takes its place, with keys of its own.

    It stands still while the other is at work, so that it surely has a block when it dies.
    """
    before = len(spread.logged("neurons spread"))
    ((other,), (actor,)) = [node.actors() for node in cluster.running if node.actors()]
    idle = other.cpu_times().user

    def kill() -> None:
        wait_until(lambda: other.cpu_times().user > idle + 1.0, PATIENCE)
        cluster.running[-1].kill()

    actor.suspend()
    killing = threading.Thread(target=kill)
    killing.start()
    told = spread.do(spread.task(WIDE, ["accumulate"]))
    killing.join()
    assert spread.values(told) == WIDE.evaluate(BITS).tolist()
    assert len(spread.logged("machine lost")) == 1
    first_layer = spread.logged("neurons spread")[before]
    assert first_layer["number"] == 2 * 64
    assert first_layer["repeated"] == 1, "the block that was under way there"

    cluster.add()
    wait_until(lambda: after_a_task(spread, "machine ready") == 3, PATIENCE)
    again = spread.do(spread.task(WIDE, ["accumulate"]))
    assert spread.layers(again) == spread.layers(told) == local.layers(local.do(local.task(WIDE, ["accumulate"])))
    assert len(spread.logged("neurons spread")[-2]["machines"]) == 2
    newcomer = spread.logged("machine ready")[-1]["node"]
    loaded = Counter(line["node"] for line in spread.logged("evaluation keys loaded"))
    assert loaded[newcomer] == 1
    assert set(loaded.values()) == {1}


def test_a_machine_whose_process_crashes_has_another_process(cluster: RayCluster, spread: Child) -> None:
    def kill_once() -> None:
        spread.on_advance = lambda: None
        (actor,) = cluster.running[1].actors()
        actor.kill()

    lost = len(spread.logged("machine lost"))
    spread.on_advance = kill_once
    told = spread.do(spread.task(WIDE, ["accumulate"]))
    assert spread.values(told) == WIDE.evaluate(BITS).tolist()
    assert len(spread.logged("machine lost")) == lost + 1
    wait_until(lambda: after_a_task(spread, "machine ready") == 4, PATIENCE)
    (actor,) = cluster.running[1].actors()
    assert actor.is_running()


def test_actors_end_with_the_child_that_drives_them(cluster: RayCluster, spread: Child) -> None:
    running = [actor for node in cluster.running for actor in node.actors()]
    assert len(running) == 2
    spread.process.kill()
    wait_until(lambda: not any(actor.is_running() for actor in running), PATIENCE)


def test_the_doctor_finds_the_machine_that_does_not_evaluate(cluster: RayCluster, tmp_path: Path) -> None:
    """Its circuits were damaged after it had started."""
    whole = library_folder(Settings().cache_dir, default_profile())
    copy = library_folder(tmp_path, default_profile())
    shutil.copytree(whole, copy)
    broken = cluster.add(EPAAS_SERVER_CACHE_DIR=str(tmp_path))
    for file in copy.rglob("*"):
        if file.is_file():
            file.write_bytes(b"")
    others, found = doctors_findings(cluster)
    assert others == ok(f"machines of the cluster {cluster.address} that load the circuits: 2")
    assert found.verdict is Verdict.WARNING
    assert f"{socket.gethostname()} (node " in found.detail
    assert "same release" in str(found.remedy)
    broken.kill()


def test_work_that_ends_every_process_ends_the_child_and_does_not_go_round_for_ever(
    cluster: RayCluster, start_child: Start
) -> None:
    """As keys might that crash the runtime wherever they are used. The worker then counts an attempt of the job."""
    child = start_child("ray", cluster.address)
    assert child.process.hear(PATIENCE) == Ready()
    digest = child.keys.digest
    child.process.give(CheckKeys(digest, f"keys/{digest}", calibrate=False))
    with pytest.raises(ChildDied):
        kill_all_actors_again_and_again(child, cluster)
    (failed,) = child.logged("the engine failed")
    assert f"{ATTEMPTS} processes" in failed["reason"]
    assert len(child.logged("machine lost")) >= ATTEMPTS


def kill_all_actors_again_and_again(child: Child, cluster: RayCluster) -> None:
    while child.process.hear(1.0) is None:
        if len(child.logged("machine ready")) > len(child.logged("machine lost")):
            for actor in [actor for node in cluster.running for actor in node.actors()]:
                actor.kill()


@pytest.mark.parametrize("damage", ["content", "structure"])
def test_keys_that_fail_their_trial_run_are_refused_and_others_go_on(
    damage: str, cluster: RayCluster, start_child: Start, other_keys: ClientKeys
) -> None:
    child = start_child("ray", cluster.address)
    assert child.process.hear(PATIENCE) == Ready()
    start = decode_frame_start(other_keys.frame, EvaluationKeysHeader)
    payload = bytearray(other_keys.frame[start.payload_offset :])
    random = np.random.default_rng(5)
    if damage == "content":
        payload = bytearray(random.bytes(len(payload)))
    else:
        for position in random.integers(0, 4000, 400):
            payload[position] ^= int(random.integers(1, 256))
    frame = encode_frame_start(start.header) + bytes(payload)
    child.blobs.put(f"keys/{digest_bytes(frame)}", frame)
    try:
        refused = child.check_keys(digest_bytes(frame))
    except ChildDied:
        assert len(child.logged("machine lost")) == ATTEMPTS
        return
    assert isinstance(refused, Refused)
    assert refused.code == "invalid-evaluation-keys"
    checked = child.check_keys()
    assert isinstance(checked, Finished), checked
    child.process.kill()


@dataclass
class Served:
    """A server with the engine ``ray`` and a prediction that it has begun."""

    server: Server
    job: str
    keys: ClientKeys

    def document(self) -> dict[str, Any]:
        with self.server.http() as http:
            found: dict[str, Any] = http.get(f"/v1/predictions/{self.job}").json()
        return found

    def values(self) -> list[list[int]]:
        wait_until(lambda: self.document()["state"] not in ("queued", "running"), PATIENCE)
        with self.server.http() as http:
            result = http.get(f"/v1/predictions/{self.job}/result").content
        values: list[list[int]] = self.keys.secret.decrypt_result(result)[0].tolist()
        return values

    def claims(self) -> int:
        return len([claim for claim in self.server.events("job claimed") if claim["kind"] == "predict"])


@pytest.fixture
def served(cluster: RayCluster, make_server: Callable[..., Server], keys: ClientKeys, tmp_path: Path) -> Served:
    server = make_server(engine="ray", ray_address=cluster.address, threads="1")
    write_bundle(tmp_path / "bundle", WIDE, SCHEMA)
    assert server.publish(tmp_path / "bundle").returncode == 0
    upload_keys(server, keys)
    with server.http() as http:
        sent = keys.secret.encrypt_records(BITS, SCHEMA)
        job = http.post("/v1/predictions", params={"model": "toy"}, content=sent).json()["id"]
    begun = Served(server, job, keys)
    wait_until(lambda: begun.document()["progress"]["done"] > 0, PATIENCE)
    return begun


@pytest.mark.long
def test_a_server_predicts_with_the_machines_of_a_cluster_and_loses_one(cluster: RayCluster, served: Served) -> None:
    cluster.running[-1].kill()
    assert served.values() == WIDE.evaluate(BITS).tolist()
    assert len(served.server.events("machine lost")) == 1
    assert served.claims() == 1
    cluster.add()


@pytest.mark.long
def test_a_cluster_that_goes_away_and_comes_back_costs_an_attempt(cluster: RayCluster, served: Served) -> None:
    for node in cluster.running:
        node.kill()
    wait_until(lambda: served.server.events("the evaluation child died"), PATIENCE)
    cluster.start_head()
    cluster.add()
    assert served.values() == WIDE.evaluate(BITS).tolist()
    assert served.claims() == 2


def test_a_child_without_machines_says_so_and_ends(cluster: RayCluster, start_child: Start) -> None:
    """The worker claims no job then; one whose machines are all gone is given back."""
    for node in cluster.running[1:]:
        node.kill()
    child = start_child("ray", cluster.address)
    with pytest.raises(ChildDied):
        child.process.hear(PATIENCE)
    (failed,) = child.logged("the engine failed")
    assert "no machine of the cluster" in failed["reason"]
    (found,) = doctors_findings(cluster)
    assert found.verdict is Verdict.ERROR
    assert found.detail.endswith("does not evaluate: it has no machines with processors")


def test_a_cluster_that_cannot_be_joined_is_said(
    cluster: RayCluster, start_child: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing listens, or what listens asks for another token."""
    child = start_child("ray", "127.0.0.1:1")
    with pytest.raises(ChildDied):
        child.process.hear(PATIENCE)
    (failed,) = child.logged("the engine failed")
    assert "127.0.0.1:1 cannot be joined" in failed["reason"]

    (tmp_path / "token").write_text("f" * 64)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    stranger = start_child("ray", cluster.address)
    with pytest.raises(ChildDied):
        stranger.process.hear(PATIENCE)
    (refused,) = stranger.logged("the engine failed")
    assert "cannot be joined: it has another token" in refused["reason"]

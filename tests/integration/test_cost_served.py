"""What an evaluation costs is known before it runs: the bootstraps exactly, the seconds as this machine has taught."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from epaas_client import Client
from epaas_server.blobs import FolderBlobs
from epaas_server.bundles import Bundle, read_bundle
from epaas_server.circuits.definitions import CIRCUITS
from epaas_server.circuits.library import ensure_library
from epaas_server.cost import Rates
from epaas_server.engine.evaluator import Evaluator
from epaas_server.engine.keys import read_frame
from epaas_server.engine.limits import MachineLimits
from epaas_server.engine.machine import Machine
from epaas_server.engine.tasks import Advanced, CheckKeys, Evaluate, Finished, LayerDone, Message, Proceed
from epaas_server.plan import cost_of, make_plan
from epaas_server.settings import Settings
from epaas_shared.layers import Integers
from epaas_shared.profile import default_profile
from tests.conftest import ClientKeys, Server, random_network, random_records, toy_schema, upload_keys, write_bundle

SCHEMA = toy_schema(6)
NETWORK = random_network(SCHEMA.bits, (4, 1), seed=70)
RECORDS = random_records(SCHEMA, 2, seed=71)
STRATEGIES = ("accumulate", "reduce-tree")
THREADS = 2


class Child:
    """An evaluation child's work done in this process, and what it told."""

    def __init__(self, folder: Path, keys: ClientKeys) -> None:
        self.keys = keys
        self.blobs = FolderBlobs(folder / "blobs")
        self._keys_blob = f"keys/{keys.digest}"
        self.blobs.put(self._keys_blob, keys.frame)
        self.blobs.put("jobs/one/record", keys.secret.encrypt_records(SCHEMA.encode(RECORDS), SCHEMA))
        write_bundle(folder / "bundle", NETWORK, SCHEMA)
        self.folder = folder / "bundle"
        self._told: list[Message] = []
        circuits = ensure_library(Settings().cache_dir, default_profile())
        limits = MachineLimits(THREADS, keyset_cache_bytes=10**9, memory_bytes=8 * 10**9)
        machine = Machine(circuits, limits, partial(read_frame, self.blobs))
        self._evaluator = Evaluator(machine, self.blobs, self._told.append, Proceed)

    @property
    def bundle(self) -> Bundle:
        return read_bundle(self.folder)

    def check_keys(self, *, calibrate: bool) -> Rates | None:
        self._evaluator.run(CheckKeys(self.keys.digest, self._keys_blob, calibrate))
        (told,) = self._took()
        assert isinstance(told, Finished)
        return told.rates

    def evaluate(self, strategy: str, checkpoint: str | None = None) -> list[Message]:
        """From the beginning, or from the checkpoint of the first layer."""
        plan = make_plan(self.bundle, [strategy])
        done = int(checkpoint is not None)
        record, output = "jobs/one/record", f"jobs/one/{done}"
        task = Evaluate(self.keys.digest, self._keys_blob, self.folder, plan, record, done, checkpoint, output)
        self._evaluator.run(task)
        return self._took()

    def decrypted(self, told: list[Message]) -> Integers:
        finished = told[-1]
        assert isinstance(finished, Finished), finished
        assert finished.result_blob is not None
        values, _ = self.keys.secret.decrypt_result(self.blobs.read(finished.result_blob))
        return values

    def _took(self) -> list[Message]:
        told = self._told.copy()
        self._told.clear()
        return told


@pytest.fixture(scope="module")
def child(tmp_path_factory: pytest.TempPathFactory, keys: ClientKeys) -> Child:
    return Child(tmp_path_factory.mktemp("child"), keys)


def test_a_key_check_measures_the_machine_where_it_is_asked_to(child: Child) -> None:
    assert child.check_keys(calibrate=False) is None
    rates = child.check_keys(calibrate=True)
    assert rates is not None
    assert rates.threads == THREADS
    assert min(rates.model_dump().values()) > 0
    for circuit in CIRCUITS:
        seconds = [rates.call_seconds(circuit, batch) for batch in circuit.batch_sizes]
        assert seconds == sorted(seconds, reverse=True), "a larger batch takes longer"
    assert rates.base_bytes > len(child.keys.frame)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_bootstraps_that_are_done_are_those_that_were_announced(child: Child, strategy: str) -> None:
    plan = make_plan(child.bundle, [strategy])
    announced = len(RECORDS) * cost_of(child.bundle, plan).bootstraps
    told = child.evaluate(strategy)
    assert sum(message.bootstraps for message in told if isinstance(message, Advanced)) == announced
    assert [message.layers_done for message in told if isinstance(message, LayerDone)] == [1, 2]
    np.testing.assert_array_equal(child.decrypted(told), NETWORK.evaluate(SCHEMA.encode(RECORDS)))

    (first, _) = [message.blob for message in told if isinstance(message, LayerDone)]
    resumed = child.evaluate(strategy, first)
    left = len(RECORDS) * plan.layers[1].bootstraps
    assert sum(message.bootstraps for message in resumed if isinstance(message, Advanced)) == left
    np.testing.assert_array_equal(child.decrypted(resumed), child.decrypted(told))


def test_a_served_cost_is_exact_in_bootstraps_and_learns_in_seconds(
    make_server: Callable[..., Server], keys: ClientKeys, tmp_path: Path
) -> None:
    server = make_server()
    write_bundle(tmp_path / "bundle", NETWORK, SCHEMA)
    assert server.publish(tmp_path / "bundle").returncode == 0
    with Client(server.url, timeout=120) as client:
        unknown = client.model("toy").cost
        assert unknown.seconds is unknown.memory_bytes is None
        upload_keys(server, keys)
        known: dict[str, Any] = client.model("toy").cost.model_dump()
        assert known["seconds"] > 0
        assert known["memory_bytes"] > 0
        assert {**known, "seconds": None, "memory_bytes": None} == unknown.model_dump()

        for strategy in STRATEGIES:
            assert server.command("plan", "toy", "--strategy", strategy).returncode == 0
            told = client.model("toy").cost
            assert told.seconds is not None
            job = client.submit("toy", RECORDS[0], keys.secret)
            done = job.wait()
            assert done.progress.done == done.progress.total == told.bootstraps
            assert done.evaluation_seconds is not None
            learnt = 0.7 * told.seconds + 0.3 * done.evaluation_seconds
            assert client.model("toy").cost.seconds == pytest.approx(learnt, rel=1e-6)

"""A layer on two machines of a Ray cluster beside one: ``make bench-fan-out``. Ends with one line of JSON.

The layer has 256 neurons of 784 inputs. It is evaluated in turn by a worker of one thread (engine ``local``) and by two
machines of one core (engine ``ray``, real nodes on loopback), under the same keys; every output is checked. From this
machine's rates, from what the machines' blocks took beside them, and from the sizes of what is sent, sixteen machines
are simulated: this layer, and the thesis's networks beside its table 8.2 "Out 16-P".
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from fan_out_simulation import Spread, simulated_seconds
from networks import CALIBRATION, THESIS, Planned, Way, networks, planned_layers, portions
from tests.conftest import write_bundle
from tests.integration.evaluation_children import start_logged
from tests.integration.ray_nodes import ray_cluster
from workbench import RESULTS, fired, random_bits, random_layer, report

from epaas_client.crypto import SecretKeys, generate_keys
from epaas_models.machine import processor
from epaas_server.blobs import FolderBlobs
from epaas_server.circuits.library import ensure_library
from epaas_server.cost import Rates
from epaas_server.engine.child import ChildConfiguration
from epaas_server.engine.cluster.sizes import block_sizes
from epaas_server.engine.cluster.work import Evaluate as SentBlock
from epaas_server.engine.cluster.work import PackedRows, PackedRun, Reference, SentKeys
from epaas_server.engine.keys import StoredKeys
from epaas_server.engine.limits import MachineLimits
from epaas_server.engine.local import EvaluationChild
from epaas_server.engine.tasks import CheckKeys, Evaluate, Finished, LayerDone, Message, Proceed
from epaas_server.plan import LayerPlan, Plan
from epaas_server.settings import Settings
from epaas_server.strategies import STRATEGIES
from epaas_shared.features import Bits, ImageFeature
from epaas_shared.layers import DenseLayer, Layer
from epaas_shared.network import Network
from epaas_shared.profile import default_profile
from epaas_shared.ranges import SumRange
from epaas_shared.schema import InputSchema
from epaas_shared.zerokey import ZeroKey

NEURONS, INPUTS = 256, 784
MACHINES = 2
SIMULATED = (1, 2, 4, 8, 16)
GIGABITS = (1.0, 10.0)
PROFILE = default_profile()
CIPHERTEXT = 8 * PROFILE.ciphertext_words
PIXELS = InputSchema(
    task="pixels",
    version=1,
    title="Binary images",
    target="answer",
    classes=("no", "yes"),
    features=(ImageFeature(name="image", height=28, width=28, thresholds=(128.0,), framing="whole"),),
)


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--rounds", type=int, default=5)
    rounds = options.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="epaas-bench-") as folder:
        measured, rates = measure(Path(folder), rounds)
    times = BlockTimes.of(rates, measured["blocks"])
    layer = the_layer()
    messages = sizes_of_messages(layer)
    result = {
        "benchmark": "fan-out",
        "machine": {"processor": processor(), "cores": os.cpu_count()},
        "layer": {"neurons": NEURONS, "inputs": INPUTS, "bootstraps": plan_of(layer).bootstraps},
        **measured,
        "block_seconds": {
            "times_the_rates": round(times.factor, 3),
            **{str(size): round(times.seconds(layer, plan_of(layer), size), 3) for size in (64, 32, 16, 8)},
        },
        "message_bytes": messages,
        "simulated": simulate_layer(layer, times, messages),
        "thesis": simulate_networks(times),
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "fan-out.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


def the_layer() -> DenseLayer:
    return random_layer(np.random.default_rng(11), NEURONS, INPUTS)


def plan_of(layer: Layer) -> LayerPlan:
    """As by ranges measured on random bits, whose sums have a standard deviation of 14: 9 of them are covered."""
    sums = SumRange(-128, 127, INPUTS, True, "measured")
    bootstraps = STRATEGIES["accumulate"].work(layer, sums, 1, PROFILE).bootstraps
    return LayerPlan(strategy="accumulate", sums=sums, bootstraps=bootstraps)


@dataclass
class Worker:
    """An evaluation child over the benchmark's blobs, which has tried the keys."""

    name: str
    child: EvaluationChild
    log_file: Path

    def do(self, task: CheckKeys | Evaluate) -> list[Message]:
        self.child.give(task)
        told: list[Message] = []
        while not told or not isinstance(told[-1], Finished):
            message = self.child.hear(600)
            assert message is not None, "nothing is heard"
            told.append(message)
            if isinstance(message, LayerDone):
                self.child.give(Proceed())
        return told

    def logged(self, event: str) -> list[dict[str, Any]]:
        lines = map(json.loads, self.log_file.read_text().splitlines())
        return [line for line in lines if line["event"] == event]


def measure(folder: Path, rounds: int) -> tuple[dict[str, Any], Rates]:
    """Rounds of both, one after the other; and how fast this machine is with one thread."""
    layer, secret_keys, frame = the_layer(), *generate_keys()
    stored = StoredKeys(f"keys/{secret_keys.evaluation_keys}", secret_keys.evaluation_keys)
    record = random_bits(np.random.default_rng(12), INPUTS)
    blobs, task = prepared(folder, layer, record, secret_keys, frame, stored)
    with workers(folder) as (local, spread):
        finished = local.do(CheckKeys(stored.digest, stored.blob, calibrate=True))[-1]
        assert isinstance(finished, Finished)
        assert finished.rates is not None
        spread.do(CheckKeys(stored.digest, stored.blob, calibrate=False))
        for worker in (spread, local, spread):  # until both machines have loaded the keys
            layer_seconds(worker, replace(task, output=f"jobs/bench/warm-{worker.name}"), blobs, secret_keys)
        assert len(spread.logged("machine ready")) == MACHINES
        rows = []
        for number in range(rounds):
            row: dict[str, Any] = {}
            for worker in (local, spread):
                row[f"{worker.name}_load"] = round(os.getloadavg()[0], 2)
                now = replace(task, output=f"jobs/bench/{worker.name}-{number}")
                row[worker.name] = round(layer_seconds(worker, now, blobs, secret_keys), 3)
            row["ratio"] = round(row["local"] / row["ray"], 3)
            report(json.dumps(row))
            rows.append(row)
        spread_layers = [line for line in spread.logged("neurons spread") if line["number"] == NEURONS][-rounds:]
    measured = {
        "rounds": rows,
        "ratio": statistics.median(row["ratio"] for row in rows),
        "blocks": [machine for line in spread_layers for machine in line["machines"].values()],
    }
    return measured, finished.rates


def prepared(
    folder: Path, layer: DenseLayer, record: Bits, secret_keys: SecretKeys, frame: bytes, stored: StoredKeys
) -> tuple[FolderBlobs, Evaluate]:
    """A bundle of the layer and a neuron after it, the keys and an encrypted record; a task for them."""
    last = random_layer(np.random.default_rng(13), 1, NEURONS)
    write_bundle(folder / "bundle", Network((layer, last)), PIXELS)
    blobs = FolderBlobs(folder / "blobs")
    blobs.put(stored.blob, frame)
    blobs.put("jobs/bench/record", secret_keys.encrypt_records(record[None], PIXELS))
    ends = LayerPlan(strategy="accumulate", sums=SumRange(-256, 255, NEURONS, False, "worst-case"), bootstraps=8)
    plan = Plan(layers=(plan_of(layer), ends))
    task = Evaluate(stored.digest, stored.blob, folder / "bundle", plan, "jobs/bench/record", 0, None, "jobs/bench/0")
    return blobs, task


def layer_seconds(worker: Worker, task: Evaluate, blobs: FolderBlobs, secret_keys: SecretKeys) -> float:
    """Of the first layer, whose outputs must be the plain ones."""
    done = [message for message in worker.do(task) if isinstance(message, LayerDone)]
    outputs = secret_keys.decrypt_messages(blobs.read(done[0].blob))
    expected = fired(the_layer(), random_bits(np.random.default_rng(12), INPUTS))
    assert outputs.tolist() == expected.tolist()
    return done[0].seconds


@contextmanager
def workers(folder: Path) -> Iterator[tuple[Worker, Worker]]:
    """A worker of one thread, and one that drives machines of one thread."""
    started: list[Worker] = []

    def start(name: str, configuration: ChildConfiguration) -> None:
        log_file = folder / f"{name}.log"
        started.append(Worker(name, start_logged(configuration, log_file), log_file))
        assert started[-1].child.hear(120) is not None

    limits = MachineLimits(threads=1, keyset_cache_bytes=2 * 10**9, memory_bytes=8 * 10**9)
    library = ensure_library(Settings().cache_dir, PROFILE)
    with ray_cluster() as cluster:
        os.environ.update(cluster.environment)
        for _ in range(MACHINES):
            cluster.add()
        try:
            start("local", ChildConfiguration(folder / "blobs", "", limits, "local", library))
            start("ray", ChildConfiguration(folder / "blobs", "", limits, "ray", ray_address=cluster.address))
            yield started[0], started[1]
        finally:
            for worker in started:
                worker.child.kill()


@dataclass(frozen=True)
class BlockTimes:
    """Seconds of a block by counts and this machine's rates; ``factor`` is how many times that the measured ones took.

    Rates alone do not know of a machine's memory that others use too, of inputs fetched or results stored.
    """

    rates: Rates
    factor: float = 1.0

    @classmethod
    def of(cls, rates: Rates, blocks: list[dict[str, float]]) -> BlockTimes:
        """``blocks`` of the layer: of each machine and round their number, their neurons and their seconds."""
        counted = cls(rates)
        layer, plan = the_layer(), plan_of(the_layer())
        predicted = sum(
            row["blocks"] * counted.seconds(layer, plan, round(row["ciphertexts"] / row["blocks"])) for row in blocks
        )
        return cls(rates, sum(row["seconds"] for row in blocks) / predicted)

    def seconds(self, layer: Layer, plan: LayerPlan, neurons: int) -> float:
        """Of a block of so many neurons."""
        total = 0.0
        for part, times in portions(layer, neurons, windows=8):
            work = STRATEGIES["accumulate"].work(part, plan.sums, 1, PROFILE)
            calls = sum(count * self.rates.call_seconds(*call) for call, count in work.calls.items())
            total += times * (calls + work.products * self.rates.product)
        return self.factor * total


def sizes_of_messages(layer: DenseLayer) -> dict[str, int]:
    return {
        "evaluation_keys": PROFILE.evaluation_keys_bytes + ZeroKey.byte_length(PROFILE.lwe_dimension),
        "inputs": layer.inputs * CIPHERTEXT,
        "block_of_64": rows_bytes(layer, 64),
        "result_of_64": 64 * CIPHERTEXT,
    }


def rows_bytes(layer: Layer, neurons: int) -> int:
    """Of the message that has so many neurons evaluated."""
    method = STRATEGIES["accumulate"].method(layer, plan_of(layer).sums, PROFILE)
    nowhere = Reference(None)
    run = PackedRun(PackedRows.of(layer.rows(0, neurons)), nowhere, None)
    return len(pickle.dumps(SentBlock(method, SentKeys(StoredKeys("", ""), nowhere), [run]), protocol=5))


def simulate_layer(layer: DenseLayer, times: BlockTimes, messages: dict[str, int]) -> list[dict[str, Any]]:
    """Seconds of the measured layer on more machines, and how many times one machine's that is."""
    plan = plan_of(layer)
    one = NEURONS // 64 * times.seconds(layer, plan, 64)
    rows = []
    for gigabits in GIGABITS:
        for machines in SIMULATED:
            spread = Spread(
                NEURONS,
                block_sizes(layer, plan, NEURONS, machines, 1, PROFILE),
                messages["inputs"],
                lambda neurons: rows_bytes(layer, neurons),
                CIPHERTEXT,
                lambda neurons: times.seconds(layer, plan, neurons),
            )
            seconds = simulated_seconds(spread, machines, gigabits)
            row = {"machines": machines, "gigabits": gigabits, "seconds": round(seconds, 3)}
            rows.append({**row, "times": round(one / seconds, 2)})
    return rows


def simulate_networks(times: BlockTimes) -> list[dict[str, Any]]:
    """The thesis's networks on one machine and on sixteen, by this machine's rates and what blocks took beside them."""
    rows = []
    for task, network in networks().items():
        for way in (Way("accumulate"), Way("accumulate", "measured")):
            records = random_bits(np.random.default_rng(10), CALIBRATION, network.inputs)
            planned = planned_layers(way, tuple(layer.within_reach() for layer in network.layers), records)
            row: dict[str, Any] = {"task": task, "ranges": way.ranges}
            for machines, gigabits in ((1, 10.0), (16, 1.0), (16, 10.0)):
                seconds = sum(network_layer(times, one, machines, gigabits) for one in planned)
                row[f"{machines} machines, {gigabits:.0f} Gbit/s"] = round(seconds, 2)
            row["thesis_sequential"] = THESIS[task][False, "sequential"]
            row["thesis_16_way"] = THESIS[task][True, "16-way"]
            report(json.dumps(row))
            rows.append(row)
    return rows


def network_layer(times: BlockTimes, planned: Planned, machines: int, gigabits: float) -> float:
    """Seconds of one layer for one record."""
    layer = planned.layer
    work = STRATEGIES["accumulate"].work(layer, planned.sums, 1, PROFILE)
    plan = LayerPlan(strategy="accumulate", sums=planned.sums, bootstraps=work.bootstraps)

    @lru_cache
    def seconds(neurons: int) -> float:
        return times.seconds(layer, plan, neurons)

    @lru_cache
    def sent(neurons: int) -> int:
        return rows_bytes(layer, min(neurons, layer.outputs))

    sizes = block_sizes(layer, plan, layer.outputs, machines, 1, PROFILE)
    spread = Spread(layer.outputs, sizes, layer.inputs * CIPHERTEXT, sent, CIPHERTEXT, seconds)
    return simulated_seconds(spread, machines, gigabits)


if __name__ == "__main__":
    main()

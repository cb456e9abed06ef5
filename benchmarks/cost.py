"""Whether costs are known before running: ``make bench-cost``. Ends with one line of JSON.

Models of several shapes and strategies are published on a real server; each is predicted once, and what the server said
beforehand of bootstraps, seconds, memory and bytes stands beside what it then took. Weights are random: cost does not
depend on what they mean.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from machine import peak_megabytes
from tests.report_making import least_report

from epaas_client import Client
from epaas_client.crypto import SecretKeys, generate_keys
from epaas_models.export import provenance, weights_file, write_bundle
from epaas_models.machine import processor
from epaas_shared.digest import digest_bytes
from epaas_shared.features import NumberFeature
from epaas_shared.layers import ConvolutionLayer, DenseLayer, Layer
from epaas_shared.network import Network
from epaas_shared.schema import InputSchema

REPETITIONS = 3


@dataclass(frozen=True)
class Case:
    name: str
    network: Network
    strategy: str


def main() -> None:
    random = np.random.default_rng(0)
    secret_keys, frame = generate_keys()
    rows = []
    for case in cases(random):
        with tempfile.TemporaryDirectory(prefix="epaas-bench-") as folder:
            row = measure(case, Path(folder), secret_keys, frame, random)
        rows.append(row)
        print(json.dumps(row), flush=True)
    machine = {"processor": processor(), "threads": os.cpu_count()}
    print(json.dumps({"benchmark": "cost", "machine": machine, "models": rows}))


def cases(random: np.random.Generator) -> list[Case]:
    image = ConvolutionLayer(*weights(random, 8, (1, 5, 5)), height=28, width=28, stride=(3, 3))
    pooled = ConvolutionLayer(*weights(random, 8, (8, 3, 3)), height=8, width=8, stride=(2, 2))
    return [
        Case("30-1", Network((dense(random, 30, 1),)), "accumulate"),
        Case("784-128-10", Network((dense(random, 784, 128), dense(random, 128, 10))), "accumulate"),
        Case("28x28, two convolutions, 10", Network((image, pooled, dense(random, 72, 10))), "accumulate"),
        Case("1,500-20-1", Network((dense(random, 1500, 20), dense(random, 20, 1))), "accumulate"),
        Case("784-256-1", Network((dense(random, 784, 256), dense(random, 256, 1))), "approximate"),
        Case("100-16-1", Network((dense(random, 100, 16), dense(random, 16, 1))), "reduce-tree"),
        Case("100-16-1", Network((dense(random, 100, 16), dense(random, 16, 1))), "reduce-tree+1"),
        Case("32-8-1", Network((dense(random, 32, 8), dense(random, 8, 1))), "sorting-network"),
    ]


def weights(random: np.random.Generator, outputs: int, shape: tuple[int, ...]) -> tuple[Any, Any]:
    """Random signs, and thresholds at the middle of the sums."""
    signs = random.choice([-1, 1], (outputs, *shape))
    return signs, np.rint(signs.reshape(outputs, -1).sum(axis=1) / 2).astype(np.int64)


def dense(random: np.random.Generator, inputs: int, outputs: int) -> Layer:
    return DenseLayer(*weights(random, outputs, (inputs,)))


def measure(
    case: Case, folder: Path, secret_keys: SecretKeys, frame: bytes, random: np.random.Generator
) -> dict[str, Any]:
    features = tuple(
        NumberFeature(name=f"x{i}", kind="thresholds", edges=(0.5,), minimum=0.0, maximum=1.0)
        for i in range(case.network.inputs)
    )
    classes = tuple(f"class {i}" for i in range(max(2, case.network.layers[-1].outputs)))
    schema = InputSchema(task="bits", version=1, title="Bits", target="y", classes=classes, features=features)
    origin = provenance(
        command="benchmarks/cost.py", seed=0, data="random", data_digest="0" * 64, split="none", configuration={}
    )
    write_bundle(
        folder / "bundle",
        name="model",
        title=case.name,
        network=case.network,
        schema=schema,
        report=least_report(schema, digest_bytes(weights_file(case.network))),
        provenance=origin,
    )
    with serving(folder, case.strategy) as (url, worker), Client(url) as client:
        client.upload_keys(frame)
        client.wait_for_keys(secret_keys.evaluation_keys)
        cost = client.model("model").cost
        seconds, sizes, bootstraps = [], {}, 0
        for _ in range(REPETITIONS):
            bits = random.integers(0, 2, case.network.inputs)
            record = {f"x{i}": float(bit) for i, bit in enumerate(bits)}
            sent = client.encrypt(client.model("model"), record, secret_keys)
            job = client.send(client.model("model"), sent)
            job.wait()
            result = job.fetch()
            if case.strategy != "approximate":
                plain = case.network.predict(bits[None].astype(np.uint8))
                assert [label.index for label in job.decrypt(result, secret_keys, schema)] == plain
            seconds.append(job.prediction.evaluation_seconds or 0.0)
            bootstraps = job.prediction.progress.total
            sizes = {"record": len(sent), "result": len(result)}
        memory = peak_megabytes(worker)
    predicted = {
        "bootstraps": cost.bootstraps,
        "depth": cost.depth,
        "seconds": round(cost.seconds or 0.0, 3),
        "memory_mb": round((cost.memory_bytes or 0) / 1e6),
        "record_bytes": cost.record_bytes,
        "result_bytes": cost.result_bytes,
    }
    measured = {
        "bootstraps": bootstraps,
        "seconds": [round(value, 3) for value in seconds],
        "memory_mb": memory,
        "record_bytes": sizes["record"],
        "result_bytes": sizes["result"],
    }
    ratio = {
        "seconds": round(float(np.median(seconds)) / (cost.seconds or 1.0), 3),
        "memory": round(memory / ((cost.memory_bytes or 1) / 1e6), 3),
    }
    return {
        "model": case.name,
        "strategy": case.strategy,
        "predicted": predicted,
        "measured": measured,
        "measured_to_predicted": ratio,
    }


@contextmanager
def serving(folder: Path, strategy: str) -> Iterator[tuple[str, int]]:
    """A server over ``folder`` with its bundle published: its address and the process id of its worker."""
    environment = {**os.environ, "EPAAS_SERVER_DATA_DIR": str(folder / "server")}
    command = [sys.executable, "-m", "epaas_server"]
    publish = [*command, "publish", str(folder / "bundle"), "--strategy", strategy]
    subprocess.run(publish, env=environment, check=True, capture_output=True)
    server = subprocess.Popen([*command, "serve", "--port", "0"], env=environment, stderr=subprocess.PIPE, text=True)
    try:
        assert server.stderr is not None
        listening = next(json.loads(line) for line in server.stderr if '"listening"' in line)
        (worker,) = listening["workers"]
        yield listening["url"], worker
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()

"""Time and sizes of one Cancer prediction: ``make bench``. Ends with one line of JSON.

``service`` is measured from outside: a real server on loopback, keys warm, one record a prediction. ``engine`` is
measured in this process: where the time of an evaluation goes. A call's fixed cost is what remains of a call on one
sum after the time of its bootstraps, which is taken from the slope between larger batches.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from machine import peak_megabytes

from epaas_client import Client
from epaas_client.crypto import SecretKeys, generate_keys
from epaas_models.configuration import load_configuration
from epaas_models.datasets import DataSettings, load, split
from epaas_models.fit import fit
from epaas_models.machine import processor
from epaas_server.bundles import Bundle, read_bundle
from epaas_server.circuits.library import ensure_library
from epaas_server.engine.levelled import expand_seeded
from epaas_server.engine.rerandomise import rerandomise
from epaas_server.engine.runtime import Circuits, load_keyset
from epaas_server.plan import make_plan
from epaas_server.settings import Settings
from epaas_server.strategies.accumulate import compared, narrowest
from epaas_shared.frame import EvaluationKeysHeader, RecordHeader, decode_frame
from epaas_shared.profile import default_profile
from epaas_shared.zerokey import ZeroKey

THREADS = int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1))
PREDICTIONS = 20
REPETITIONS = 9


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="epaas-bench-") as name:
        folder = Path(name)
        fit(
            load_configuration("breast-cancer"),
            load("breast-cancer", DataSettings()),
            folder / "bundle",
            seed=0,
            command="benchmarks/prediction.py",
        )
        begin = time.perf_counter()
        secret_keys, frame = generate_keys()
        keygen = time.perf_counter() - begin
        service = measure_service(folder, secret_keys, frame)
        engine = measure_engine(read_bundle(folder / "bundle"), secret_keys, frame)
    machine = {"processor": processor(), "threads": THREADS}
    result = {"benchmark": "prediction", "machine": machine, "keygen_seconds": round(keygen, 2)}
    print(json.dumps({**result, "service": service, "engine": engine}))


def measure_service(folder: Path, secret_keys: SecretKeys, frame: bytes) -> dict[str, Any]:
    """A record at a time through HTTP: what the client waits and what the server says it took."""
    environment = {**os.environ, "EPAAS_SERVER_DATA_DIR": str(folder / "server")}
    command = [sys.executable, "-m", "epaas_server"]
    subprocess.run([*command, "publish", str(folder / "bundle")], env=environment, check=True, capture_output=True)
    server = subprocess.Popen([*command, "serve", "--port", "0"], env=environment, stderr=subprocess.PIPE, text=True)
    try:
        assert server.stderr is not None
        listening = next(json.loads(line) for line in server.stderr if '"listening"' in line)
        url, (worker,) = listening["url"], listening["workers"]
        dataset = load("breast-cancer", DataSettings())
        rows = split(dataset, 0).test[:PREDICTIONS]
        with Client(url) as client:
            begin = time.perf_counter()
            client.upload_keys(frame)
            upload = time.perf_counter() - begin
            client.wait_for_keys(secret_keys.evaluation_keys)
            model = client.model("breast-cancer")
            waited, evaluated, sizes, memory = [], [], {}, 0
            for row in rows:
                record = client.encrypt(model, dataset.record(int(row)), secret_keys)
                begin = time.perf_counter()
                job = client.send(model, record)
                job.wait()
                result = job.fetch()
                waited.append(time.perf_counter() - begin)
                evaluated.append(job.prediction.evaluation_seconds or 0.0)
                memory = peak_megabytes(worker)
                sizes = {"evaluation_keys": len(frame), "record": len(record), "result": len(result)}
    finally:
        server.terminate()
        server.wait()
    return {
        "predictions": len(waited),
        "upload_seconds": round(upload, 3),
        "evaluate_seconds": spread(evaluated),
        "send_to_result_seconds": spread(waited),
        "bytes": sizes,
        "evaluation_child_megabytes": memory,
    }


def measure_engine(bundle: Bundle, secret_keys: SecretKeys, frame: bytes) -> dict[str, Any]:
    """The parts of an evaluation, each on its own, in seconds."""
    profile = default_profile()
    circuits = Circuits(ensure_library(Settings().cache_dir, profile), profile)
    header, payload = decode_frame(frame, EvaluationKeysHeader)
    keyset = load_keyset(payload[: header.keyset_bytes])
    zero_key = ZeroKey.from_bytes(payload[header.keyset_bytes :], profile.lwe_dimension)
    dataset = load("breast-cancer", DataSettings())
    bits = bundle.schema.encode([dataset.record(0)])
    _, seeded = decode_frame(secret_keys.encrypt_records(bits, bundle.schema), RecordHeader)
    (layer,) = bundle.network.evaluated_layers
    (planned,) = make_plan(bundle).layers
    circuit = narrowest(planned.sums, profile)
    assert circuit is not None

    rows = layer.rows(0, layer.outputs)
    ciphertexts = expand_seeded(seeded, profile)
    sums = compared(rows, ciphertexts, circuit)
    parts = {
        "expand": median_seconds(lambda: expand_seeded(seeded, profile)),
        "levelled": median_seconds(lambda: compared(rows, ciphertexts, circuit)),
        "rerandomise": median_seconds(lambda: rerandomise(sums, zero_key, profile)),
    }
    random = np.random.default_rng(0)
    calls = {}
    for batch in (1, 16, 64):
        block = random.integers(0, 2**64, (batch, profile.ciphertext_words), dtype=np.uint64)
        calls[batch] = median_seconds(partial(circuits.bootstrap, circuit, block, keyset))
    neuron_seconds = (calls[64] - calls[16]) / 48
    one_neuron = neuron_seconds * THREADS
    parts["call, fixed"] = calls[1] - one_neuron
    parts["call, bootstraps"] = one_neuron
    total = sum(parts.values())
    return {
        "circuit": circuit.name,
        "parts_seconds": {name: round(seconds, 4) for name, seconds in parts.items()},
        "share_not_bootstraps": round(1 - one_neuron / total, 3),
        "share_not_bootstraps_of_64_neurons": round(1 - 64 * neuron_seconds / calls[64], 3),
        "seconds_a_neuron_in_large_batches": round(neuron_seconds, 4),
        "calls_seconds": {str(batch): round(seconds, 4) for batch, seconds in calls.items()},
    }


def median_seconds(work: Callable[[], object]) -> float:
    seconds = []
    for _ in range(REPETITIONS):
        begin = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds[1:])


def spread(values: list[float]) -> dict[str, float]:
    return {
        "median": round(statistics.median(values), 4),
        "minimum": round(min(values), 4),
        "maximum": round(max(values), 4),
    }


if __name__ == "__main__":
    main()

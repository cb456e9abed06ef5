"""Fixtures that several kinds of tests share: real keys, a real server process, small real models.

Everything runs at full security parameters. Servers listen on loopback, on a port of their own choice, over a folder
of the test's.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import pytest
import safetensors.numpy

from epaas_client.crypto import SecretKeys, generate_keys
from epaas_shared.bundle import (
    MANIFEST_FILE,
    REPORT_FILE,
    SCHEMA_FILE,
    WEIGHTS_FILE,
    BundleManifest,
    Provenance,
    network_to_tensors,
    specs_of,
)
from epaas_shared.digest import canonical_json, digest_bytes
from epaas_shared.features import NumberFeature
from epaas_shared.layers import DenseLayer
from epaas_shared.network import Network
from epaas_shared.profile import default_profile
from epaas_shared.report import report_bytes
from epaas_shared.schema import InputSchema
from tests.object_store import aws, object_store, wire
from tests.postgresql import SHARED, own_postgresql, postgresql
from tests.report_making import least_report

__all__ = ["aws", "object_store", "own_postgresql", "postgresql", "wire"]


def pytest_runtest_setup() -> None:
    """Writing to a broken connection is an error again, after an evaluation in this process.

    The runtime's first call has SIGPIPE end the process without a word. Servers evaluate in children; tests do it here.
    """
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)


def pytest_sessionfinish() -> None:
    SHARED.remove()


START_SECONDS = 180.0
"""Patience with a busy machine, on which a server starts and keys are tried."""


@dataclass(frozen=True)
class ClientKeys:
    """A client's keys in memory: the secret ones and the frame of the evaluation keys."""

    secret: SecretKeys
    frame: bytes

    @property
    def digest(self) -> str:
        return self.secret.evaluation_keys


@pytest.fixture(scope="session")
def keys() -> ClientKeys:
    return ClientKeys(*generate_keys())


@pytest.fixture(scope="session")
def other_keys() -> ClientKeys:
    """The keys of another client."""
    return ClientKeys(*generate_keys())


def toy_schema(features: int = 30) -> InputSchema:
    """A task of numbers from 0 to 3 in three bins each."""
    return InputSchema(
        task="toy",
        version=1,
        title="A toy task",
        target="answer",
        classes=("no", "yes"),
        features=tuple(
            NumberFeature(name=f"f{i}", edges=(1.0, 2.0), minimum=0.0, maximum=3.0) for i in range(features)
        ),
    )


def random_network(inputs: int, widths: tuple[int, ...], seed: int) -> Network:
    """Ternary weights, thresholds near the mean of the sums so that no neuron is constant."""
    random = np.random.default_rng(seed)
    layers: list[DenseLayer] = []
    for outputs in widths:
        weights = random.integers(-1, 2, (outputs, inputs))
        density = 1 / 3 if not layers else 1 / 2
        thresholds = np.rint(weights.sum(axis=1) * density).astype(np.int64)
        layers.append(DenseLayer(weights, thresholds))
        inputs = outputs
    return Network(tuple(layers))


def write_bundle(folder: Path, network: Network, schema: InputSchema, *, name: str = "toy") -> str:
    """Write a bundle as training would, and return its digest."""
    weights = safetensors.numpy.save(network_to_tensors(network))
    files = {
        WEIGHTS_FILE: weights,
        SCHEMA_FILE: canonical_json(schema.model_dump(mode="json")),
        REPORT_FILE: report_bytes(least_report(schema, digest_bytes(weights), model=name)),
    }
    manifest = BundleManifest(
        name=name,
        title="A toy model",
        profile=default_profile().digest,
        input_schema=schema.digest,
        output="scores" if network.scores else "label",
        scores=network.scores,
        layers=specs_of(network),
        files={file: digest_bytes(data) for file, data in files.items()},
        provenance=Provenance(
            command="tests",
            seed=0,
            data="random",
            data_digest="0" * 64,
            split="none",
            configuration={},
            versions={},
            created="2026-01-01T00:00:00+00:00",
        ),
    )
    folder.mkdir(parents=True, exist_ok=True)
    for file, data in {**files, MANIFEST_FILE: manifest.to_bytes()}.items():
        (folder / file).write_bytes(data)
    return manifest.digest


def random_records(schema: InputSchema, count: int, seed: int) -> list[dict[str, float]]:
    random = np.random.default_rng(seed)
    names = [feature.name for feature in schema.features]
    return [dict(zip(names, map(float, row), strict=True)) for row in random.uniform(0, 3, (count, len(names)))]


@dataclass
class Server:
    """A real ``epaas-server serve`` over ``data_dir``; it can be killed and started again."""

    data_dir: Path
    options: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    url: str = ""

    @property
    def environment(self) -> dict[str, str]:
        options = {**SHARED.settings(self.data_dir), **self.options}
        prefixed = {f"EPAAS_SERVER_{name.upper()}": value for name, value in options.items()}
        return {**os.environ, "EPAAS_SERVER_DATA_DIR": str(self.data_dir), **prefixed}

    @property
    def log_file(self) -> Path:
        return self.data_dir / "server.log"

    def start(self) -> Server:
        self.data_dir.mkdir(parents=True, exist_ok=True)
        with self.log_file.open("ab") as log:
            seen = log.tell()
            command = [sys.executable, "-m", "epaas_server", "serve", "--port", "0"]
            self.process = subprocess.Popen(command, env=self.environment, stderr=log, start_new_session=True)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            events = self.events("listening", seen)
            if events:
                self.url = str(events[-1]["url"])
                return self
            time.sleep(0.05)
        raise RuntimeError(f"the server does not start:\n{self.log_file.read_text()}")

    def events(self, name: str, offset: int = 0) -> list[dict[str, object]]:
        """The log's events of this name, from a byte offset on."""
        lines = self.log_file.read_bytes()[offset:].decode().splitlines(keepends=True)
        whole = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}\n")]
        return [event for event in whole if event.get("event") == name]

    def kill(self) -> None:
        """``kill -9`` of the serving process; its workers notice and end."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)

    def publish(self, bundle: Path, *options: str) -> subprocess.CompletedProcess[str]:
        return self.command("publish", str(bundle), "--json", *options)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """``epaas-server`` beside the one that serves."""
        command = [sys.executable, "-m", "epaas_server", *arguments]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)

    def http(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=60)


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start servers of this test's own; all are stopped at its end."""
    servers: list[Server] = []

    def make(**options: str) -> Server:
        server = Server(tmp_path / f"server-{len(servers)}", options).start()
        servers.append(server)
        return server

    yield make
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, keys: ClientKeys) -> Iterator[Server]:
    """A server that tests share, with the keys of ``keys`` warm and a two-layer ``toy`` model published."""
    shared = Server(tmp_path_factory.mktemp("server")).start()
    try:
        bundle = tmp_path_factory.mktemp("bundle")
        write_bundle(bundle, TOY_NETWORK, TOY_SCHEMA)
        published = shared.publish(bundle)
        assert published.returncode == 0, published.stderr
        upload_keys(shared, keys)
        yield shared
    finally:
        shared.stop()


TOY_SCHEMA = toy_schema()
TOY_NETWORK = random_network(TOY_SCHEMA.bits, (5, 1), seed=1)


def upload_keys(server: Server, keys: ClientKeys) -> None:
    """Upload evaluation keys and wait for their trial run."""
    with server.http() as http:
        http.put(f"/v1/evaluation-keys/{keys.digest}", content=keys.frame).raise_for_status()
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            state = http.get(f"/v1/evaluation-keys/{keys.digest}").json()["state"]
            if state != "checking":
                assert state == "ready"
                return
            time.sleep(0.1)
    raise RuntimeError("the keys are still being checked")

"""A real server on loopback in a temporary folder, and a real client with fresh keys, for benchmarks of many models."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from epaas_client import Client
from epaas_client.crypto import SecretKeys, generate_keys
from epaas_client.job import Label
from epaas_server.plan import Plan
from epaas_shared.protocol import ModelVersion, Prediction

_COMMAND = [sys.executable, "-m", "epaas_server"]


@dataclass(frozen=True)
class Answer:
    """One record's decrypted prediction, and what the server said of the job."""

    label: Label
    prediction: Prediction
    waited: float
    """Seconds from sending the encrypted record to having the encrypted result."""
    record_bytes: int
    result_bytes: int

    @property
    def evaluation_seconds(self) -> float:
        assert self.prediction.evaluation_seconds is not None
        return self.prediction.evaluation_seconds


@dataclass(frozen=True)
class Service:
    """A running server, and a client whose keys it has."""

    client: Client
    secret_keys: SecretKeys
    environment: Mapping[str, str]

    def publish(
        self, bundle: Path, strategies: Sequence[str] = (), *, trust_measured_ranges: bool = False
    ) -> tuple[ModelVersion, Plan]:
        """Publish a bundle: the model as the client sees it, and how the server evaluates it."""
        flags = [flag for strategy in strategies for flag in ("--strategy", strategy)]
        flags += ["--trust-measured-ranges"] * trust_measured_ranges
        done = subprocess.run(
            [*_COMMAND, "publish", str(bundle), *flags, "--json"],
            env=self.environment,
            check=True,
            stdout=subprocess.PIPE,
        )
        document = json.loads(done.stdout)
        return self.client.model(document["name"]), Plan.model_validate(document["plan"])

    def predict(self, model: ModelVersion, record: Mapping[str, Any]) -> Answer:
        """A job of one record, waited for."""
        frame = self.client.encrypt(model, record, self.secret_keys)
        begin = time.perf_counter()
        job = self.client.send(model, frame)
        job.wait()
        result = job.fetch()
        waited = time.perf_counter() - begin
        (label,) = job.decrypt(result, self.secret_keys)
        return Answer(label, job.prediction, waited, len(frame), len(result))


@contextmanager
def serving() -> Iterator[Service]:
    """A server that has tried the client's keys."""
    with tempfile.TemporaryDirectory(prefix="epaas-bench-") as name:
        environment = {**os.environ, "EPAAS_SERVER_DATA_DIR": str(Path(name) / "server")}
        log = Path(name) / "server.log"
        # a file, since nobody reads a pipe for as long as this takes, and a full one stops the server
        with log.open("w") as lines:
            server = subprocess.Popen([*_COMMAND, "serve", "--port", "0"], env=environment, stderr=lines)
        try:
            with Client(_address(server, log)) as client:
                secret_keys, frame = generate_keys()
                client.upload_keys(frame)
                client.wait_for_keys(secret_keys.evaluation_keys)
                yield Service(client, secret_keys, environment)
        finally:
            server.terminate()
            server.wait()


def _address(server: subprocess.Popen[bytes], log: Path) -> str:
    """Where the server listens, once it does."""
    while server.poll() is None:
        for line in log.read_text().splitlines(keepends=True):
            if '"listening"' in line and line.endswith("\n"):
                return str(json.loads(line)["url"])
        time.sleep(0.1)
    raise SystemExit(f"the server did not start:\n{log.read_text()}")

"""Versions come, go live and are taken back while clients predict: nobody notices, and results name their version."""

from __future__ import annotations

import io
import threading
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from queue import Queue

import httpx
import numpy as np

from epaas_shared.network import Network
from tests.conftest import (
    TOY_SCHEMA,
    ClientKeys,
    Server,
    random_network,
    random_records,
    upload_keys,
    write_bundle,
)

CHANGES = 20
VERSIONS = 6
RECORDS = random_records(TOY_SCHEMA, 3, seed=71)
BITS = TOY_SCHEMA.encode(RECORDS)
VERSIONS_PATH, STABLE_PATH = "/v1/models/toy/versions", "/v1/models/toy/aliases/stable"


def distinct_networks(count: int) -> list[Network]:
    """Networks of one neuron, quickly evaluated, of which no two neighbours say the same of the records."""
    networks: list[Network] = []
    seed = 100
    while len(networks) < count:
        seed += 1
        network = random_network(TOY_SCHEMA.bits, (1,), seed)
        if not networks or not np.array_equal(network.evaluate(BITS), networks[-1].evaluate(BITS)):
            networks.append(network)
    return networks


def archive(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        for file in sorted(folder.iterdir()):
            made.write(file, file.name)
    return buffer.getvalue()


@dataclass
class Stream:
    """A client that asks for one prediction after the other by the model's name, and reads what it gets."""

    url: str
    keys: ClientKeys
    stop: threading.Event = field(default_factory=threading.Event)
    read: list[tuple[int, bytes]] = field(default_factory=list)
    """The version that each result names, and the result decrypted."""
    begun: Queue[int] = field(default_factory=Queue)
    """The version of each prediction as it is asked for."""
    errors: list[BaseException] = field(default_factory=list)

    def await_one_by(self, version: int) -> None:
        """Return when another prediction by this version has been asked for, and is hardly finished yet."""
        while not self.begun.empty():
            self.begun.get()
        while self.begun.get(timeout=300) != version:
            assert self.errors == []

    def run(self) -> None:
        try:
            frame = self.keys.secret.encrypt_records(BITS, TOY_SCHEMA)
            with httpx.Client(base_url=self.url, timeout=120) as http:
                while not self.stop.is_set():
                    self._predict(http, frame)
        except BaseException as error:
            self.errors.append(error)
            self.begun.put(0)

    def _predict(self, http: httpx.Client, frame: bytes) -> None:
        asked = http.post("/v1/predictions", params={"model": "toy"}, content=frame)
        assert asked.status_code == 202, asked.text
        self.begun.put(asked.json()["version"])
        path = f"/v1/predictions/{asked.json()['id']}"
        state = "queued"
        while state in ("queued", "running"):
            state = http.get(path, headers={"Prefer": "wait=20"}).json()["state"]
        result = http.get(f"{path}/result")
        assert result.status_code == 200, result.text
        finished = http.get(path).json()
        named = ("version", "model_digest")
        assert [finished[name] for name in named] == [asked.json()[name] for name in named]
        output, header = self.keys.secret.decrypt_result(result.content)
        assert header.model == finished["model_digest"]
        self.read.append((finished["version"], output.tobytes()))


@dataclass
class Provider:
    """Somebody who changes what is served, each time when a prediction has just begun."""

    http: httpx.Client
    archives: list[bytes]
    stream: Stream
    stable: int = 1
    changes: int = 0

    def publish(self, number: int, alias: str) -> None:
        response = self.http.post(VERSIONS_PATH, content=self.archives[number - 1], params={"alias": alias})
        assert (response.status_code, response.json()["version"]) == (201, number), response.text

    def promote(self, number: int, instead_of: int) -> None:
        response = self.http.put(STABLE_PATH, json={"version": number, "expected": instead_of})
        assert (response.status_code, response.json()["version"]) == (200, number), response.text
        self.stable = number

    def roll_back(self, to: int) -> None:
        response = self.http.post("/v1/models/toy/rollback")
        assert (response.status_code, response.json()["version"]) == (200, to), response.text
        self.stable = to

    def when_one_has_begun(self, change: Callable[..., None], *arguments: object) -> None:
        self.stream.await_one_by(self.stable)
        change(*arguments)
        self.changes += 1


def test_twenty_changes_under_a_stream_of_predictions(
    make_server: Callable[..., Server], keys: ClientKeys, tmp_path: Path
) -> None:
    networks = distinct_networks(VERSIONS)
    archives = []
    for number, network in enumerate(networks):
        write_bundle(tmp_path / str(number), network, TOY_SCHEMA)
        archives.append(archive(tmp_path / str(number)))
    server = make_server(workers="1", threads="1")
    token = server.command("token", "create", "tests", "--scope", "publish").stdout.strip()
    upload_keys(server, keys)
    stream = Stream(server.url, keys)
    thread = threading.Thread(target=stream.run)
    with httpx.Client(base_url=server.url, timeout=120, headers={"Authorization": f"Bearer {token}"}) as http:
        provider = Provider(http, archives, stream)
        provider.publish(1, "stable")
        thread.start()
        try:
            for number in range(2, VERSIONS + 1):
                provider.when_one_has_begun(provider.publish, number, "candidate")
                provider.when_one_has_begun(provider.promote, number, number - 1)
                provider.when_one_has_begun(provider.roll_back, number - 1)
                provider.when_one_has_begun(provider.promote, number, number - 1)
            stream.await_one_by(VERSIONS)
        finally:
            stream.stop.set()
            thread.join()
        history = [release["version"] for release in http.get(VERSIONS_PATH).json()["history"]]

    assert stream.errors == []
    assert provider.changes == CHANGES
    assert history == [1, *(step for number in range(2, VERSIONS + 1) for step in (number, number - 1, number))]
    assert len(stream.read) > CHANGES
    assert {version for version, _ in stream.read} == set(range(1, VERSIONS + 1)), "all versions answered"
    plain = [network.evaluate(BITS).tobytes() for network in networks]
    assert all(one != other for one, other in pairwise(plain)), "a result of the wrong version would be seen"
    for version, output in stream.read:
        assert output == plain[version - 1]
    assert token not in server.log_file.read_text()


def test_a_queued_prediction_is_finished_by_the_version_that_it_began_with(
    make_server: Callable[..., Server], keys: ClientKeys, tmp_path: Path
) -> None:
    """Asked for, then another version goes live by the command, then the worker comes to it."""
    networks = distinct_networks(2)
    server = make_server(workers="1", threads="1")
    for number, network in enumerate(networks):
        write_bundle(tmp_path / str(number), network, TOY_SCHEMA)
    assert server.publish(tmp_path / "0").returncode == 0
    assert server.publish(tmp_path / "1", "--candidate").returncode == 0
    frame = keys.secret.encrypt_records(BITS, TOY_SCHEMA)
    with server.http() as http:
        # predictions wait for the check of their keys, which takes seconds
        http.put(f"/v1/evaluation-keys/{keys.digest}", content=keys.frame).raise_for_status()
        before = http.post("/v1/predictions", params={"model": "toy"}, content=frame).json()
        promoted = server.command("promote", "toy", "2", "--expected", "1")
        assert promoted.returncode == 0, promoted.stderr
        after = http.post("/v1/predictions", params={"model": "toy"}, content=frame).json()
        chosen = http.post("/v1/predictions", params={"model": "toy", "version": 1}, content=frame).json()
        outputs = []
        for prediction in (before, after, chosen):
            state = "queued"
            while state in ("queued", "running"):
                path = f"/v1/predictions/{prediction['id']}"
                state = http.get(path, headers={"Prefer": "wait=20"}).json()["state"]
            outputs.append(keys.secret.decrypt_result(http.get(f"{path}/result").content)[0])
    assert [prediction["version"] for prediction in (before, after, chosen)] == [1, 2, 1]
    for output, network in zip(outputs, (networks[0], networks[1], networks[0]), strict=True):
        np.testing.assert_array_equal(output, network.evaluate(BITS))

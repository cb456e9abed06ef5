"""A server whose blobs and bundles are in an object store: predictions, two machines, and a store that goes away."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import pytest

from epaas_client import Client
from tests.conftest import (
    TOY_NETWORK,
    TOY_SCHEMA,
    ClientKeys,
    Server,
    random_network,
    random_records,
    upload_keys,
    write_bundle,
)
from tests.integration.processes import wait_until
from tests.object_store import ObjectStore, Wire, addresses

WIDE = random_network(TOY_SCHEMA.bits, (40, 40, 1), seed=71)
RECORDS = random_records(TOY_SCHEMA, 2, seed=72)


@dataclass
class FarServer(Server):
    """A server whose store is at the other end of a wire."""

    variables: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, **self.variables}


@pytest.fixture(scope="module")
def bucket(object_store: ObjectStore) -> str:
    return object_store.new_bucket()


@pytest.fixture(scope="module")
def wire(object_store: ObjectStore) -> Iterator[Wire]:
    wire = Wire(object_store.port).mend()
    yield wire
    wire.cut()


@pytest.fixture(scope="module")
def far_server(
    bucket: str, wire: Wire, keys: ClientKeys, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FarServer]:
    """It has the keys and a model; these tests share it, and leave it as they find it."""
    options = {"blob_store": f"s3://{bucket}/epaas", "lease_seconds": "3", "heartbeat_seconds": "0.2"}
    server = FarServer(tmp_path_factory.mktemp("far"), options, variables=addresses(wire.url))
    server.start()
    try:
        bundle = tmp_path_factory.mktemp("bundle")
        write_bundle(bundle, WIDE, TOY_SCHEMA)
        published = server.publish(bundle)
        assert published.returncode == 0, published.stderr
        upload_keys(server, keys)
        yield server
    finally:
        server.stop()


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def submit(server: Server, keys: ClientKeys) -> str:
    frame = keys.secret.encrypt_records(TOY_SCHEMA.encode(RECORDS), TOY_SCHEMA)
    with server.http() as http:
        return str(http.post("/v1/predictions", params={"model": "toy"}, content=frame).raise_for_status().json()["id"])


def check_finished(server: Server, job: str, keys: ClientKeys) -> dict[str, object]:
    with server.http() as http:
        wait_until(lambda: http.get(f"/v1/predictions/{job}").json()["state"] not in ("queued", "running"))
        prediction: dict[str, object] = http.get(f"/v1/predictions/{job}").json()
        assert prediction["state"] == "succeeded", prediction
        result = http.get(f"/v1/predictions/{job}/result").raise_for_status().content
    output, _ = keys.secret.decrypt_result(result)
    np.testing.assert_array_equal(output, WIDE.evaluate(TOY_SCHEMA.encode(RECORDS)))
    return prediction


def layers_done(server: Server, job: str) -> int:
    with closing(sqlite3.connect(server.data_dir / "epaas.db")) as database:
        (done,) = database.execute("SELECT layers_done FROM jobs WHERE id = ?", (job,)).fetchone()
        return int(done)


def of_jobs(store: ObjectStore, bucket: str) -> list[str]:
    return [name for name in store.objects(bucket) if "/jobs/" in name]


def test_predictions_leave_their_results_in_the_store_and_nothing_on_the_disk(
    far_server: Server, object_store: ObjectStore, bucket: str, keys: ClientKeys
) -> None:
    server = far_server
    job = submit(server, keys)
    assert check_finished(server, job, keys)["attempts"] == 1
    wait_until(lambda: len([name for name in of_jobs(object_store, bucket) if job in name]) == 1)
    others = [name for name in object_store.objects(bucket) if "/jobs/" not in name]
    assert {name.split("/")[1] for name in others} == {"bundles", "keys"}
    assert files_below(server.data_dir / "blobs") == []
    with server.http() as http:
        assert http.get("/readyz").json()["checks"]["blobs"] == "ok"
        assert http.delete(f"/v1/predictions/{job}").status_code == 204
    assert [name for name in of_jobs(object_store, bucket) if job in name] == []


def test_a_server_goes_over_from_a_folder_to_a_bucket(
    make_server: Callable[..., Server], object_store: ObjectStore, aws: None, keys: ClientKeys, tmp_path: Path
) -> None:
    """As docs/storage.md says: names are the same."""
    server = make_server()
    write_bundle(tmp_path / "bundle", WIDE, TOY_SCHEMA)
    assert server.publish(tmp_path / "bundle").returncode == 0
    upload_keys(server, keys)
    before = submit(server, keys)
    check_finished(server, before, keys)
    server.stop()
    bucket = object_store.new_bucket()
    for folder, place in (("blobs", "moved"), ("bundles", "moved/bundles")):
        for file in files_below(server.data_dir / folder):
            name = f"{place}/{file.relative_to(server.data_dir / folder)}"
            httpx.put(f"{object_store.url}/{bucket}/{name}", content=file.read_bytes(), timeout=60).raise_for_status()
        shutil.rmtree(server.data_dir / folder)
    server.options["blob_store"] = f"s3://{bucket}/moved"
    server.start()
    check_finished(server, before, keys)
    check_finished(server, submit(server, keys), keys)
    assert files_below(server.data_dir / "blobs") == []


@pytest.fixture
def worker_elsewhere(far_server: Server, tmp_path: Path) -> Iterator[None]:
    """A worker that shares the server's database and store and nothing else; the server has none of its own."""
    server = far_server
    server.stop()
    server.options["workers"] = "0"
    server.start()
    environment = {
        **server.environment,
        "EPAAS_SERVER_DATA_DIR": str(tmp_path / "elsewhere"),
        "EPAAS_SERVER_DATABASE_URL": f"sqlite:///{server.data_dir / 'epaas.db'}",
    }
    command = [sys.executable, "-m", "epaas_server", "worker"]
    with server.log_file.open("ab") as log:
        process = subprocess.Popen(command, env=environment, stderr=log, start_new_session=True)
    yield
    process.send_signal(signal.SIGTERM)
    process.wait(30)
    server.stop()
    server.options["workers"] = "1"
    server.start()


def test_a_worker_on_another_machine_finds_keys_records_and_bundles(
    far_server: Server, worker_elsewhere: None, keys: ClientKeys, tmp_path: Path
) -> None:
    check_finished(far_server, submit(far_server, keys), keys)
    assert len(files_below(tmp_path / "elsewhere" / "bundles")) == 4
    assert files_below(tmp_path / "elsewhere" / "blobs") == []


def test_a_job_waits_while_the_store_is_away_and_goes_on_from_its_checkpoint(
    far_server: Server, wire: Wire, keys: ClientKeys
) -> None:
    server = far_server
    job = submit(server, keys)
    wait_until(lambda: layers_done(server, job) > 0)
    wire.cut()
    wait_until(lambda: server.events("something that the job needs is away; the job waits"))
    with server.http() as http:
        assert http.get(f"/v1/predictions/{job}").json()["state"] in ("queued", "running")
        assert http.get("/readyz").status_code == 503
    wire.mend()
    prediction = check_finished(server, job, keys)
    assert prediction["attempts"] == 1
    claims = [event for event in server.events("job claimed") if event["job"] == job]
    assert max(int(str(event["layers_done"])) for event in claims) >= 1, "finished layers are not evaluated again"
    assert len([event for event in server.events("job finished") if event["job"] == job]) == 1


def test_a_slow_client_holds_no_connection_to_the_store(far_server: Server, wire: Wire, other_keys: ClientKeys) -> None:
    """Its bytes wait on the server's disk until all are there."""
    passed = wire.passed_bytes

    def slowly() -> Iterator[bytes]:
        yield other_keys.frame[:1_000_000]
        assert wire.passed_bytes - passed < 10_000
        raise ConnectionAbortedError

    with far_server.http() as http, pytest.raises((ConnectionAbortedError, httpx.HTTPError)):
        http.put(f"/v1/evaluation-keys/{other_keys.digest}", content=slowly())
    assert files_below(far_server.data_dir / "blobs") == []


def test_an_upload_to_a_store_that_is_away_is_refused_and_may_be_repeated(
    far_server: Server, wire: Wire, object_store: ObjectStore, bucket: str, other_keys: ClientKeys
) -> None:
    before = object_store.objects(bucket)
    wire.cut()
    with far_server.http() as http:
        path = f"/v1/evaluation-keys/{other_keys.digest}"
        refused = http.put(path, content=other_keys.frame)
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
        assert "does not answer" in refused.json()["detail"]
        assert refused.headers["Retry-After"] == "5"
        assert http.get(path).status_code == 404
        assert http.get("/v1/models/toy").status_code == 200, "what needs no blobs goes on"
        wire.mend()
        assert object_store.objects(bucket) == before
        upload_keys(far_server, other_keys)
    with Client(far_server.url, timeout=120) as client:
        predicted = client.predict("toy", RECORDS, other_keys.secret)
    assert [label.index for label in predicted] == WIDE.predict(TOY_SCHEMA.encode(RECORDS))


def test_a_record_is_refused_while_the_store_is_away(far_server: Server, wire: Wire, keys: ClientKeys) -> None:
    frame = keys.secret.encrypt_records(TOY_SCHEMA.encode(RECORDS), TOY_SCHEMA)
    wire.cut()
    with far_server.http() as http:
        refused = http.post("/v1/predictions", params={"model": "toy"}, content=frame)
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
    wire.mend()
    check_finished(far_server, submit(far_server, keys), keys)


def test_a_server_with_wrong_credentials_starts_and_says_what_is_wrong_but_not_the_credentials(
    aws: None, make_server: Callable[..., Server], keys: ClientKeys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store is this test's own: it is to ask for credentials."""
    store = ObjectStore.start()
    try:
        for name, value in addresses(store.url).items():
            monkeypatch.setenv(name, value)
        bucket = store.new_bucket()
        store.ask_for_credentials()
        server = make_server(blob_store=f"s3://{bucket}", workers="0")
        write_bundle(tmp_path / "bundle", TOY_NETWORK, TOY_SCHEMA)
        published = server.publish(tmp_path / "bundle")
        assert published.returncode == 7
        assert "refuses the server (InvalidAccessKeyId)" in published.stderr
        with server.http() as http:
            answers = [
                http.get("/readyz"),
                http.put(f"/v1/evaluation-keys/{keys.digest}", content=keys.frame),
            ]
        assert [answer.status_code for answer in answers] == [503, 503]
        assert "InvalidAccessKeyId" in answers[0].json()["checks"]["blobs"]
        for text in (server.log_file.read_text(), published.stderr, *(answer.text for answer in answers)):
            assert os.environ["AWS_ACCESS_KEY_ID"] not in text
            assert os.environ["AWS_SECRET_ACCESS_KEY"] not in text
            assert "Traceback" not in text
    finally:
        store.stop()


@pytest.mark.parametrize(
    ("location", "variables", "words"),
    [
        ("/srv/blobs", {}, ("blob_store", "s3://BUCKET/PREFIX")),
        ("s3://bucket", {"AWS_ENDPOINT_URL": "store:9000"}, ("AWS_ENDPOINT_URL", "https://HOST:PORT")),
        ("s3://bucket", {"AWS_ACCESS_KEY_ID": "", "AWS_SHARED_CREDENTIALS_FILE": "/none"}, ("no credentials",)),
    ],
)
def test_a_server_does_not_start_with_settings_that_cannot_be_meant(
    aws: None, tmp_path: Path, location: str, variables: dict[str, str], words: tuple[str, ...]
) -> None:
    server = Server(tmp_path / "server", {"blob_store": location})
    environment = {**server.environment, **variables}
    command = [sys.executable, "-m", "epaas_server", "serve", "--port", "0"]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert run.returncode == 3
    for word in words:
        assert word in run.stderr
    assert "Traceback" not in run.stderr

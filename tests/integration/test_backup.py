"""A backup made as docs/storage.md says, restored into an empty place: what it has is served, what waited goes on."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import (
    TOY_NETWORK,
    TOY_SCHEMA,
    ClientKeys,
    Server,
    random_records,
    upload_keys,
    write_bundle,
)
from tests.integration.processes import wait_until
from tests.postgresql import Cluster, binaries

RECORDS = random_records(TOY_SCHEMA, 2, seed=91)


class Sqlite:
    def settings(self) -> dict[str, str]:
        return {}

    def back_up(self, server: Server, place: Path) -> None:
        with (
            closing(sqlite3.connect(server.data_dir / "epaas.db")) as source,
            closing(sqlite3.connect(place / "epaas.db")) as copy,
        ):
            source.backup(copy)

    def restore(self, place: Path, data_dir: Path) -> dict[str, str]:
        shutil.copy(place / "epaas.db", data_dir / "epaas.db")
        return {}


class Postgresql:
    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.name = cluster.new_database()
        self.where = ["--host", str(cluster.folder), "--port", str(cluster.port), "--username", "postgres"]

    def settings(self) -> dict[str, str]:
        return self.cluster.settings(self.name)

    def back_up(self, server: Server, place: Path) -> None:
        self.run("pg_dump", "--format=custom", f"--file={place / 'epaas.dump'}", self.name)

    def restore(self, place: Path, data_dir: Path) -> dict[str, str]:
        name = self.cluster.empty_database()
        # as the tables' owner, as --no-owner does where the user of the server restores
        self.run("pg_restore", f"--dbname={name}", "--no-owner", "--role=epaas", str(place / "epaas.dump"))
        return self.cluster.settings(name)

    def run(self, program: str, *arguments: str) -> None:
        programs = binaries()
        assert programs is not None
        subprocess.run([programs / program, *self.where, *arguments], capture_output=True, check=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Sqlite | Postgresql:
    return Sqlite() if request.param == "sqlite" else Postgresql(request.getfixturevalue("postgresql"))


def submit(server: Server, keys: ClientKeys) -> str:
    frame = keys.secret.encrypt_records(TOY_SCHEMA.encode(RECORDS), TOY_SCHEMA)
    with server.http() as http:
        return str(http.post("/v1/predictions", params={"model": "toy"}, content=frame).raise_for_status().json()["id"])


def finished(server: Server, job: str) -> dict[str, object]:
    with server.http() as http:
        wait_until(lambda: http.get(f"/v1/predictions/{job}").json()["state"] not in ("queued", "running"))
        prediction: dict[str, object] = http.get(f"/v1/predictions/{job}").json()
        return prediction


def check_result(server: Server, job: str, keys: ClientKeys) -> None:
    with server.http() as http:
        result = http.get(f"/v1/predictions/{job}/result").raise_for_status().content
    output, _ = keys.secret.decrypt_result(result)
    np.testing.assert_array_equal(output, TOY_NETWORK.evaluate(TOY_SCHEMA.encode(RECORDS)))


def test_a_backup_is_restored_into_an_empty_place(
    database: Sqlite | Postgresql, make_server: Callable[..., Server], keys: ClientKeys, tmp_path: Path
) -> None:
    server = make_server(**database.settings())
    write_bundle(tmp_path / "bundle", TOY_NETWORK, TOY_SCHEMA)
    assert server.publish(tmp_path / "bundle").returncode == 0
    upload_keys(server, keys)
    done = submit(server, keys)
    assert finished(server, done)["state"] == "succeeded"
    server.stop()
    server.options["workers"] = "0"
    server.start()
    waiting, finished_meanwhile = submit(server, keys), submit(server, keys)
    place = tmp_path / "backup"
    place.mkdir()
    database.back_up(server, place)
    shutil.rmtree(server.data_dir / "blobs" / "jobs" / finished_meanwhile)
    later = submit(server, keys)
    for folder in ("blobs", "bundles"):
        shutil.copytree(server.data_dir / folder, place / folder, ignore=shutil.ignore_patterns("incoming"))
    server.stop()

    restored = Server(tmp_path / "restored")
    restored.data_dir.mkdir()
    for folder in ("blobs", "bundles"):
        shutil.copytree(place / folder, restored.data_dir / folder)
    restored.options.update(database.restore(place, restored.data_dir))
    assert restored.command("database", "migrate").returncode == 0
    restored.start()
    try:
        check_result(restored, done, keys)
        assert finished(restored, waiting)["state"] == "succeeded"
        check_result(restored, waiting, keys)
        lost = finished(restored, finished_meanwhile)
        assert lost["state"] == "failed"
        assert lost["problem"]["code"] == "prediction-failed"  # type: ignore[index]
        assert lost["attempts"] == 1, "the evaluation child goes on"
        with restored.http() as http:
            assert http.get(f"/v1/predictions/{later}").status_code == 404
        again = submit(restored, keys)
        assert finished(restored, again)["state"] == "succeeded"
    finally:
        restored.stop()

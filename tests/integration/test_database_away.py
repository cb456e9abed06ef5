"""PostgreSQL is killed or restarted under a server: clear answers meanwhile, and nothing is lost or done twice."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest

from epaas_shared.protocol import PROBLEM_MEDIA_TYPE
from tests.conftest import TOY_SCHEMA, ClientKeys, Server, random_network, random_records, upload_keys, write_bundle
from tests.integration.processes import wait_until
from tests.postgresql import Cluster

NETWORK = random_network(TOY_SCHEMA.bits, (40, 40, 1), seed=81)
RECORDS = random_records(TOY_SCHEMA, 2, seed=82)
LEASE_SECONDS = 3.0


@pytest.fixture
def database(own_postgresql: Cluster) -> str:
    return own_postgresql.new_database()


@pytest.fixture
def serve(
    own_postgresql: Cluster, database: str, make_server: Callable[..., Server], keys: ClientKeys, tmp_path: Path
) -> Callable[..., Server]:
    """Start a server with the keys and the network, on a database that may be killed."""

    def start(**options: str) -> Server:
        settings = {"lease_seconds": str(LEASE_SECONDS), "heartbeat_seconds": "0.2", "threads": "1"}
        server = make_server(**settings, **own_postgresql.settings(database), **options)
        write_bundle(tmp_path / "bundle", NETWORK, TOY_SCHEMA)
        published = server.publish(tmp_path / "bundle")
        assert published.returncode == 0, published.stderr
        upload_keys(server, keys)
        return server

    return start


def frame_of(keys: ClientKeys, records: int = len(RECORDS)) -> bytes:
    return keys.secret.encrypt_records(TOY_SCHEMA.encode(RECORDS[:records]), TOY_SCHEMA)


def layers_done(cluster: Cluster, database: str, job: str) -> int:
    with cluster.administrator(database) as connection:
        row = connection.execute("SELECT layers_done FROM jobs WHERE id = %s", (job,)).fetchone()
    assert row is not None
    return int(row[0])


def check_result(result: bytes, keys: ClientKeys, records: int = len(RECORDS)) -> None:
    output, _ = keys.secret.decrypt_result(result)
    np.testing.assert_array_equal(output, NETWORK.evaluate(TOY_SCHEMA.encode(RECORDS[:records])))


def check_away(answer: httpx.Response) -> None:
    assert answer.status_code == 503, answer.text
    assert answer.headers["content-type"] == PROBLEM_MEDIA_TYPE
    assert answer.headers["Retry-After"] == "5"
    assert answer.json()["code"] == "unavailable"
    assert "password" not in answer.text


@pytest.mark.parametrize("how", ["killed", pytest.param("stopped", marks=pytest.mark.long)])
def test_a_job_goes_on_where_it_was_after_the_database_was_away(
    serve: Callable[..., Server], own_postgresql: Cluster, database: str, keys: ClientKeys, how: str
) -> None:
    """For longer than its lease; with an idle worker that could take it."""
    server = serve(workers="2")
    with server.http() as http:
        job = http.post("/v1/predictions", params={"model": "toy"}, content=frame_of(keys)).json()["id"]
        wait_until(lambda: layers_done(own_postgresql, database, job) > 0)
        if how == "killed":
            own_postgresql.kill()
        else:
            own_postgresql.stop()
        check_away(http.get(f"/v1/predictions/{job}"))
        time.sleep(2 * LEASE_SECONDS)
        own_postgresql.start()
        wait_until(lambda: http.get(f"/v1/predictions/{job}").json().get("state") == "succeeded")
        prediction = http.get(f"/v1/predictions/{job}").json()
        assert prediction["attempts"] == 1
        check_result(http.get(f"/v1/predictions/{job}/result").content, keys)
        assert http.get("/readyz").status_code == 200
    assert len([event for event in server.events("job claimed") if event["job"] == job]) == 1
    assert len([event for event in server.events("job finished") if event["job"] == job]) == 1
    assert server.events("a worker died and is replaced") == []


def test_everything_says_that_the_database_is_away(
    serve: Callable[..., Server], own_postgresql: Cluster, keys: ClientKeys, other_keys: ClientKeys
) -> None:
    server = serve()
    own_postgresql.kill()
    with server.http() as http:
        assert http.get("/healthz").status_code == 200
        readiness = http.get("/readyz")
        assert (readiness.status_code, readiness.json()["checks"]["blobs"]) == (503, "ok")
        asked = [
            http.get("/v1/models"),
            http.get("/"),
            http.get(f"/v1/evaluation-keys/{keys.digest}"),
            http.put(f"/v1/evaluation-keys/{other_keys.digest}", content=other_keys.frame),
            http.post("/v1/predictions", params={"model": "toy"}, content=frame_of(keys)),
            http.get("/v1/predictions/" + "0" * 32, headers={"Prefer": "wait=1"}),
            http.post("/v1/predictions/" + "0" * 32 + "/cancel"),
            http.delete("/v1/predictions/" + "0" * 32),
            http.put(
                "/v1/models/toy/aliases/stable", json={"version": 1}, headers={"Authorization": "Bearer epaas_x_y"}
            ),
        ]
        for answer in asked:
            check_away(answer)
        published = server.command("models")
        assert published.returncode == 7
        assert "the database does not answer" in published.stderr
        assert "Traceback" not in published.stderr
        own_postgresql.start()
        wait_until(lambda: http.get("/readyz").status_code == 200)
        assert http.get("/v1/models/toy").status_code == 200
        upload_keys(server, other_keys)
    assert not list((server.data_dir / "blobs" / "incoming").iterdir())
    assert "Traceback" not in server.log_file.read_text()


def test_a_server_that_starts_before_its_database_says_so(
    own_postgresql: Cluster, database: str, tmp_path: Path
) -> None:
    own_postgresql.stop()
    server = Server(tmp_path / "server", own_postgresql.settings(database))
    command = [sys.executable, "-m", "epaas_server", "serve", "--port", "0"]
    run = subprocess.run(command, env=server.environment, capture_output=True, text=True, check=False, timeout=120)
    assert run.returncode == 7
    assert "the database does not answer" in run.stderr
    assert "EPAAS_SERVER_DATABASE_URL" in run.stderr
    assert "Traceback" not in run.stderr


def test_a_server_without_the_schema_says_which_command_makes_it(own_postgresql: Cluster, tmp_path: Path) -> None:
    server = Server(tmp_path / "server", own_postgresql.settings(own_postgresql.empty_database()))
    command = [sys.executable, "-m", "epaas_server", "serve", "--port", "0"]
    run = subprocess.run(command, env=server.environment, capture_output=True, text=True, check=False, timeout=120)
    assert run.returncode == 3
    assert "epaas-server database migrate" in run.stderr
    assert server.command("database", "migrate").returncode == 0
    assert server.command("models").returncode == 0


@pytest.mark.long
def test_a_stream_of_predictions_survives_a_database_that_is_killed_again_and_again(
    serve: Callable[..., Server], own_postgresql: Cluster, keys: ClientKeys
) -> None:
    """Clients that ask again under their idempotency keys get each prediction once."""
    server = serve(workers="2")
    draw = random.Random(83)
    predictions, kills = 4, 4
    statuses: set[int] = set()

    def predict(number: int) -> str:
        frame = frame_of(keys, 1)
        headers = {"Idempotency-Key": f"prediction {number}"}
        with server.http() as http:

            def ask(method: str, path: str, **options: object) -> httpx.Response:
                while True:
                    answer = http.request(method, path, **options)  # type: ignore[arg-type]
                    statuses.add(answer.status_code)
                    if answer.status_code != 503:
                        return answer.raise_for_status()
                    time.sleep(0.2)

            job = str(
                ask("POST", "/v1/predictions", params={"model": "toy"}, content=frame, headers=headers).json()["id"]
            )
            while ask("GET", f"/v1/predictions/{job}").json()["state"] not in ("succeeded", "failed", "cancelled"):
                time.sleep(0.1)
            check_result(ask("GET", f"/v1/predictions/{job}/result").content, keys, 1)
            return job

    done = threading.Event()

    def kill_again_and_again() -> None:
        for _ in range(kills):
            if done.wait(draw.uniform(1.0, 3.0)):
                return
            own_postgresql.kill()
            time.sleep(draw.uniform(0.0, 2.0))
            own_postgresql.start()

    with ThreadPoolExecutor(predictions + 1) as pool:
        killing = pool.submit(kill_again_and_again)
        jobs = list(pool.map(predict, range(predictions)))
        done.set()
        killing.result()
    assert len(set(jobs)) == predictions
    assert statuses <= {200, 202, 503}
    with server.http() as http:
        assert {http.get(f"/v1/predictions/{job}").json()["state"] for job in jobs} == {"succeeded"}
    wait_until(lambda: all(len(list(server.data_dir.glob(f"blobs/jobs/{job}/*"))) == 1 for job in jobs), seconds=30.0)

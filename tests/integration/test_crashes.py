"""Anything may be killed while it evaluates: the job finishes, with one result, equal to the plain reference."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator

import numpy as np
import pytest

from tests.conftest import TOY_SCHEMA, ClientKeys, Server, random_network, random_records, upload_keys, write_bundle
from tests.integration.processes import alive, children, evaluation_children, wait_for_layer, wait_until, workers

NETWORK = random_network(TOY_SCHEMA.bits, (12, 12, 1), seed=31)
"""Three layers, so that a job can be hit between its checkpoints."""
RECORDS = random_records(TOY_SCHEMA, 2, seed=32)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory, keys: ClientKeys) -> Server:
    """A server with the keys and the network, which does not run."""
    folder = tmp_path_factory.mktemp("crashes")
    server = Server(folder / "server").start()
    try:
        write_bundle(folder / "bundle", NETWORK, TOY_SCHEMA)
        published = server.publish(folder / "bundle")
        assert published.returncode == 0, published.stderr
        upload_keys(server, keys)
    finally:
        server.stop()
    return server


@pytest.fixture
def idle(stopped: Server) -> Iterator[Server]:
    """The server, started for this test alone; its database and its log are those of the tests before, too."""
    stopped.options = {"lease_seconds": "3", "heartbeat_seconds": "0.2"}
    yield stopped.start()
    stopped.stop()


@pytest.fixture
def busy(idle: Server, keys: ClientKeys) -> tuple[Server, str]:
    """A server that has finished the first layer of a prediction, and the prediction's id."""
    server, job = idle, submit(idle, keys)
    wait_for_layer(server, job)
    return server, job


def test_a_killed_server_finishes_the_job_when_it_is_started_again(busy: tuple[Server, str], keys: ClientKeys) -> None:
    server, job = busy
    server.kill()
    server.start()
    check_finished(server, job, keys)


def test_a_killed_server_and_worker_finish_the_job_when_started_again(
    busy: tuple[Server, str], keys: ClientKeys
) -> None:
    """Nobody gives the job back here: the lease of the dead worker runs out."""
    server, job = busy
    (worker,) = workers(server)
    for pid in (*children(worker), worker):
        os.kill(pid, signal.SIGKILL)
    server.kill()
    server.start()
    check_finished(server, job, keys)


def test_a_child_that_hangs_is_killed_and_its_job_goes_on(idle: Server, keys: ClientKeys) -> None:
    server = idle
    server.stop()
    server.options = {"heartbeat_seconds": "0.2", "stall_seconds": "20"}
    server.start()
    job = submit(server, keys)
    wait_for_layer(server, job)
    (child,) = evaluation_children(workers(server)[0])
    os.kill(child, signal.SIGSTOP)
    check_finished(server, job, keys)
    assert not alive(child)
    (death,) = of_job("the evaluation child died", server, job)
    assert death["reason"] == "it said nothing for 20 seconds"


def test_a_killed_worker_is_replaced_and_its_job_goes_on(busy: tuple[Server, str], keys: ClientKeys) -> None:
    server, job = busy
    (worker,) = workers(server)
    (child,) = evaluation_children(worker)
    os.kill(worker, signal.SIGKILL)
    check_finished(server, job, keys)
    assert not alive(child), "a child ends with its worker, so that nobody evaluates for nobody"


def test_a_killed_evaluation_child_is_replaced_and_goes_on_from_the_last_layer(
    busy: tuple[Server, str], keys: ClientKeys
) -> None:
    server, job = busy
    (worker,) = workers(server)
    for child in evaluation_children(worker):
        os.kill(child, signal.SIGKILL)
    check_finished(server, job, keys)
    claims = of_job("job claimed", server, job)
    assert claims[0]["layers_done"] == 0
    assert claims[-1]["layers_done"] in (1, 2)


def test_an_orderly_stop_gives_the_job_back_and_counts_no_attempt(busy: tuple[Server, str], keys: ClientKeys) -> None:
    server, job = busy
    server.stop()
    assert not any(alive(worker) for worker in workers(server))
    server.start()
    assert check_finished(server, job, keys)["attempts"] == 1


def test_cancelling_frees_the_worker_for_the_next_job(busy: tuple[Server, str], keys: ClientKeys) -> None:
    server, job = busy
    frame = keys.secret.encrypt_records(TOY_SCHEMA.encode(RECORDS[:1]), TOY_SCHEMA)
    with server.http() as http:
        assert http.post(f"/v1/predictions/{job}/cancel").json()["state"] == "cancelled"
        assert http.get(f"/v1/predictions/{job}/result").json()["code"] == "prediction-cancelled"
        following = http.post("/v1/predictions", params={"model": "toy"}, content=frame).json()["id"]
        wait_until(lambda: http.get(f"/v1/predictions/{following}").json()["state"] == "succeeded")
        assert http.get(f"/v1/predictions/{job}").json()["state"] == "cancelled"
        assert not list(server.data_dir.glob(f"blobs/jobs/{job}")), "nothing of the record is kept"


def test_erasing_a_running_prediction_leaves_nothing(busy: tuple[Server, str]) -> None:
    server, job = busy
    with server.http() as http:
        assert http.delete(f"/v1/predictions/{job}").status_code == 204
        assert http.get(f"/v1/predictions/{job}").status_code == 404
    wait_until(lambda: of_job("job is no longer ours", server, job))
    wait_until(lambda: not list(server.data_dir.glob(f"blobs/jobs/{job}")))


def test_a_job_waits_while_the_disk_is_full_and_then_finishes(idle: Server, keys: ClientKeys) -> None:
    """The evaluation child may not write files as large as a layer, until it may."""
    server = idle
    check_finished(server, submit(server, keys), keys)
    (worker,) = workers(server)
    (child,) = evaluation_children(worker)
    unlimited = resource.prlimit(child, resource.RLIMIT_FSIZE)
    resource.prlimit(child, resource.RLIMIT_FSIZE, (100_000, unlimited[1]))
    job = submit(server, keys)
    wait_until(lambda: of_job("the disk is full; the job waits", server, job))
    with server.http() as http:
        assert http.get(f"/v1/predictions/{job}").json()["state"] == "queued"
    resource.prlimit(child, resource.RLIMIT_FSIZE, unlimited)
    assert check_finished(server, job, keys)["attempts"] == 1


def test_a_prediction_whose_keys_are_erased_fails_and_says_so(idle: Server, keys: ClientKeys) -> None:
    server = idle
    server.stop()
    server.options["workers"] = "0"
    server.start()
    job = submit(server, keys)
    with server.http() as http:
        assert http.delete(f"/v1/evaluation-keys/{keys.digest}").status_code == 204
    server.stop()
    server.options["workers"] = "1"
    server.start()
    with server.http() as http:
        wait_until(lambda: http.get(f"/v1/predictions/{job}").json()["state"] == "failed")
        assert http.get(f"/v1/predictions/{job}").json()["problem"]["code"] == "evaluation-keys-not-found"
        assert http.get(f"/v1/predictions/{job}/result").json()["code"] == "prediction-failed"
    assert not list(server.data_dir.glob(f"blobs/jobs/{job}"))
    upload_keys(server, keys)  # for whatever test comes after


def of_job(name: str, server: Server, job: str) -> list[dict[str, object]]:
    """The log's events of this name and job."""
    return [event for event in server.events(name) if event["job"] == job]


def submit(server: Server, keys: ClientKeys) -> str:
    """Ask for the prediction of ``RECORDS``; the id."""
    frame = keys.secret.encrypt_records(TOY_SCHEMA.encode(RECORDS), TOY_SCHEMA)
    with server.http() as http:
        return str(http.post("/v1/predictions", params={"model": "toy"}, content=frame).json()["id"])


def check_finished(server: Server, job: str, keys: ClientKeys) -> dict[str, object]:
    """Exactly one result, and the right one; what the evaluation left behind is gone."""
    with server.http() as http:
        wait_until(lambda: http.get(f"/v1/predictions/{job}").json()["state"] not in ("queued", "running"))
        prediction: dict[str, object] = http.get(f"/v1/predictions/{job}").json()
        assert prediction["state"] == "succeeded", prediction
        result = http.get(f"/v1/predictions/{job}/result").content
        assert http.get(f"/v1/predictions/{job}/result").content == result
    output, _ = keys.secret.decrypt_result(result)
    np.testing.assert_array_equal(output, NETWORK.evaluate(TOY_SCHEMA.encode(RECORDS)))
    wait_until(lambda: len(list(server.data_dir.glob(f"blobs/jobs/{job}/*"))) == 1)
    assert len(of_job("job finished", server, job)) == 1
    return prediction

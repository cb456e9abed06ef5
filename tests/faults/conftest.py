"""Faults are given to real servers that predict: seconds each, and none in the fast path."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import TOY_SCHEMA, ClientKeys, Server, random_network, random_records, upload_keys, write_bundle
from tests.integration.processes import wait_until

HERE = Path(__file__).parent
NETWORK = random_network(TOY_SCHEMA.bits, (12, 12, 1), seed=91)
"""Three layers, so that a fault can come between two checkpoints."""
RECORDS = random_records(TOY_SCHEMA, 2, seed=92)
SLOW_MACHINE_SECONDS = 240.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="module")
def faulted(tmp_path_factory: pytest.TempPathFactory, keys: ClientKeys) -> Iterator[Server]:
    """A server that the tests of a module share, with ``NETWORK`` published and the keys tried."""
    folder = tmp_path_factory.mktemp("faulted")
    server = Server(folder / "server").start()
    try:
        yield with_model(server, keys, folder / "bundle")
    finally:
        server.stop()


def with_model(server: Server, keys: ClientKeys, folder: Path) -> Server:
    """The same server, with ``NETWORK`` published and the keys tried."""
    write_bundle(folder, NETWORK, TOY_SCHEMA)
    published = server.publish(folder)
    assert published.returncode == 0, published.stderr
    upload_keys(server, keys)
    return server


def frame_of(keys: ClientKeys) -> bytes:
    """``RECORDS``, encrypted."""
    return keys.secret.encrypt_records(TOY_SCHEMA.encode(RECORDS), TOY_SCHEMA)


def submit(server: Server, keys: ClientKeys) -> str:
    """Ask for a prediction of ``RECORDS``; its id."""
    with server.http() as http:
        answer = http.post("/v1/predictions", params={"model": "toy"}, content=frame_of(keys))
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])


def check_finished(server: Server, job: str, keys: ClientKeys) -> None:
    """It has one result, whenever it is fetched, and the right one; nothing else is left of it."""
    with server.http() as http:
        wait_until(lambda: _state(server, job) not in ("queued", "running"), SLOW_MACHINE_SECONDS)
        prediction = http.get(f"/v1/predictions/{job}").json()
        assert prediction["state"] == "succeeded", prediction
        result = http.get(f"/v1/predictions/{job}/result").content
        assert http.get(f"/v1/predictions/{job}/result").content == result
    values, _ = keys.secret.decrypt_result(result)
    np.testing.assert_array_equal(values, NETWORK.evaluate(TOY_SCHEMA.encode(RECORDS)))
    wait_until(lambda: len(list(server.data_dir.glob(f"blobs/jobs/{job}/*"))) == 1)


def _state(server: Server, job: str) -> str:
    """Also while the server refuses for the moment."""
    with server.http() as http:
        return str(http.get(f"/v1/predictions/{job}").json().get("state", "queued"))

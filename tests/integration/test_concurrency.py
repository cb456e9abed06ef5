"""Several clients at once on several workers: everybody gets the own result, and each job is done once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from epaas_client import Client
from tests.conftest import (
    TOY_NETWORK,
    TOY_SCHEMA,
    ClientKeys,
    Server,
    random_records,
    upload_keys,
    write_bundle,
)

PREDICTIONS = 4


def test_two_clients_on_two_workers(
    make_server: Callable[..., Server], keys: ClientKeys, other_keys: ClientKeys, tmp_path: Path
) -> None:
    server = make_server(workers="2", threads="1")
    write_bundle(tmp_path / "bundle", TOY_NETWORK, TOY_SCHEMA)
    assert server.publish(tmp_path / "bundle").returncode == 0
    upload_keys(server, keys)
    upload_keys(server, other_keys)

    def predict(task: tuple[ClientKeys, int]) -> tuple[list[int], list[int]]:
        client_keys, seed = task
        records = random_records(TOY_SCHEMA, 3, seed)
        with Client(server.url, timeout=120) as client:
            predicted = client.predict("toy", records, client_keys.secret)
        plain = TOY_NETWORK.predict(TOY_SCHEMA.encode(records))
        return [label.index for label in predicted], plain

    tasks = [(who, seed) for seed in range(PREDICTIONS) for who in (keys, other_keys)]
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(predict, tasks))
    assert [predicted for predicted, _ in outcomes] == [plain for _, plain in outcomes]
    assert len({index for predicted, _ in outcomes for index in predicted}) == 2

    claimed = [event["job"] for event in server.events("job claimed") if event["kind"] == "predict"]
    assert len(claimed) == len(set(claimed)) == len(tasks), "no job is given to two workers"
    ready = {event["worker"] for event in server.events("worker ready")}
    assert len(ready) == 2

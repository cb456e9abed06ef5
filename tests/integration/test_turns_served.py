"""A long prediction makes way for a short one at the end of a layer, and both are right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from epaas_client.client import Client
from tests.conftest import TOY_NETWORK, TOY_SCHEMA, ClientKeys, Server, random_network, random_records, write_bundle
from tests.integration.processes import wait_for_layer

LONG = random_network(TOY_SCHEMA.bits, (24, 24, 24, 1), seed=41)
RECORDS = random_records(TOY_SCHEMA, 4, seed=42)


@pytest.mark.slow
def test_a_short_prediction_overtakes_a_long_one_that_runs(
    make_server: Callable[..., Server], keys: ClientKeys, tmp_path: Path
) -> None:
    server = make_server()
    for name, network in (("long", LONG), ("short", TOY_NETWORK)):
        write_bundle(tmp_path / name, network, TOY_SCHEMA, name=name)
        assert server.publish(tmp_path / name).returncode == 0
    with Client(server.url) as client:
        client.upload_keys(keys.frame)
        client.submit("short", RECORDS[0], keys.secret).wait()  # keys are checked, speeds known
        long = client.submit("long", RECORDS, keys.secret)
        wait_for_layer(server, long.id)
        short = client.submit("short", RECORDS[0], keys.secret)
        short.wait()
        assert not client.job(long.id).refresh().state.finished
        long.wait()
        state = client.job(long.id).refresh()
        assert state.attempts == 1, "making way is no failed attempt"
        expected = LONG.evaluate(TOY_SCHEMA.encode(RECORDS))[:, 0].tolist()
        assert [label.index for label in long.result(keys.secret)] == expected
    assert server.events("the evaluation child died") == []

"""``kill -9`` of anything at random moments in a stream of predictions: short runs of ``python -m tests.faults``."""

from __future__ import annotations

import json

import pytest

from tests.faults.harness import Plan, run
from tests.faults.killer import Kind, planned
from tests.postgresql import skip_where_not_installed


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("database", [pytest.param("sqlite", marks=pytest.mark.long), "postgresql"])
def test_nothing_is_lost_doubled_or_wrong(database: str) -> None:
    if database == "postgresql":
        skip_where_not_installed()
    plan = Plan(seed=7, kills=4, database=database, gap=5.0, customers=4)
    report = run(plan)
    assert report["passed"], json.dumps(report, indent=1)
    assert report["kills"]["all"] == plan.kills
    # How many each customer has answered meanwhile is the machine's affair; each has asked.
    assert report["predictions"]["equal_to_the_plain_network"] == report["predictions"]["asked"] >= plan.customers


def test_a_seed_is_a_plan() -> None:
    kinds = list(Kind)
    assert planned(3, 60, kinds, 5.0) == planned(3, 60, kinds, 5.0)
    assert planned(3, 60, kinds, 5.0) != planned(4, 60, kinds, 5.0)
    assert {kind: sum(kill.kind is kind for kill in planned(3, 60, kinds, 5.0)) for kind in kinds} == dict.fromkeys(
        kinds, 10
    )

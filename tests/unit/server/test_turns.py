"""Whose turn it is: by the clocks of tenants, and within a tenant by when jobs are due."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from sqlalchemy import Engine, select
from tests.unit.server.job_making import LEASE, prediction, upload

from epaas_server.database import open_database, reading
from epaas_server.jobs.job import JobKind
from epaas_server.jobs.store import JobStore
from epaas_server.jobs.turns import CHECK_SECONDS, HELD_SECONDS
from epaas_server.tables import tenants
from epaas_server.tenants import Quotas, TenantStore
from epaas_shared.errors import PredictionFailed

TENANTS = ("ann", "bob", "cid")


def store_with_tenants(database: Engine) -> JobStore:
    store = TenantStore(database, Quotas(unfinished_predictions=None))
    for name in TENANTS:
        store.create(name)
    return JobStore(database, store)


@pytest.fixture
def shared(database: Engine) -> JobStore:
    return store_with_tenants(database)


def ask(store: JobStore, tenant: str, name: str, seconds: float, **changes: object) -> None:
    store.submit(prediction(name, seconds=seconds, tenant=tenant, **changes))


def served(store: JobStore, count: int, **options: object) -> list[str]:
    """The next jobs in order, each finished at once."""
    names = []
    for _ in range(count):
        claim = store.claim("worker", LEASE, **options)
        assert claim is not None
        store.succeed(claim, "jobs/x/result", 0.1, 1)
        names.append(claim.id)
    return names


def clocks(database: Engine) -> dict[str, float]:
    with reading(database) as connection:
        return {row.name: row.virtual_seconds for row in connection.execute(select(tenants))}


def test_a_tenant_with_a_few_jobs_does_not_wait_for_one_with_many(shared: JobStore) -> None:
    for number in range(10):
        ask(shared, "ann", f"ann-{number}", 5)
    ask(shared, "bob", "bob-0", 5)
    ask(shared, "bob", "bob-1", 5)
    order = served(shared, 12)
    assert order[0] == "ann-0"
    assert {"bob-0", "bob-1"} <= set(order[:5])


def test_tenants_share_by_seconds_and_not_by_jobs(shared: JobStore) -> None:
    for number in range(40):
        ask(shared, "ann", f"ann-{number:02}", 10)
        ask(shared, "bob", f"bob-{number:02}", 1)
    order = served(shared, 33)
    seconds = {
        "ann": 10 * sum(name.startswith("ann") for name in order),
        "bob": sum(n.startswith("bob") for n in order),
    }
    assert abs(seconds["ann"] - seconds["bob"]) <= 11


def test_nobody_saves_up_turns(shared: JobStore) -> None:
    """Bob was away while Ann had a hundred seconds: he is not owed a hundred now."""
    for number in range(10):
        ask(shared, "ann", f"early-{number}", 10)
    served(shared, 10)
    for number in range(10):
        ask(shared, "ann", f"ann-{number}", 10)
        ask(shared, "bob", f"bob-{number}", 10)
    first = Counter(name.split("-")[0] for name in served(shared, 6))
    assert abs(first["ann"] - first["bob"]) <= 2


def test_who_asks_again_and_again_does_not_starve_a_long_job(shared: JobStore) -> None:
    ask(shared, "ann", "long", 1000)
    order = []
    for number in range(20):
        ask(shared, "bob", f"bob-{number}", 1)
        order += served(shared, 1)
    assert "long" in order


def test_a_short_job_overtakes_long_ones_of_its_tenant_but_not_for_ever(shared: JobStore) -> None:
    ask(shared, "ann", "long", 3600)
    ask(shared, "ann", "short", 1)
    assert served(shared, 1) == ["short"]
    ask(shared, "ann", "longer", 3700)
    assert served(shared, 2) == ["long", "longer"]


def test_checks_of_keys_count_as_work_of_their_tenant(shared: JobStore, database: Engine, tmp_path: Path) -> None:
    ask(shared, "ann", "ann", 1)
    for number in range(3):
        upload(database, tmp_path, f"keys {number}".encode(), tenant="bob")
    kinds = []
    for _ in range(4):
        claim = shared.claim("worker", LEASE)
        assert claim is not None
        kinds.append(claim.kind)
    assert kinds.index(JobKind.PREDICT) <= 1
    assert clocks(database)["bob"] == pytest.approx(3 * CHECK_SECONDS, abs=CHECK_SECONDS)


def test_what_a_job_does_not_use_is_given_back(shared: JobStore, database: Engine) -> None:
    for end in ("release", "fail", "cancel", "erase"):
        before = clocks(database)["ann"]
        ask(shared, "ann", end, 100)
        claim = shared.claim("worker", LEASE)
        assert claim is not None
        assert clocks(database)["ann"] == pytest.approx(before + 100)
        shared.heartbeat(claim, LEASE, 45)  # of 90 bootstraps
        if end == "release":
            shared.release(claim, counts_as_attempt=False)
            shared.cancel(end, "ann")
        elif end == "fail":
            shared.fail(claim, PredictionFailed("x"))
        elif end == "cancel":
            shared.cancel(end, "ann")
        else:
            shared.erase(end, "ann")
        assert clocks(database)["ann"] == pytest.approx(before + 50), end


def test_a_job_of_a_dead_worker_is_counted_once(shared: JobStore, database: Engine) -> None:
    ask(shared, "ann", "one", 100)
    assert shared.claim("worker", -1.0) is not None
    assert shared.claim("other", LEASE) is not None
    assert clocks(database)["ann"] == pytest.approx(100)


def test_a_worker_prefers_keys_that_it_holds_within_a_bound(shared: JobStore) -> None:
    held = "f" * 64
    ask(shared, "ann", "cold", 1)
    ask(shared, "bob", "warm", 1, keys=held)
    assert served(shared, 1, held_keys=[held]) == ["warm"]
    for number in range(10):
        ask(shared, "bob", f"warm-{number}", HELD_SECONDS, keys=held)
    assert "cold" in served(shared, 3, held_keys=[held])


def test_a_worker_takes_no_job_that_would_not_fit(shared: JobStore) -> None:
    ask(shared, "ann", "large", 1, memory=1000)
    ask(shared, "bob", "small", 1, memory=10)
    claim = shared.claim("worker", LEASE, memory_bytes=999)
    assert claim is not None
    assert claim.id == "small"
    assert shared.claim("worker", LEASE, memory_bytes=999) is None
    assert shared.claim("worker", LEASE, memory_bytes=1000) is not None


def test_a_long_job_makes_way_for_a_short_one_of_another_and_of_its_own_tenant(shared: JobStore) -> None:
    for tenant in ("bob", "ann"):
        ask(shared, "ann", f"long for {tenant}", 600)
        claim = shared.claim("worker", LEASE)
        assert claim is not None
        assert not shared.should_pause(claim)
        shared.checkpoint(claim, 1, "jobs/x/1", 9, 60.0)  # a tenth of it
        ask(shared, tenant, f"short of {tenant}", 5)
        assert shared.should_pause(claim)
        shared.release(claim, counts_as_attempt=False)
        assert served(shared, 1) == [f"short of {tenant}"]
        assert served(shared, 1) == [f"long for {tenant}"]


def test_a_job_that_is_nearly_done_makes_no_way(shared: JobStore) -> None:
    ask(shared, "ann", "long", 600)
    claim = shared.claim("worker", LEASE)
    assert claim is not None
    shared.checkpoint(claim, 1, "jobs/x/1", 89, 590.0)
    ask(shared, "bob", "short", 5)
    assert not shared.should_pause(claim)


@settings(max_examples=30, deadline=None)
@given(
    asked=some.lists(
        some.tuples(some.sampled_from(TENANTS), some.floats(0.1, 20.0, allow_nan=False)), min_size=1, max_size=40
    )
)
def test_tenants_that_wait_are_never_further_apart_than_two_jobs(
    asked: list[tuple[str, float]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The fairness bound of start-time fair queueing, for one worker: one longest job of each of the two."""
    database = open_database(f"sqlite:///{tmp_path_factory.mktemp('turns') / 'epaas.db'}")
    store = store_with_tenants(database)
    left: Counter[str] = Counter()
    longest = max(seconds for _, seconds in asked)
    lengths = {}
    for number, (tenant, seconds) in enumerate(asked):
        name = f"{tenant}-{number}"
        ask(store, tenant, name, seconds)
        lengths[name] = seconds
        left[tenant] += 1
    got: Counter[str] = Counter()
    for _ in asked:
        waiting = [tenant for tenant in TENANTS if left[tenant]]
        for one in waiting:
            for other in waiting:
                assert got[one] - got[other] <= 2 * longest + 1e-6
        (name,) = served(store, 1)
        tenant = name.split("-")[0]
        got[tenant] += lengths[name]
        left[tenant] -= 1
    database.dispose()

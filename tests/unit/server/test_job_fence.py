"""A job has one outcome whoever worked on it: only who holds it at the moment can write."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from job_making import EXPIRED, LEASE, claimed, row_of, submit
from sqlalchemy import Engine

from epaas_server.jobs.job import Claim
from epaas_server.jobs.store import JobStore, LeaseLost
from epaas_shared.errors import PredictionFailed, PredictionNotFound
from epaas_shared.protocol import PredictionState

WRITES: dict[str, Callable[[JobStore, Claim], None]] = {
    "heartbeat": lambda store, claim: store.heartbeat(claim, LEASE, 7),
    "checkpoint": lambda store, claim: store.checkpoint(claim, 1, "jobs/one/late", 7, 1.0),
    "succeed": lambda store, claim: store.succeed(claim, "jobs/one/late", 1.0, 1),
    "fail": lambda store, claim: store.fail(claim, PredictionFailed("late")),
    "release": lambda store, claim: store.release(claim, counts_as_attempt=True),
    "graceful release": lambda store, claim: store.release(claim, counts_as_attempt=False),
}


@pytest.fixture(params=WRITES)
def write(request: pytest.FixtureRequest) -> Callable[[JobStore, Claim], None]:
    """Each thing that a worker can tell of a job."""
    return WRITES[request.param]


def test_whoever_holds_the_job_may_write(
    database: Engine, store: JobStore, write: Callable[[JobStore, Claim], None]
) -> None:
    submit(store, "one")
    claim = claimed(store)
    before = row_of(database, "one")
    write(store, claim)
    assert row_of(database, "one") != before


def test_a_worker_that_was_thought_dead_changes_nothing(
    database: Engine, store: JobStore, write: Callable[[JobStore, Claim], None]
) -> None:
    submit(store, "one")
    stale = claimed(store, EXPIRED)
    claimed(store)
    before = row_of(database, "one")
    with pytest.raises(LeaseLost):
        write(store, stale)
    assert row_of(database, "one") == before


def test_a_worker_that_comes_back_after_the_end_changes_nothing(
    database: Engine, store: JobStore, write: Callable[[JobStore, Claim], None]
) -> None:
    submit(store, "one")
    stale = claimed(store, EXPIRED)
    current = claimed(store)
    store.succeed(current, "jobs/one/2-result", 1.0, 1)
    before = row_of(database, "one")
    for claim in (stale, current):
        with pytest.raises(LeaseLost):
            write(store, claim)
    assert row_of(database, "one") == before


def test_the_worker_of_a_cancelled_job_is_told(
    database: Engine, store: JobStore, write: Callable[[JobStore, Claim], None]
) -> None:
    submit(store, "one")
    claim = claimed(store)
    assert store.cancel("one").state is PredictionState.CANCELLED
    before = row_of(database, "one")
    with pytest.raises(LeaseLost):
        write(store, claim)
    assert row_of(database, "one") == before
    assert store.claim("other", LEASE) is None


def test_the_worker_of_a_released_job_holds_it_no_more(
    database: Engine, store: JobStore, write: Callable[[JobStore, Claim], None]
) -> None:
    submit(store, "one")
    claim = claimed(store)
    store.release(claim, counts_as_attempt=True)
    before = row_of(database, "one")
    with pytest.raises(LeaseLost):
        write(store, claim)
    assert row_of(database, "one") == before


def test_the_worker_of_an_erased_job_is_told(
    database: Engine, store: JobStore, write: Callable[[JobStore, Claim], None]
) -> None:
    submit(store, "one", "two")
    claim = claimed(store)
    store.erase("one")
    with pytest.raises(LeaseLost):
        write(store, claim)
    for ask in (store.get, store.cancel, store.erase, store.result_blob):
        with pytest.raises(PredictionNotFound) as caught:
            ask("one")
        assert caught.value.field == "id"
    assert store.get("two").state is PredictionState.QUEUED

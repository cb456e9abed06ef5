"""A prediction from its submission to its end, as its row and its document tell it."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta, timezone

import pytest
from job_making import EXPIRED, KEYS, LEASE, PLAN, claimed, prediction, row_of, submit
from sqlalchemy import Engine, update

from epaas_server.blobs.store import checked_name
from epaas_server.database import open_database
from epaas_server.jobs.job import new_job_id
from epaas_server.jobs.store import JobStore
from epaas_server.plan import Plan
from epaas_server.tables import jobs
from epaas_server.tenants import Quotas, TenantStore
from epaas_shared.errors import IdempotencyConflict, PredictionFailed, PredictionNotFound
from epaas_shared.protocol import PredictionState


def test_a_new_prediction_waits_in_the_queue(store: JobStore) -> None:
    submitted, new = store.submit(prediction("one"))
    assert new
    assert submitted == store.get("one")
    assert (submitted.id, submitted.state, submitted.attempts) == ("one", PredictionState.QUEUED, 0)
    assert (submitted.model, submitted.version, submitted.model_digest) == ("toy", 3, "b" * 64)
    assert (submitted.evaluation_keys, submitted.records) == (KEYS, 2)
    assert (submitted.progress.done, submitted.progress.total) == (0, 90)
    assert (submitted.started_at, submitted.finished_at, submitted.problem) == (None, None, None)
    assert submitted.created_at.utcoffset() == timedelta(0)


def test_the_next_worker_goes_on_from_the_checkpoint(store: JobStore) -> None:
    submit(store, "one")
    claim = claimed(store, EXPIRED)
    store.checkpoint(claim, 1, "jobs/one/1-layer-1", 30, 2.5)
    store.checkpoint(claim, 2, "jobs/one/1-layer-2", 60, 1.5)
    again = claimed(store)
    assert (again.layers_done, again.checkpoint_blob) == (2, "jobs/one/1-layer-2")
    assert store.get("one").progress.done == 60
    store.succeed(again, "jobs/one/2-result", 1.0, 4)
    assert store.get("one").evaluation_seconds == 2.5 + 1.5 + 1.0


def test_a_finished_prediction_has_a_result(store: JobStore) -> None:
    submit(store, "one")
    assert store.result_blob("one") is None
    store.succeed(claimed(store), "jobs/one/1-result", 1.0, 4)
    done = store.get("one")
    assert done.state is PredictionState.SUCCEEDED
    assert done.finished_at is not None
    assert (done.progress.done, done.threads, done.eta_seconds) == (90, 4, None)
    assert store.result_blob("one") == "jobs/one/1-result"
    assert store.claim("worker", LEASE) is None


def test_a_failed_prediction_keeps_its_error(store: JobStore) -> None:
    submit(store, "one")
    store.fail(claimed(store), PredictionFailed("died", field="x", hint="try again"))
    failed = store.get("one")
    assert failed.state is PredictionState.FAILED
    assert failed.problem is not None
    error = failed.problem.error()
    assert type(error) is PredictionFailed
    assert (error.detail, error.field, error.hint) == ("died", "x", "try again")
    assert store.claim("worker", LEASE) is None


def test_a_queued_job_that_is_cancelled_is_never_claimed(store: JobStore) -> None:
    submit(store, "one")
    cancelled = store.cancel("one")
    assert cancelled.state is PredictionState.CANCELLED
    assert cancelled.finished_at is not None
    assert store.claim("worker", LEASE) is None


def test_a_finished_job_is_not_cancelled_any_more(store: JobStore) -> None:
    submit(store, "one", "two")
    store.succeed(claimed(store), "jobs/one/1-result", 1.0, 1)
    store.fail(claimed(store), PredictionFailed("died"))
    assert store.cancel("one") == store.get("one")
    assert [store.get(name).state for name in ("one", "two")] == [PredictionState.SUCCEEDED, PredictionState.FAILED]


@pytest.mark.parametrize(("counts", "attempts"), [(True, 2), (False, 1)])
def test_a_graceful_release_is_no_attempt(store: JobStore, counts: bool, attempts: int) -> None:
    submit(store, "one")
    first = claimed(store)
    store.release(first, counts_as_attempt=counts)
    assert store.get("one").state is PredictionState.QUEUED
    again = claimed(store)
    assert (again.id, again.fence, again.attempts) == ("one", first.fence + 1, attempts)


def test_the_same_request_again_is_the_same_prediction(database: Engine, store: JobStore) -> None:
    first, _ = store.submit(prediction("one", key="k"))
    store.succeed(claimed(store), "jobs/one/1-result", 1.0, 1)
    again, new = store.submit(prediction("two", key="k"))
    assert not new
    assert again == store.get("one")
    assert again.id == first.id
    with pytest.raises(PredictionNotFound):
        store.get("two")


def test_another_request_under_the_same_key_is_a_conflict(store: JobStore) -> None:
    store.submit(prediction("one", key="k", request="r"))
    with pytest.raises(IdempotencyConflict) as caught:
        store.submit(prediction("two", key="k", request="s"))
    assert caught.value.field == "Idempotency-Key"
    with pytest.raises(PredictionNotFound):
        store.get("two")


def test_the_same_request_at_once_makes_one_prediction(store: JobStore) -> None:
    gate = threading.Barrier(8)
    outcomes: list[tuple[str, bool]] = []

    def ask(number: int) -> None:
        gate.wait()
        document, new = store.submit(prediction(f"job-{number}", key="k"))
        outcomes.append((document.id, new))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 8
    assert len({name for name, _ in outcomes}) == 1
    assert sum(new for _, new in outcomes) == 1
    assert store.queue_depth() == {"queued": 1}


def test_the_queue_is_counted_by_state(store: JobStore) -> None:
    assert store.queue_depth() == {}
    submit(store, "one", "two", "three")
    store.succeed(claimed(store), None, 1.0, 1)
    claimed(store)
    assert store.queue_depth() == {"succeeded": 1, "running": 1, "queued": 1}


def test_what_is_left_of_the_predicted_time_is_told_until_the_end(store: JobStore) -> None:
    submit(store, "unknown")
    store.submit(prediction("one", seconds=180.0))
    assert store.get("unknown").eta_seconds is None
    assert store.get("one").eta_seconds == pytest.approx(180.0)
    claimed(store)
    claim = claimed(store)
    store.heartbeat(claim, LEASE, 80)
    assert store.get("one").eta_seconds == pytest.approx(180.0 * 10 / 90)
    store.succeed(claim, None, 1.0, 1)
    assert store.get("one").eta_seconds is None


def test_the_plan_of_a_job_is_stored_with_it(database: Engine, store: JobStore) -> None:
    submit(store, "one")
    assert Plan.model_validate(row_of(database, "one")["plan"]) == PLAN


def test_moments_keep_their_zone(database: Engine, store: JobStore) -> None:
    submit(store, "one")
    elsewhere = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=5)))
    with database.begin() as connection:
        connection.execute(update(jobs).values(created_at=elsewhere))
    stored = store.get("one").created_at
    assert stored == elsewhere
    assert stored.tzinfo is UTC


def test_a_reader_waits_for_no_writer(database: Engine, store: JobStore) -> None:
    submit(store, "one")
    with database.begin() as writer:
        writer.execute(update(jobs).values(records=5))
        assert store.get("one").records == 2
    assert store.get("one").records == 5


def test_what_was_stored_survives_a_new_connection(address: str, store: JobStore) -> None:
    submit(store, "one")
    again = open_database(address)
    try:
        assert JobStore(again, TenantStore(again, Quotas())).get("one") == store.get("one")
    finally:
        again.dispose()


def test_job_ids_are_names_of_blobs_and_never_the_same() -> None:
    ids = {new_job_id() for _ in range(1000)}
    assert len(ids) == 1000
    for name in ids:
        assert checked_name(f"jobs/{name}/record")

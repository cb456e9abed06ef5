"""The queue on SQLite: who gets which job, and that a job has one outcome whoever worked on it."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select, update

from epaas_server.blobs import Blobs
from epaas_server.database import evaluation_keys, jobs, open_database, reading
from epaas_server.evaluation_keys import KeyStore
from epaas_server.jobs.store import Claim, JobKind, JobStore, LeaseLost, NewPrediction, new_job_id
from epaas_shared.digest import digest_bytes
from epaas_shared.errors import IdempotencyConflict, InvalidEvaluationKeys, PredictionFailed, PredictionNotFound
from epaas_shared.frame import EvaluationKeysHeader, FrameStart
from epaas_shared.protocol import KeysState, PredictionState

LEASE = 100.0
EXPIRED = -1.0
"""A lease that has run out when it is given."""
KEYS = "a" * 64


@pytest.fixture
def store(database: Engine) -> JobStore:
    return JobStore(database)


def prediction(name: str, *, keys: str = KEYS, request: str = "r", key: str | None = None) -> NewPrediction:
    return NewPrediction(
        id=name,
        model_name="toy",
        model_version=3,
        model_digest="b" * 64,
        evaluation_keys=keys,
        records=2,
        record_blob=f"jobs/{name}/record",
        bootstraps_total=90,
        idempotency_key=key or f"key of {name}",
        request_digest=request,
    )


def submit(store: JobStore, *names: str) -> None:
    for name in names:
        store.submit(prediction(name))


def claimed(store: JobStore, lease: float = LEASE) -> Claim:
    claim = store.claim("worker", lease)
    assert claim is not None
    return claim


def row_of(database: Engine, name: str) -> dict[str, Any]:
    with reading(database) as connection:
        return dict(connection.execute(select(jobs).filter_by(id=name)).one()._mapping)


def upload(database: Engine, tmp_path: Path, content: bytes) -> tuple[KeyStore, str]:
    """Keys in the state ``checking``, with their check queued."""
    blobs = Blobs(tmp_path / "blobs")
    keys = KeyStore(database, blobs, JobStore(database))
    header = EvaluationKeysHeader(payload_bytes=len(content), profile="c" * 64, keyset_bytes=len(content))
    with blobs.writer() as writer:
        writer.write(content)
        keys.add(digest_bytes(content), writer, FrameStart(header, 0))
    return keys, digest_bytes(content)


def test_a_new_prediction_waits_in_the_queue(store: JobStore) -> None:
    submitted, new = store.submit(prediction("one"))
    assert new
    assert submitted == store.get("one")
    assert (submitted.id, submitted.state, submitted.attempts) == ("one", PredictionState.QUEUED, 0)
    assert (submitted.model, submitted.version, submitted.model_digest) == ("toy", 3, "b" * 64)
    assert (submitted.evaluation_keys, submitted.records) == (KEYS, 2)
    assert (submitted.progress.done, submitted.progress.total) == (0, 90)
    assert submitted.started_at is submitted.finished_at is submitted.problem is None
    assert submitted.created_at.utcoffset() == timedelta(0)


def test_an_empty_queue_gives_nothing(store: JobStore) -> None:
    assert store.claim("worker", LEASE) is None


def test_a_claim_says_what_is_to_be_done(store: JobStore) -> None:
    submit(store, "one")
    assert claimed(store) == Claim(
        id="one",
        kind=JobKind.PREDICT,
        fence=1,
        attempts=1,
        evaluation_keys=KEYS,
        model_digest="b" * 64,
        records=2,
        record_blob="jobs/one/record",
        layers_done=0,
        checkpoint_blob=None,
    )
    running = store.get("one")
    assert (running.state, running.attempts) == (PredictionState.RUNNING, 1)
    assert running.started_at is not None


def test_jobs_are_claimed_in_the_order_of_their_submission(store: JobStore) -> None:
    names = [f"job-{number}" for number in (3, 1, 4, 2, 5)]
    submit(store, *names)
    assert [claimed(store).id for _ in names] == names
    assert store.claim("worker", LEASE) is None


def test_an_abandoned_job_keeps_its_place(store: JobStore) -> None:
    submit(store, "old", "new")
    assert claimed(store, EXPIRED).id == "old"
    assert claimed(store).id == "old"


def test_key_checks_come_before_older_predictions(database: Engine, store: JobStore) -> None:
    submit(store, "one", "two")
    with database.begin() as connection:
        store.submit_key_check("d" * 64, connection)
    first = claimed(store)
    assert (first.kind, first.evaluation_keys, first.model_digest) == (JobKind.CHECK_KEYS, "d" * 64, None)
    assert claimed(store).id == "one"


def test_predictions_wait_for_the_check_of_their_keys_alone(database: Engine, store: JobStore, tmp_path: Path) -> None:
    keys, digest = upload(database, tmp_path, b"keys")
    store.submit(prediction("waits", keys=digest))
    submit(store, "of other keys")
    check = claimed(store)
    assert (check.kind, check.evaluation_keys) == (JobKind.CHECK_KEYS, digest)
    assert keys.get(digest).state is KeysState.CHECKING
    assert claimed(store).id == "of other keys"
    assert store.claim("worker", LEASE) is None
    keys.settle(digest, None)
    assert keys.get(digest).state is KeysState.READY
    assert claimed(store).id == "waits"


def test_rejected_keys_hold_no_prediction_back(database: Engine, store: JobStore, tmp_path: Path) -> None:
    keys, digest = upload(database, tmp_path, b"keys")
    store.submit(prediction("waits", keys=digest))
    claimed(store)
    assert store.claim("worker", LEASE) is None
    keys.settle(digest, InvalidEvaluationKeys("crashed", field="keyset"))
    assert claimed(store).id == "waits"
    with pytest.raises(InvalidEvaluationKeys, match="crashed"):
        keys.usable(digest)


def test_keys_are_taken_once_and_checked_once(database: Engine, store: JobStore, tmp_path: Path) -> None:
    for _ in range(2):
        upload(database, tmp_path, b"keys")
    claimed(store)
    assert store.claim("worker", LEASE) is None
    with reading(database) as connection:
        assert len(connection.execute(select(evaluation_keys)).all()) == 1


def test_a_held_job_is_not_given_twice(store: JobStore) -> None:
    submit(store, "one")
    claimed(store)
    assert store.claim("other", LEASE) is None


def test_a_job_whose_lease_ran_out_goes_to_another(database: Engine, store: JobStore) -> None:
    submit(store, "one")
    first = claimed(store, EXPIRED)
    started = store.get("one").started_at
    second = store.claim("other", LEASE)
    assert second is not None
    assert (second.id, second.fence, second.attempts) == ("one", first.fence + 1, 2)
    assert row_of(database, "one")["worker"] == "other"
    assert store.get("one").started_at == started
    assert store.claim("third", LEASE) is None


def test_a_heartbeat_renews_the_lease_and_tells_the_progress(database: Engine, store: JobStore) -> None:
    submit(store, "one")
    claim = claimed(store, EXPIRED)
    store.heartbeat(claim, LEASE, 45)
    assert store.claim("other", LEASE) is None
    assert store.get("one").progress.done == 45
    store.heartbeat(claim, EXPIRED, 46)
    assert store.claim("other", LEASE) is not None


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


def test_key_checks_are_no_predictions(database: Engine, store: JobStore) -> None:
    with database.begin() as connection:
        store.submit_key_check("d" * 64, connection)
    check = claimed(store)
    with pytest.raises(PredictionNotFound):
        store.get(check.id)
    with pytest.raises(PredictionNotFound):
        store.cancel(check.id)


def test_the_queue_is_counted_by_state(store: JobStore) -> None:
    assert store.queue_depth() == {}
    submit(store, "one", "two", "three")
    store.succeed(claimed(store), None, 1.0, 1)
    claimed(store)
    assert store.queue_depth() == {"succeeded": 1, "running": 1, "queued": 1}


def test_measured_rates_are_smoothed_and_give_an_eta(store: JobStore) -> None:
    submit(store, "one")
    assert store.get("one").eta_seconds is None
    store.calibrate("c" * 64, 1.0)
    assert store.get("one").eta_seconds == pytest.approx(90.0)
    store.calibrate("c" * 64, 2.0)
    assert store.get("one").eta_seconds == pytest.approx(90 * (0.7 * 1.0 + 0.3 * 2.0))
    store.heartbeat(claimed(store), LEASE, 80)
    assert store.get("one").eta_seconds == pytest.approx(10 * 1.3)


def test_leases_are_in_seconds_since_1970_by_the_database(database: Engine, store: JobStore) -> None:
    submit(store, "one")
    before = time.time()
    claimed(store, LEASE)
    after = time.time()
    until = row_of(database, "one")["lease_until"]
    assert until is not None
    assert before - 1 <= until - LEASE <= after + 1


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


def test_what_was_stored_survives_a_new_connection(database: Engine, store: JobStore) -> None:
    submit(store, "one")
    again = open_database(str(database.url))
    try:
        assert JobStore(again).get("one") == store.get("one")
    finally:
        again.dispose()


def test_job_ids_are_names_of_blobs_and_never_the_same(tmp_path: Path) -> None:
    ids = {new_job_id() for _ in range(1000)}
    assert len(ids) == 1000
    blobs = Blobs(tmp_path)
    for name in ids:
        blobs.path(f"jobs/{name}/record")


CLAIM_ALL = """
import sys
from epaas_server.database import open_database
from epaas_server.jobs.store import JobStore

store = JobStore(open_database(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
while (claim := store.claim(sys.argv[2], 1000.0)) is not None:
    print(claim.id, claim.fence)
"""


def test_two_processes_claim_each_job_exactly_once(database: Engine, store: JobStore) -> None:
    names = [f"job-{number}" for number in range(200)]
    submit(store, *names)
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIM_ALL, str(database.url), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("left", "right")
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    lines = [line for worker in workers for line in worker.communicate()[0].splitlines()]
    assert [worker.returncode for worker in workers] == [0, 0]
    assert Counter(lines) == Counter(f"{name} 1" for name in names)


def test_threads_claim_each_job_exactly_once(store: JobStore) -> None:
    names = [f"job-{number}" for number in range(60)]
    submit(store, *names)
    taken: list[str] = []

    def work() -> None:
        while (claim := store.claim("worker", LEASE)) is not None:
            store.succeed(claim, None, 1.0, 1)
            taken.append(claim.id)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted(names)
    assert store.queue_depth() == {"succeeded": 60}

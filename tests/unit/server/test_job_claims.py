"""The queue on SQLite: who gets which job, and that nobody gets one that another holds."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from job_making import EXPIRED, KEYS, LEASE, PLAN, claimed, prediction, row_of, submit, upload
from sqlalchemy import Engine, select

from epaas_server.database import reading
from epaas_server.jobs.job import Claim, JobKind
from epaas_server.jobs.store import LONGEST_LEASE_SECONDS, JobStore
from epaas_server.tables import evaluation_keys
from epaas_shared.errors import InvalidEvaluationKeys, PredictionNotFound
from epaas_shared.protocol import KeysState, PredictionState


def test_an_empty_queue_gives_nothing(store: JobStore) -> None:
    assert store.claim("worker", LEASE) is None


def test_a_claim_says_what_is_to_be_done(store: JobStore) -> None:
    submit(store, "one")
    claim = claimed(store)
    assert claim == Claim(
        id="one",
        kind=JobKind.PREDICT,
        tenant="default",
        fence=1,
        attempts=1,
        evaluation_keys=KEYS,
        model_name="toy",
        model_digest="b" * 64,
        records=2,
        record_blob="jobs/one/record",
        plan=PLAN,
        layers_done=0,
        checkpoint_blob=None,
        waited_seconds=claim.waited_seconds,
        traceparent=None,
    )
    assert 0 <= claim.waited_seconds < 60
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


def test_a_lease_of_a_clock_that_was_set_back_since_is_not_waited_for(store: JobStore) -> None:
    submit(store, "one")
    assert claimed(store, LONGEST_LEASE_SECONDS + 60.0).fence == 1
    assert claimed(store, LONGEST_LEASE_SECONDS - 60.0).fence == 2
    assert store.claim("worker", LEASE) is None


def test_key_checks_come_before_older_predictions(database: Engine, store: JobStore) -> None:
    submit(store, "one", "two")
    with database.begin() as connection:
        store.submit_key_check("d" * 64, connection)
    first = claimed(store)
    assert (first.kind, first.evaluation_keys) == (JobKind.CHECK_KEYS, "d" * 64)
    assert (first.model_digest, first.plan) == (None, None)
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


def test_key_checks_are_no_predictions(database: Engine, store: JobStore) -> None:
    with database.begin() as connection:
        store.submit_key_check("d" * 64, connection)
    check = claimed(store)
    with pytest.raises(PredictionNotFound):
        store.get(check.id)
    with pytest.raises(PredictionNotFound):
        store.cancel(check.id)


def test_leases_are_in_seconds_since_1970_by_the_database(database: Engine, store: JobStore) -> None:
    submit(store, "one")
    before = time.time()
    claimed(store, LEASE)
    after = time.time()
    until = row_of(database, "one")["lease_until"]
    assert until is not None
    assert before - 1 <= until - LEASE <= after + 1


CLAIM_ALL = """
import sys
from epaas_server.database import open_database
from epaas_server.jobs.store import JobStore
from epaas_server.tenants import Quotas, TenantStore

database = open_database(sys.argv[1])
store = JobStore(database, TenantStore(database, Quotas()))
print("ready", flush=True)
sys.stdin.readline()
while (claim := store.claim(sys.argv[2], 1000.0)) is not None:
    print(claim.id, claim.fence)
"""


def test_two_processes_claim_each_job_exactly_once(address: str, store: JobStore) -> None:
    names = [f"job-{number}" for number in range(200)]
    submit(store, *names)
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIM_ALL, address, name],
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

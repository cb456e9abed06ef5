"""Many claimers at once, each of which may finish, give up, fall silent or come back: a job has one outcome."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from contextlib import suppress

import pytest
from job_making import EXPIRED, LEASE, row_of, submit
from sqlalchemy import Engine

from epaas_server.jobs.job import Claim
from epaas_server.jobs.store import JobStore, LeaseLost
from epaas_shared.errors import PredictionFailed
from epaas_shared.protocol import PredictionState

CLAIMERS, JOBS = 6, 15


class Claimers:
    """What they did, as they saw it."""

    def __init__(self, store: JobStore, names: list[str]) -> None:
        self.store = store
        self.names = names
        self.claims: list[tuple[str, int]] = []
        self.ends: list[tuple[str, str | None]] = []
        self.errors: list[Exception] = []

    def unfinished(self) -> bool:
        return any(not self.store.get(name).state.finished for name in self.names)

    def work(self, draw: random.Random) -> None:
        try:
            while self.unfinished():
                silent = draw.random() < 0.3
                claim = self.store.claim("worker", EXPIRED if silent else LEASE)
                if claim is None:
                    time.sleep(0.01)
                    continue
                self.claims.append((claim.id, claim.fence))
                with suppress(LeaseLost):
                    self.go_on(claim, draw, silent)
        except Exception as error:
            self.errors.append(error)

    def go_on(self, claim: Claim, draw: random.Random, silent: bool) -> None:
        if silent:
            time.sleep(draw.uniform(0.0, 0.05))
            if draw.random() < 0.5:
                return
        self.store.heartbeat(claim, LEASE, claim.layers_done)
        self.store.checkpoint(claim, claim.layers_done + 1, f"jobs/{claim.id}/{claim.fence}-layer", 1, 0.1)
        match draw.choice(("succeed", "succeed", "fail", "release")):
            case "succeed":
                blob = f"jobs/{claim.id}/{claim.fence}-result"
                self.store.succeed(claim, blob, 0.1, 1)
                self.ends.append((claim.id, blob))
            case "fail":
                self.store.fail(claim, PredictionFailed("as drawn"))
                self.ends.append((claim.id, None))
            case _:
                self.store.release(claim, counts_as_attempt=draw.random() < 0.5)


@pytest.mark.parametrize("seed", range(2))
def test_no_claim_is_given_twice_and_each_job_ends_once(database: Engine, store: JobStore, seed: int) -> None:
    names = [f"job-{number}" for number in range(JOBS)]
    submit(store, *names)
    claimers = Claimers(store, names)
    threads = [
        threading.Thread(target=claimers.work, args=(random.Random(100 * seed + number),)) for number in range(CLAIMERS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert claimers.errors == []
    assert max(Counter(claimers.claims).values()) == 1
    fences = {name: sorted(fence for job, fence in claimers.claims if job == name) for name in names}
    assert all(found == list(range(1, len(found) + 1)) for found in fences.values())
    assert Counter(job for job, _ in claimers.ends) == Counter(names), "each ended once"
    for name, blob in claimers.ends:
        row = row_of(database, name)
        assert row["state"] == (PredictionState.FAILED if blob is None else PredictionState.SUCCEEDED).value
        assert row["result_blob"] == blob


def test_leases_are_by_the_databases_clock_whatever_a_claimers_says(
    store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(store, "one")
    claim = store.claim("worker", LEASE)
    assert claim is not None
    clock = time.time
    for jump in (10.0**7, -(10.0**7)):
        monkeypatch.setattr(time, "time", lambda jump=jump: clock() + jump)
        assert store.claim("other", LEASE) is None
        store.heartbeat(claim, LEASE, 1)
    store.heartbeat(claim, EXPIRED, 1)
    assert store.claim("other", LEASE) is not None


def test_what_was_said_before_and_not_heard_may_be_said_again(database: Engine, store: JobStore) -> None:
    """As when the connection breaks between a commit and its answer."""
    submit(store, "one")
    claim = store.claim("worker", LEASE)
    assert claim is not None
    store.succeed(claim, "jobs/one/1-result", 1.0, 1)
    before = row_of(database, "one")
    store.succeed(claim, "jobs/one/1-result", 1.0, 1)
    assert row_of(database, "one") == before
    with pytest.raises(LeaseLost):
        store.succeed(claim, "jobs/one/another-result", 1.0, 1)

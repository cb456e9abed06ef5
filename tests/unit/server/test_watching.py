"""Waiting for predictions: one look for all who wait, and nobody who waits for what does not come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from sqlalchemy import Engine, event, update
from tests.unit.server.job_making import LEASE, claimed, prediction

from epaas_server.api.watching import Watch
from epaas_server.jobs.progress import Stage, stages_of
from epaas_server.jobs.store import JobStore
from epaas_server.tables import jobs
from epaas_shared.protocol import PredictionState

WAITING = 200


@pytest.fixture
def looks(database: Engine) -> list[str]:
    """The statements that look at stages, as the database gets them."""
    seen: list[str] = []

    @event.listens_for(database, "before_cursor_execute")
    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if statement.startswith("SELECT jobs.id, jobs.state, jobs.bootstraps_done"):
            seen.append(statement)

    return seen


def waited(waiting: Callable[[Watch], Coroutine[Any, Any, None]], database: Engine) -> None:
    async def wait() -> None:
        async with asyncio.timeout(60):
            await waiting(Watch(database))

    asyncio.run(wait())


def test_stages_are_those_of_the_predictions(store: JobStore, database: Engine) -> None:
    for name in ("one", "two"):
        store.submit(prediction(name))
    claim = claimed(store)
    store.heartbeat(claim, LEASE, 7)
    names = {claim.id: Stage(PredictionState.RUNNING, 7, 1)}
    (other,) = {"one", "two"} - {claim.id}
    names[other] = Stage(PredictionState.QUEUED, 0, 0)
    assert stages_of(database, ["one", "two", "three"]) == names
    assert {name: Stage.of(store.get(name)) for name in names} == names


def test_many_stages_come_in_few_looks(store: JobStore, database: Engine, looks: list[str]) -> None:
    store.submit(prediction("one"))
    assert list(stages_of(database, ["one", *map(str, range(1200))])) == ["one"]
    assert len(looks) == 3


def test_all_who_wait_are_woken_by_the_same_look(store: JobStore, database: Engine, looks: list[str]) -> None:
    for number in range(WAITING):
        store.submit(prediction(f"job-{number}"))
    asked = [store.get(f"job-{number}") for number in range(WAITING)]

    async def wait(watch: Watch) -> None:
        waiting = asyncio.gather(*(watch.changed(each) for each in asked))
        await asyncio.sleep(0)
        with database.begin() as connection:
            connection.execute(update(jobs).values(state=PredictionState.CANCELLED.value))
        looks.clear()
        await waiting
        assert 0 < len(looks) <= 2, "one that had begun before, and one that saw all"

    waited(wait, database)


def test_who_waits_for_the_end_is_not_woken_by_progress(store: JobStore, database: Engine) -> None:
    store.submit(prediction("one"))
    claim, asked = claimed(store), store.get("one")

    async def wait(watch: Watch) -> None:
        every, end = (asyncio.create_task(watch.changed(asked, finished=finished)) for finished in (False, True))
        await asyncio.sleep(0)
        await asyncio.to_thread(store.heartbeat, claim, LEASE, 7)
        await every
        assert not end.done()
        await asyncio.to_thread(store.succeed, claim, "jobs/one/1-result", 1.0, 1)
        await end

    waited(wait, database)


def test_what_has_changed_since_it_was_seen_is_not_waited_for(store: JobStore, database: Engine) -> None:
    store.submit(prediction("one"))
    asked = store.get("one")
    store.cancel("one")
    waited(lambda watch: watch.changed(asked, finished=True), database)


def test_who_waits_for_an_erased_prediction_looks_again(store: JobStore, database: Engine) -> None:
    store.submit(prediction("one"))
    asked = store.get("one")

    async def wait(watch: Watch) -> None:
        waiting = asyncio.create_task(watch.changed(asked))
        await asyncio.to_thread(store.erase, "one")
        await waiting

    waited(wait, database)


def test_nobody_looks_any_more_when_nobody_waits(store: JobStore, database: Engine, looks: list[str]) -> None:
    """Neither after the time that was waited for nor after who waited has gone."""
    store.submit(prediction("one"))
    asked = store.get("one")

    async def wait(watch: Watch) -> None:
        await watch.changed(asked, 0.2)
        gone = asyncio.create_task(watch.changed(asked))
        await asyncio.sleep(0.2)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        await asyncio.sleep(0.2)
        before = len(looks)
        assert before > 0
        await asyncio.sleep(0.3)
        assert len(looks) == before

    waited(wait, database)

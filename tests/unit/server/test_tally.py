"""Counters that outlive who counts: what many processes hand over is added up, whatever happens to them."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import Engine
from tests.object_store import Wire
from tests.postgresql import Cluster

from epaas_server.database import connect
from epaas_server.jobs.presence import Announcer, WorkerFacts, WorkerPresence
from epaas_server.observability import catalogue
from epaas_server.observability.catalogue import COUNTED
from epaas_server.observability.tally import Tally, read_counted
from epaas_server.tables import counters

FACTS = WorkerFacts(release="1", engine="local", threads=1, memory_bytes=1)


def totals(database: Engine, name: str) -> dict[tuple[str, ...], float]:
    return read_counted(database, COUNTED).totals[name]


def test_what_many_processes_have_counted_is_added_up(database: Engine) -> None:
    def work(worker: int) -> None:
        for _ in range(20):
            tally = Tally()
            tally.add(catalogue.BOOTSTRAPS, 5)
            tally.add(catalogue.FAILURES, code=f"code-{worker % 2}")
            tally.observe(catalogue.WAIT_SECONDS, 0.3, kind="predict")
            tally.hand_over(database)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert totals(database, "epaas_bootstraps_total") == {(): 400}
    assert totals(database, "epaas_failures_total") == {("code-0",): 40, ("code-1",): 40}
    assert read_counted(database, COUNTED).distributions["epaas_wait_seconds"][("predict",)].buckets == {0.5: 80}


def test_counters_begin_at_nothing_and_labelled_ones_when_they_are_first_counted(database: Engine) -> None:
    assert totals(database, "epaas_bootstraps_total") == {(): 0}
    assert totals(database, "epaas_failures_total") == {}


def test_what_the_database_did_not_take_is_not_lost(postgresql: Cluster) -> None:
    wire = Wire(postgresql.port).mend()
    with postgresql.opened() as direct:
        url = postgresql.url(str(direct.url.database)).set(port=wire.port)
        engine = connect(url)
        tally = Tally()
        tally.add(catalogue.BOOTSTRAPS, 5)
        wire.cut()
        with pytest.raises(Exception, match="connection"):
            tally.hand_over(engine)
        tally.add(catalogue.BOOTSTRAPS, 2)
        wire.mend()
        tally.hand_over(engine)
        tally.hand_over(engine)
        assert totals(direct, "epaas_bootstraps_total") == {(): 7}
        engine.dispose()
        wire.cut()


def test_bounds_of_another_release_still_add_up(database: Engine) -> None:
    tally = Tally()
    tally.observe(catalogue.WAIT_SECONDS, 0.3, kind="predict")
    tally.hand_over(database)
    with database.begin() as connection:
        row = {"name": "epaas_wait_seconds_bucket", "labels": '{"kind": "predict", "le": "0.4"}', "value": 3}
        connection.execute(counters.insert().values(**row))
    distribution = read_counted(database, COUNTED).distributions["epaas_wait_seconds"][("predict",)]
    buckets = dict(distribution.cumulative(catalogue.WAIT_SECONDS.buckets))
    assert (buckets["0.25"], buckets["0.4"], buckets["0.5"], buckets["+Inf"]) == (0, 3, 4, 4)


def test_a_worker_hands_over_what_it_has_counted_with_its_word_and_when_it_leaves(database: Engine) -> None:
    announcer = Announcer(WorkerPresence(database), "here-1", FACTS)
    announcer.tally.add(catalogue.BOOTSTRAPS, 3)
    announcer.say(job="one")
    assert totals(database, "epaas_bootstraps_total") == {(): 3}
    announcer.tally.add(catalogue.BOOTSTRAPS, 4)
    announcer.leave()
    assert totals(database, "epaas_bootstraps_total") == {(): 7}
    assert WorkerPresence(database).present() == []


@pytest.mark.parametrize("labels", [{}, {"code": "x", "tenant": "st-mary"}])
def test_only_labels_of_the_catalogue_are_counted(labels: dict[str, str]) -> None:
    with pytest.raises(AssertionError, match="has the labels"):
        Tally().add(catalogue.FAILURES, **labels)

"""A run from beginning to end: a service, customers, kills, and then what is there and what is not."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from epaas_client.crypto import generate_keys
from epaas_server.scopes import Scope
from tests.conftest import ClientKeys
from tests.faults.front import Front
from tests.faults.killer import Killer, Kind, Watcher, planned
from tests.faults.leftovers import rows, sweep, unnamed_files
from tests.faults.report import document
from tests.faults.stream import MODELS, Library, Owner, Stream
from tests.faults.supervised import Service
from tests.integration.ray_nodes import RayCluster, ray_cluster
from tests.postgresql import Cluster

TENANTS = ("east", "west", "north")
RAY_NODES = 2
_KEYS_SECONDS = 600.0


@dataclass(frozen=True)
class Plan:
    """What is to be done."""

    seed: int
    kills: int
    database: str = "sqlite"
    engine: str = "local"
    gap: float = 8.0
    """Mean seconds from one kill to the next."""
    customers: int = 6


def run(plan: Plan, say: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """The report of a run."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="epaas-faults-")))
        others: dict[Kind, Callable[[random.Random], None]] = {}
        kinds = [Kind.CHILD, Kind.WORKER, Kind.API, Kind.INSTANCE]
        cluster = None
        if plan.database == "postgresql":
            cluster = Cluster.create()
            stack.callback(cluster.remove)
            others[Kind.POSTGRESQL] = lambda _chance: kill_and_start(cluster)
        ray = None
        if plan.engine == "ray":
            ray = stack.enter_context(ray_cluster())
            for _ in range(RAY_NODES):
                ray.add()
            others[Kind.RAY_NODE] = partial(kill_and_replace, ray)
        service = prepared(folder, cluster, ray)
        stack.callback(service.stop)
        service.start()
        say("the service is up")
        return _run(plan, service, [*kinds, *others], others, folder, say)


def prepared(folder: Path, cluster: Cluster | None, ray: RayCluster | None) -> Service:
    """Two instances that evaluate themselves, or one that has a Ray cluster do it."""
    if ray is None:
        return Service.prepared(folder, cluster)
    service = Service.prepared(folder, cluster, instances=1, engine="ray", ray_address=ray.address)
    service.variables.update(ray.environment)
    return service


def kill_and_replace(ray: RayCluster, chance: random.Random) -> None:
    """``kill -9`` of all that runs on a machine of the cluster, and another one in its place; the head is spared."""
    chance.choice(ray.running[1:]).kill()
    ray.add()


def kill_and_start(cluster: Cluster) -> None:
    """``kill -9`` of PostgreSQL's postmaster and all its processes at once, and a new start."""
    assert cluster.process is not None
    processes = psutil.Process(cluster.process.pid).children()
    cluster.kill()
    for process in processes:
        if process.is_running():
            process.kill()
    cluster.start()


def _run(
    plan: Plan,
    service: Service,
    kinds: list[Kind],
    others: dict[Kind, Callable[[random.Random], None]],
    folder: Path,
    say: Callable[[str], None],
) -> dict[str, Any]:
    chance = random.Random(f"{plan.seed} harness")
    begin = time.monotonic()
    front = Front([each.url for each in service.instances])
    owners, publisher = owners_of(service, [ClientKeys(*generate_keys()) for _ in range(2)])
    stream = Stream(front, owners, publisher, Library(folder / "bundles"), plan.seed, plan.customers)
    for model in MODELS:
        stream.publish(model, chance)
    upload_all(front, owners, chance)
    say("keys and models are there; the killing begins")
    watcher, killer = Watcher(service), Killer(service, plan.seed, others)
    watcher.start()
    stream.start()
    done = planned(plan.seed, plan.kills, kinds, plan.gap)
    for index, kill in enumerate(done):
        killer.run([kill])
        say(f"{index + 1} of {len(done)}: {kill.kind}; {len(stream.successes)} of {len(stream.asked)} predictions")
    killed_for = time.monotonic() - begin
    stream.finish()
    watcher.stop()
    say("everybody has been answered; looking at what is left")
    for asked in stream.asked:
        if asked.results:
            stream.fetch(asked, chance)
    lost_versions = [
        digest
        for model, digests in stream.published.items()
        for digest in set(digests) - _versions(front, model, chance)
    ]
    front.close()
    service.stop()
    with service.opened() as services:
        found = rows(services.database)
        before = unnamed_files(services.database, service.data_dir)
        sweep(service)
        after = unnamed_files(services.database, service.data_dir)
    return document(
        stream,
        killer.done,
        watcher.recoveries(killer.done),
        found,
        (before, after),
        service.leftover_processes(),
        lost_versions,
        front.refusals,
        front.unclear,
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        seed=plan.seed,
        database=plan.database,
        engine=plan.engine,
        seconds=round(time.monotonic() - begin),
        seconds_of_killing=round(killed_for),
        restarts=service.restarts,
    )


def owners_of(service: Service, keys: Sequence[ClientKeys]) -> tuple[list[Owner], Owner]:
    """Tenants with a client each, some of which have the same keys, and one that may publish."""
    with service.opened() as services:
        owners = []
        for index, tenant in enumerate(TENANTS):
            services.tenants.create(tenant)
            _, token = services.tokens.create("a client", [Scope.PREDICT], tenant)
            owners.append(Owner(tenant, token, keys[index % len(keys)]))
        _, token = services.tokens.create("the publisher", [Scope.PUBLISH])
    return owners, Owner("default", token, keys[0])


def upload_all(front: Front, owners: Sequence[Owner], chance: random.Random) -> None:
    """All keys, and wait for their trial runs."""
    for owner in owners:
        path = f"/v1/evaluation-keys/{owner.keys.digest}"
        front.send(chance, "PUT", path, content=owner.keys.frame, headers=owner.headers).raise_for_status()
    deadline = time.monotonic() + _KEYS_SECONDS
    for owner in owners:
        path = f"/v1/evaluation-keys/{owner.keys.digest}"
        while front.send(chance, "GET", path, headers=owner.headers).json()["state"] != "ready":
            assert time.monotonic() < deadline, "keys are not ready"
            time.sleep(0.2)


def _versions(front: Front, model: str, chance: random.Random) -> set[str]:
    answer = front.send(chance, "GET", f"/v1/models/{model}/versions").raise_for_status()
    return {version["digest"] for version in answer.json()["versions"]}

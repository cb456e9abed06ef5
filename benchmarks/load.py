"""200 concurrent clients: memory, fairness, and how long a status call takes. ``make bench-load``; ends in a JSON line.

A real server with two evaluation slots. The clients are of four tenants, 80, 60, 40 and 20 of them, and share three
keysets (one takes 54 MB and 3 seconds to make). Each asks for a prediction of a tiny network, waits for it by long
polls (every fifth by server-sent events), fetches the result, and begins again, until the time is over. All results are
decrypted in the end and compared with the plain network.

Another process asks for the status of a finished prediction 20 times a second: first of the idle server, then under
load. The memory of the API, worker and child processes is read twice a second.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from processes import API, CHILD, WORKER, held_by
from tests.conftest import TOY_NETWORK, TOY_SCHEMA, ClientKeys, Server, random_records, write_bundle

from epaas_client import Client
from epaas_client.crypto import generate_keys
from epaas_models.machine import machine
from epaas_server.scopes import Scope
from epaas_server.services import Services
from epaas_server.settings import Settings

RESULT = Path(__file__).parents[1] / "docs" / "benchmarks" / "load.json"
TENANTS = {"north": 80, "east": 60, "south": 40, "west": 20}
SETTINGS = {"workers": "2", "threads": "1", "authentication": "tokens", "memory_bytes": "5_000_000_000"}
PROBE_SECONDS = 0.05
MEMORY_SECONDS = 0.5
FRAMES = 8
"""Encrypted records that the clients of a tenant take in turn."""


@dataclass(frozen=True)
class Tenant:
    name: str
    token: str
    keys: ClientKeys
    bits: list[Any]
    frames: list[bytes]

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


@dataclass
class Done:
    """What one client has had done: when it was asked and fetched, which record, and the encrypted result."""

    tenant: Tenant
    answers: list[tuple[float, float, int, bytes]] = field(default_factory=list)

    @property
    def seconds(self) -> list[float]:
        return [fetched - asked for asked, fetched, _, _ in self.answers]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=240.0, help="of load")
    parser.add_argument("--idle-seconds", type=float, default=30.0)
    parser.add_argument("--output", type=Path, default=RESULT)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="epaas-load-") as name:
        folder = Path(name)
        server = Server(folder / "server", SETTINGS).start()
        try:
            result = measure(server, folder, arguments.idle_seconds, arguments.seconds)
        finally:
            server.stop()
    document = {"made": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine(), **result}
    arguments.output.write_text(json.dumps(document, indent=1) + "\n")
    print(json.dumps({key: value for key, value in document.items() if key != "memory_megabytes_over_time"}))


def measure(server: Server, folder: Path, idle_seconds: float, seconds: float) -> dict[str, Any]:
    tenants = prepared(server, folder)
    finished = one_prediction(server, tenants[0])
    load_before = os.getloadavg()[0]
    with Probe(server.url, finished, tenants[0].headers) as probe:
        time.sleep(idle_seconds)
        idle = probe.taken()
        clients, memory = asyncio.run(load(server, tenants, seconds))
        busy = probe.taken()
    wrong = sum(not right(done) for done in clients)
    idle_p99, busy_p99 = percentile(idle, 99), percentile(busy, 99)
    return {
        "clients": len(clients),
        "seconds": seconds,
        "load_average_before": round(load_before, 2),
        "predictions": sum(len(done.answers) for done in clients),
        "wrong": wrong,
        "status_milliseconds": {
            "idle": milliseconds(idle),
            "under_load": milliseconds(busy),
            "ratio_p99": round(busy_p99 / idle_p99, 2),
        },
        "fairness": fairness(tenants, clients),
        "memory_megabytes": {
            part: {"begin": series[0], "median": statistics.median(series), "most": max(series), "end": series[-1]}
            for part, series in memory.items()
        },
        "memory_megabytes_over_time": memory,
    }


def prepared(server: Server, folder: Path) -> list[Tenant]:
    """Tenants with tokens, keys that are ready and records that are encrypted, and the model."""
    write_bundle(folder / "bundle", TOY_NETWORK, TOY_SCHEMA)
    server.publish(folder / "bundle").check_returncode()
    with closing(Services.open(Settings(data_dir=server.data_dir))) as services:
        tokens = {}
        for name in TENANTS:
            services.tenants.create(name)
            tokens[name] = services.tokens.create(name, [Scope.PREDICT], name)[1]
    keysets = [ClientKeys(*generate_keys()) for _ in range(3)]
    made = []
    for index, name in enumerate(TENANTS):
        keys = keysets[index % len(keysets)]
        bits = [TOY_SCHEMA.encode([record]) for record in random_records(TOY_SCHEMA, FRAMES, index)]
        frames = [keys.secret.encrypt_records(each, TOY_SCHEMA) for each in bits]
        with Client(server.url, token=tokens[name], timeout=120) as client:
            client.upload_keys(keys.frame)
            client.wait_for_keys(keys.digest)
        made.append(Tenant(name, tokens[name], keys, bits, frames))
    return made


def one_prediction(server: Server, tenant: Tenant) -> str:
    """The id of a prediction that has finished."""
    with server.http() as http:
        params = {"model": "toy"}
        job = http.post("/v1/predictions", params=params, content=tenant.frames[0], headers=tenant.headers).json()["id"]
        headers = {**tenant.headers, "Prefer": "wait=25"}
        while http.get(f"/v1/predictions/{job}", headers=headers).json()["state"] != "succeeded":
            pass
    return str(job)


async def load(server: Server, tenants: Sequence[Tenant], seconds: float) -> tuple[list[Done], dict[str, list[float]]]:
    """All clients at once, and the memory of the server's processes meanwhile."""
    until = time.monotonic() + seconds
    done = [Done(tenant) for tenant in tenants for _ in range(TENANTS[tenant.name])]
    memory: dict[str, list[float]] = {part: [] for part in (API, WORKER, CHILD)}
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=2)
    async with httpx.AsyncClient(base_url=server.url, timeout=120, limits=limits) as http:
        watching = asyncio.create_task(watch_memory(server, memory))
        await asyncio.gather(*(client(http, each, number, until) for number, each in enumerate(done)))
        watching.cancel()
    return done, memory


async def client(http: httpx.AsyncClient, done: Done, number: int, until: float) -> None:
    """Ask, wait, fetch, and again; what is not there when the time is over is not counted."""
    turn = number
    while time.monotonic() < until:
        which, asked = turn % FRAMES, time.monotonic()
        headers = done.tenant.headers
        answer = await http.post(
            "/v1/predictions", params={"model": "toy"}, content=done.tenant.frames[which], headers=headers
        )
        path = f"/v1/predictions/{answer.raise_for_status().json()['id']}"
        follow = follow_events if number % 5 == 0 else follow_polls
        if not await follow(http, path, headers, until):
            return
        result = (await http.get(f"{path}/result", headers=headers)).raise_for_status().content
        done.answers.append((asked, time.monotonic(), which, result))
        turn += 1


async def follow_polls(http: httpx.AsyncClient, path: str, headers: dict[str, str], until: float) -> bool:
    while (left := until - time.monotonic()) > 0:
        prefer = {**headers, "Prefer": f"wait={max(1, min(25, int(left)))}"}
        state = (await http.get(path, headers=prefer)).raise_for_status().json()["state"]
        if state == "succeeded":
            return True
    return False


async def follow_events(http: httpx.AsyncClient, path: str, headers: dict[str, str], until: float) -> bool:
    async with http.stream("GET", f"{path}/events", headers=headers) as events:
        async for line in events.aiter_lines():
            if line == "event: succeeded":
                return True
            if time.monotonic() > until:
                return False
    return False


async def watch_memory(server: Server, memory: dict[str, list[float]]) -> None:
    assert server.process is not None
    while True:
        for part, held in held_by(server.process.pid).items():
            memory[part].append(held.megabytes)
        await asyncio.sleep(MEMORY_SECONDS)


class Probe:
    """A process that asks for a status at a steady pace, and how long each answer took, in seconds."""

    def __init__(self, url: str, prediction: str, headers: dict[str, str]) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=probe, args=(theirs, url, prediction, headers), daemon=True)

    def __enter__(self) -> Probe:
        self._process.start()
        self.taken()  # once it has begun
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()

    def taken(self) -> list[float]:
        """Since this was asked last."""
        self._pipe.send(None)
        seconds: list[float] = self._pipe.recv()
        return seconds


def probe(pipe: Connection, url: str, prediction: str, headers: dict[str, str]) -> None:
    asyncio.run(probe_steadily(pipe, url, prediction, headers))


async def probe_steadily(pipe: Connection, url: str, prediction: str, headers: dict[str, str]) -> None:
    """Ask at fixed times, whether the answers before are there or not: a server that stalls is not asked less."""
    taken: list[float] = []
    asking: set[asyncio.Task[None]] = set()

    async def ask() -> None:
        begin = time.perf_counter()
        (await http.get(f"/v1/predictions/{prediction}")).raise_for_status()
        taken.append(time.perf_counter() - begin)

    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=2)
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=120, limits=limits) as http:
        due = time.monotonic()
        while True:
            task = asyncio.create_task(ask())
            asking.add(task)
            task.add_done_callback(asking.discard)
            due += PROBE_SECONDS
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if pipe.poll():
                pipe.recv()
                await asyncio.gather(*asking)
                pipe.send(taken.copy())
                taken.clear()
                due = time.monotonic()


def right(done: Done) -> bool:
    """Whether all results of a client are those of the plain network."""
    tenant = done.tenant
    return all(
        np.array_equal(tenant.keys.secret.decrypt_result(result)[0], TOY_NETWORK.evaluate(tenant.bits[which]))
        for _, _, which, result in done.answers
    )


def fairness(tenants: Sequence[Tenant], clients: Sequence[Done]) -> dict[str, Any]:
    """Predictions and turnaround by tenant; Jain's index is 1 where all have the same, 1/n where one has everything."""
    by_tenant: dict[str, Any] = {}
    for tenant in tenants:
        own = [done for done in clients if done.tenant is tenant]
        counts = [len(done.answers) for done in own]
        seconds = [second for done in own for second in done.seconds]
        by_tenant[tenant.name] = {
            "clients": len(own),
            "predictions": sum(counts),
            "predictions_a_client": spread(counts),
            "jain_among_clients": jain(counts),
            "seconds_to_a_result": spread(seconds),
        }
    return {
        "jain_among_tenants": jain([each["predictions"] for each in by_tenant.values()]),
        "tenants": by_tenant,
    }


def jain(values: Sequence[float]) -> float:
    squares = sum(value * value for value in values)
    return round(sum(values) ** 2 / (len(values) * squares), 4) if squares else 0.0


def spread(values: Sequence[float]) -> dict[str, float]:
    if not values:
        return {}
    return {
        "least": round(min(values), 2),
        "median": round(statistics.median(values), 2),
        "most": round(max(values), 2),
    }


def percentile(seconds: Sequence[float], percent: int) -> float:
    return statistics.quantiles(seconds, n=100)[percent - 1]


def milliseconds(seconds: Sequence[float]) -> dict[str, float]:
    found = {f"p{percent}": round(1000 * percentile(seconds, percent), 2) for percent in (50, 90, 99)}
    return {"calls": len(seconds), **found, "most": round(1000 * max(seconds), 2)}


if __name__ == "__main__":
    main()

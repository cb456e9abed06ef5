"""An hour of a steady, small load: does anything grow? ``make bench-soak``. Ends with one line of JSON.

A real server, three clients with keys of their own, one prediction of a tiny network every ``--every`` seconds, all
decrypted and compared with the plain network. Now and then somebody sends nonsense, breaks an upload off, and asks with
keys that have to be loaded for it. Half of the predictions are erased by their clients, the rest by retention, whose
times are set to minutes here, so that what is kept stays as much.

Every 30 seconds: memory, descriptors and threads of the API, worker and evaluation child; files, bytes and rows. Each
is judged by its slope (Theil and Sen's, which a few outliers do not move) after the first fifth of the run, as growth
over the judged time, against what is allowed of it. The log is no part of it.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import socket
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from processes import data_megabytes, file_count, held_by, row_counts
from sqlalchemy import create_engine
from tests.conftest import TOY_NETWORK, TOY_SCHEMA, ClientKeys, Server, random_records, upload_keys, write_bundle

from epaas_client import Client
from epaas_client.crypto import generate_keys
from epaas_models.machine import machine

RESULT = Path(__file__).parents[1] / "docs" / "benchmarks" / "soak.json"
SAMPLE_SECONDS = 30.0
SWEEP_SECONDS = 120.0
KEEP_DAYS = 3 / 1440
SETTINGS = {
    "workers": "1",
    "threads": "1",
    "keyset_cache_bytes": "700_000_000",  # two keysets and no third
    "memory_bytes": "4_000_000_000",
    "keep_finished_days": f"{KEEP_DAYS:.6f}",
    "keep_audit_days": f"{KEEP_DAYS:.6f}",
}
ALLOWED = {"megabytes": 0.03, "descriptors": 0.0, "threads": 0.0, "files": 0.05, "rows": 0.05}
"""Growth over the judged time, as a share of the level; and always ``LEAST_ALLOWED``."""
LEAST_ALLOWED = {"megabytes": 8.0, "descriptors": 1.0, "threads": 1.0, "files": 5.0, "rows": 10.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--every", type=float, default=2.0, help="seconds from one prediction to the next")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, default=RESULT)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="epaas-soak-") as name:
        folder = Path(name)
        server = Server(folder / "server", SETTINGS).start()
        try:
            write_bundle(folder / "bundle", TOY_NETWORK, TOY_SCHEMA)
            server.publish(folder / "bundle").check_returncode()
            result = soak(server, arguments.minutes * 60, arguments.every, random.Random(arguments.seed))
        finally:
            server.stop()
    document = {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "seed": arguments.seed,
        "every_seconds": arguments.every,
        **result,
    }
    arguments.output.write_text(json.dumps(document, indent=1) + "\n")
    print(json.dumps({key: value for key, value in document.items() if key != "samples"}))
    raise SystemExit(0 if document["flat"] and document["wrong"] == 0 else 1)


def soak(server: Server, seconds: float, every: float, chance: random.Random) -> dict[str, Any]:
    """Keep the load up for so long; what was seen, and what it says."""
    keys = [ClientKeys(*generate_keys()) for _ in range(3)]
    for each in keys:
        upload_keys(server, each)
    database = create_engine(f"sqlite:///{server.data_dir / 'epaas.db'}")
    asked = wrong = late = 0
    samples: list[dict[str, float]] = []
    begin = time.monotonic()
    due_sample = due_sweep = begin
    with Client(server.url, timeout=120) as client:
        for number, owner in zip(itertools.count(), turns(keys)):
            now = time.monotonic()
            if now - begin >= seconds:
                break
            if now >= due_sweep:
                server.command("sweep").check_returncode()
                due_sweep += SWEEP_SECONDS
            if now >= due_sample:
                samples.append({"at": round(now - begin, 1), **sample(server, database)})
                due_sample += SAMPLE_SECONDS
            wrong += not predict(client, owner, number, erase=number % 2 == 0)
            asked += 1
            late += time.monotonic() - now > every
            if chance.random() < 0.05:
                nonsense(server, keys[0], chance)
            time.sleep(max(0.0, now + every - time.monotonic()))
    database.dispose()
    series = {name: verdict(name, samples) for name in samples[0] if name != "at"}
    return {
        "seconds": round(time.monotonic() - begin),
        "predictions": asked,
        "wrong": wrong,
        "late": late,
        "flat": all(each["flat"] for each in series.values()),
        "growing": [name for name, each in series.items() if not each["flat"]],
        "series": series,
        "samples": samples,
    }


def turns(keys: list[ClientKeys]) -> Iterator[ClientKeys]:
    """Two clients take turns; one prediction in 30 is the third's, whose keys have to be loaded for it."""
    for number in itertools.count():
        yield keys[2] if number % 30 == 29 else keys[number % 2]


def predict(client: Client, owner: ClientKeys, number: int, *, erase: bool) -> bool:
    """Ask, wait, fetch and decrypt; whether it was right."""
    records = random_records(TOY_SCHEMA, 1, number)
    job = client.submit("toy", records, owner.secret)
    job.wait()
    values, _ = owner.secret.decrypt_result(job.fetch())
    if erase:
        job.delete()
    return bool(np.array_equal(values, TOY_NETWORK.evaluate(TOY_SCHEMA.encode(records))))


def nonsense(server: Server, keys: ClientKeys, chance: random.Random) -> None:
    """What else comes in: a body that is none, questions for what is not there and how it goes, a broken upload."""
    with server.http() as http:
        http.get("/metrics")
        http.post("/v1/predictions", params={"model": "toy"}, content=chance.randbytes(100))
        http.get(f"/v1/predictions/{chance.randbytes(16).hex()}")
    host, _, port = server.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as connection:
        head = (
            f"PUT /v1/evaluation-keys/{'0' * 64} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(keys.frame)}\r\n\r\n"
        )
        connection.sendall(head.encode() + keys.frame[: chance.randrange(1, 2_000_000)])


def sample(server: Server, database: Any) -> dict[str, float]:
    assert server.process is not None
    found: dict[str, float] = {}
    for part, held in held_by(server.process.pid).items():
        values = asdict(held)
        found |= {f"{part} {name}": values[name] for name in ("megabytes", "descriptors", "threads")}
    found["files"] = file_count(server.data_dir)
    found["disk megabytes"] = data_megabytes(server.data_dir)
    found["rows"] = sum(row_counts(database).values())
    return found


def verdict(name: str, samples: list[dict[str, float]]) -> dict[str, Any]:
    """Level, growth over the judged time, and whether that is no more than allowed."""
    judged = samples[len(samples) // 5 :]
    times, values = [each["at"] for each in judged], [each[name] for each in judged]
    slopes = [
        (later - earlier) / (times[j] - times[i])
        for (i, earlier), (j, later) in itertools.combinations(enumerate(values), 2)
    ]
    kind = name.rpartition(" ")[2]
    level = median(values)
    growth = median(slopes) * (times[-1] - times[0]) if slopes else 0.0
    allowed = max(LEAST_ALLOWED[kind], ALLOWED[kind] * level)
    return {
        "least": min(values),
        "median": level,
        "most": max(values),
        "growth": round(growth, 2),
        "allowed": round(allowed, 2),
        "flat": growth <= allowed,
    }


if __name__ == "__main__":
    main()

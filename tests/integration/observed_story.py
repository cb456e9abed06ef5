"""A tenant's keys and predictions on a traced server, told from beginning to end, and all that was seen of them."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx

from epaas_shared.protocol import RECORD_MEDIA_TYPE
from tests.collector import CollectedSpan, Collector
from tests.conftest import START_SECONDS, ClientKeys, Server, random_network, random_records, toy_schema
from tests.integration.processes import wait_until

SCHEMA = toy_schema(6)
NETWORK = random_network(SCHEMA.bits, (4, 1), seed=70)
TRACE = "0af7651916cd43dd8448eb211c80319c"
CLIENT_SPAN = "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{CLIENT_SPAN}-01"
KEYS_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SECRET_QUERY = "query-that-somebody-thought-private"


@dataclass
class Story:
    """What there was, and what was seen."""

    server: Server
    collector: Collector
    token: str
    wrong_token: str
    record: bytes
    result: bytes
    job: str
    other_job: str
    """Asked for by a client that traces nothing."""
    metrics: str
    """A scrape when all was done."""
    log: list[dict[str, Any]]
    """Until then."""

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def scrape(self) -> str:
        return httpx.get(f"{self.server.url}/metrics", timeout=60).text

    def span(self, name: str, trace: str = TRACE) -> CollectedSpan:
        (found,) = [span for span in self.collector.of_trace(trace) if span.name == name]
        return found


def tell(server: Server, collector: Collector, token: str, keys: ClientKeys) -> Story:
    record = keys.secret.encrypt_records(SCHEMA.encode(random_records(SCHEMA, 1, seed=71)), SCHEMA)
    other_record = keys.secret.encrypt_records(SCHEMA.encode(random_records(SCHEMA, 1, seed=72)), SCHEMA)
    wrong_token = f"{token[:-4]}0000"
    with httpx.Client(base_url=server.url, timeout=60, headers={"Authorization": f"Bearer {token}"}) as http:
        uploaded = http.put(
            f"/v1/evaluation-keys/{keys.digest}",
            content=keys.frame,
            headers={"traceparent": f"00-{KEYS_TRACE}-{CLIENT_SPAN}-01"},
        )
        assert uploaded.status_code == 201
        jobs = []
        for body, headers in ((record, {"traceparent": TRACEPARENT, "X-Request-ID": "ward-7.1"}), (other_record, {})):
            asked = http.post(
                "/v1/predictions",
                params={"model": "toy", "note": SECRET_QUERY},
                content=body,
                headers={"Content-Type": RECORD_MEDIA_TYPE, **headers},
            )
            assert asked.status_code == 202, asked.text
            assert asked.headers["X-Request-ID"] == headers.get("X-Request-ID", asked.headers["X-Request-ID"])
            jobs.append(asked.json()["id"])
        results = [_result(http, job) for job in jobs]
        refused = http.get(f"/v1/predictions/{jobs[0]}", headers={"Authorization": f"Bearer {wrong_token}"})
        assert refused.status_code == 401
        assert http.get(f"/v1/nothing/{token}").status_code == 404
        assert http.put(f"/v1/evaluation-keys/{'0' * 64}", content=keys.frame).status_code == 422
    collector.wait_for(lambda spans: [span.name for span in spans].count("claim") == 3)
    collector.wait_for(lambda spans: [span.name for span in spans].count("result fetched") == 2)
    scrape = partial(httpx.get, f"{server.url}/metrics", timeout=60)
    wait_until(lambda: samples(scrape().text)["epaas_bootstraps_total"] >= 2 * bootstraps_a_record(server))
    wait_until(lambda: 'epaas_blob_bytes{folder="keys"}' in samples(scrape().text))
    log = [json.loads(line) for line in server.log_file.read_text().splitlines()]
    return Story(server, collector, token, wrong_token, record, results[0], *jobs, scrape().text, log)


def _result(http: httpx.Client, job: str) -> bytes:
    deadline = time.monotonic() + START_SECONDS
    while True:
        prediction = http.get(f"/v1/predictions/{job}", headers={"Prefer": "wait=20"}).json()
        if prediction["state"] == "succeeded":
            return http.get(f"/v1/predictions/{job}/result").content
        assert prediction["state"] in ("queued", "running")
        assert time.monotonic() < deadline


def bootstraps_a_record(server: Server) -> int:
    found: int = httpx.get(f"{server.url}/v1/models/toy", timeout=60).json()["cost"]["bootstraps"]
    return found


def samples(text: str) -> dict[str, float]:
    """Values by the lines of the text format that they are in."""
    lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}

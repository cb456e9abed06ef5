"""Thousands of attacks on one server, by a seed: what was answered, and what it cost the server.

It must answer each with what is wrong, as a problem document; go on living; keep no file; and not grow.
"""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import httpx
import psutil

from epaas_server.api.app import create_app
from epaas_server.settings import Settings
from epaas_shared.frame import EvaluationKeysHeader, RecordHeader
from epaas_shared.protocol import PROBLEM_MEDIA_TYPE
from tests.hostile.attack import REPLY_SECONDS, Attack, Reply, Target
from tests.hostile.described import described_attacks
from tests.hostile.hostile_bundles import bundle_attacks, read_bundle
from tests.hostile.hostile_connections import broken_off, no_http, odd_http
from tests.hostile.hostile_frames import key_attacks, record_attacks
from tests.hostile.hostile_values import json_attacks, path_attacks, query_attacks

HONEST = {503: "unavailable", 507: "storage-full"}
"""What a server may say of itself, by status: the code of its problem document."""
_SHARE_DESCRIBED = 0.4
_STRANGERS = 0.1
"""The share of attacks that come without a valid token."""
_HANGING = 40
"""Connections that are left open with half a request on each."""
_EVERY = 25
"""After so many attacks the server must answer that it lives."""


@dataclass(frozen=True)
class Ammunition:
    """What is damaged: a good record, good evaluation keys, a good bundle."""

    record: bytes
    keys: bytes
    bundle: Path


@dataclass(frozen=True)
class Size:
    """What a server takes at a moment."""

    resident_bytes: int
    descriptors: int
    threads: int
    files: int

    @classmethod
    def of(cls, pid: int, data_dir: Path) -> Size:
        process = psutil.Process(pid)
        unfinished = [*(data_dir / "blobs" / "incoming").glob("*"), *data_dir.glob(".upload-*")]
        kept = [
            path for folder in ("keys", "jobs") for path in (data_dir / "blobs" / folder).rglob("*") if path.is_file()
        ]
        with process.oneshot():
            return cls(process.memory_info().rss, process.num_fds(), process.num_threads(), len(unfinished) + len(kept))


@dataclass
class Findings:
    """What became of the attacks. All but ``answers`` should stay empty."""

    answers: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    server_errors: list[str] = field(default_factory=list)
    undescribed_errors: list[str] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)
    temporary: Counter[str] = field(default_factory=Counter)
    """Honest refusals for the time being."""

    def judge(self, attack: Attack, reply: Reply) -> None:
        kind, status = attack.kind, reply.status
        group = kind.partition(" GET /")[0].partition(" P")[0].partition(" DELETE /")[0].partition(" HEAD /")[0]
        self.answers[group][str(status)] += 1
        told = f"{kind}: {status} {reply.content_type} {reply.body[:300]!r}"
        if status is None:
            if attack.is_http:
                self.unanswered.append(told)
            return
        if status < 400:
            return
        described = reply.content_type == PROBLEM_MEDIA_TYPE
        if status >= 500:
            code = json.loads(reply.body or b"{}").get("code") if described else None
            if HONEST.get(status) == code or (status == 503 and "/readyz" in kind):
                self.temporary[str(code)] += 1
            else:
                self.server_errors.append(told)
        elif not described and attack.is_http:
            self.undescribed_errors.append(told)


@dataclass
class Barrage:
    """``pid`` is the process of the HTTP interface."""

    url: str
    token: str
    pid: int
    data_dir: Path
    ammunition: Ammunition
    seed: int
    findings: Findings = field(default_factory=Findings)

    def run(self, count: int) -> dict[str, Any]:
        """Send ``count`` attacks, a few more for the described ones that there are; the report."""
        begun = time.monotonic()
        random = Random(self.seed)
        sizes: list[Size] = []
        sent = 0
        with ExitStack() as open_until_the_end:
            token = {"Authorization": f"Bearer {self.token}"}
            known = Target(self.url, self.token, open_until_the_end.enter_context(self._client(token)))
            stranger = Target(self.url, "epaas_0_0", open_until_the_end.enter_context(self._client({})))
            for sent, attack in enumerate(self._attacks(random, count), start=1):
                target = stranger if random.random() < _STRANGERS else known
                reply = attack.send(target)
                self.findings.judge(attack, reply)
                self._take_back(known, reply)
                if sent % _EVERY == 0:
                    assert psutil.Process(self.pid).status() != psutil.STATUS_ZOMBIE
                    assert known.http.get("/healthz").status_code == 200
                    if sent // _EVERY <= _HANGING:
                        hanging = open_until_the_end.enter_context(known.connect())
                        hanging.sendall(random.choice((b"GET / HT", b"PUT /v1/evaluation-keys/" + b"0" * 64)))
                if sent % max(_EVERY, count // 20) == 0:
                    sizes.append(Size.of(self.pid, self.data_dir))
        return self._report(sent, sizes, time.monotonic() - begun)

    def _client(self, headers: dict[str, str]) -> httpx.Client:
        # a connection each: one that the server is about to close would look like one that it broke off
        limits = httpx.Limits(max_keepalive_connections=0)
        return httpx.Client(base_url=self.url, headers=headers, timeout=REPLY_SECONDS, limits=limits)

    def _attacks(self, random: Random, count: int) -> Iterator[Attack]:
        document = create_app(Settings()).openapi()
        operations = sum(len(methods) for methods in document["paths"].values())
        of_each = max(1, round(_SHARE_DESCRIBED * count / operations / 2))
        described = list(described_attacks(document, random, of_each))
        corpora = (
            record_attacks(self.ammunition.record, RecordHeader, random),
            key_attacks(self.ammunition.keys, EvaluationKeysHeader, random),
            bundle_attacks(read_bundle(self.ammunition.bundle), random),
            no_http(random),
            broken_off(random),
            odd_http(random),
            path_attacks(random),
            query_attacks(random),
            json_attacks(random),
        )
        attacks = [*described, *(next(random.choice(corpora)) for _ in range(max(0, count - len(described))))]
        random.shuffle(attacks)
        yield from attacks

    def _take_back(self, target: Target, reply: Reply) -> None:
        """What was no attack after all: a prediction on a record that any bytes can be."""
        if reply.status == 202 and reply.location:
            target.http.delete(reply.location).raise_for_status()

    def _report(self, sent: int, sizes: list[Size], seconds: float) -> dict[str, Any]:
        warm, last = sizes[min(2, len(sizes) - 1)], Size.of(self.pid, self.data_dir)
        found = self.findings
        return {
            "seed": self.seed,
            "requests": sent,
            "seconds": round(seconds, 1),
            "answers": {kind: dict(sorted(counts.items())) for kind, counts in sorted(found.answers.items())},
            "server_errors": found.server_errors,
            "errors_without_a_problem_document": found.undescribed_errors,
            "requests_without_an_answer": found.unanswered,
            "refused_for_the_time_being": dict(found.temporary),
            "resident_megabytes": {
                "after_a_tenth": round(warm.resident_bytes / 1e6, 1),
                "most": round(max(size.resident_bytes for size in sizes) / 1e6, 1),
                "at_the_end": round(last.resident_bytes / 1e6, 1),
            },
            "descriptors": {"after_a_tenth": warm.descriptors, "at_the_end": last.descriptors},
            "threads": {"after_a_tenth": warm.threads, "at_the_end": last.threads},
            "files": {"after_a_tenth": warm.files, "at_the_end": last.files},
        }

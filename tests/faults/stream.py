"""Who uses the service while it is killed: customers who ask, follow and fetch, and a publisher of new versions.

A customer asks under an idempotency key and repeats itself whatever happens, now and then to both instances at once or
once more after it has its answer. What it decrypts is compared with the plain network of the version that answered.
"""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from epaas_shared.bundle_archive import packed
from epaas_shared.network import Network
from epaas_shared.protocol import IDEMPOTENCY_HEADER
from tests.conftest import TOY_SCHEMA, ClientKeys, random_network, random_records, write_bundle
from tests.faults.front import Front

MODELS = ("alpha", "beta")
_WIDTHS = ((5, 1), (4, 3, 1))
_TO_BOTH, _ONCE_MORE = 0.15, 0.2


@dataclass(frozen=True)
class Owner:
    """A tenant and the keys of one of its clients."""

    tenant: str
    token: str
    keys: ClientKeys

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


@dataclass
class Asked:
    """A prediction from its first request on."""

    key: str
    owner: Owner
    ids: set[str] = field(default_factory=set)
    """That the service gave it: one, if nothing is doubled."""
    digests: set[str] = field(default_factory=set)
    """Of the versions that it was said to be by."""
    results: set[str] = field(default_factory=set)
    """SHA-256 of all results fetched."""
    state: str = "asked"
    right: bool | None = None
    attempts: int = 0
    asked_at: float = field(default_factory=time.monotonic)
    seconds: float = 0.0
    """From the first request to the first result in the client's hands."""

    @property
    def path(self) -> str:
        return f"/v1/predictions/{next(iter(self.ids))}"


class Library:
    """The plain networks of all versions, known before they are published."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._networks: dict[str, Network] = {}

    def __getitem__(self, digest: str) -> Network:
        return self._networks[digest]

    def make(self, model: str, seed: int) -> tuple[str, bytes]:
        """A new version: its digest and its archive."""
        network = random_network(TOY_SCHEMA.bits, _WIDTHS[seed % len(_WIDTHS)], seed)
        folder = self._folder / f"{model}-{seed}"
        digest = write_bundle(folder, network, TOY_SCHEMA, name=model)
        self._networks[digest] = network
        return digest, packed(folder)


class Stream:
    """All customers and the publisher, each a thread with a random generator of its own seed."""

    def __init__(
        self, front: Front, owners: list[Owner], publisher: Owner, library: Library, seed: int, customers: int
    ) -> None:
        self.asked: list[Asked] = []
        self.published: dict[str, list[str]] = {model: [] for model in MODELS}
        """Digests that the service has acknowledged, by model."""
        self.failures: list[str] = []
        self.successes: list[float] = []
        """When results were in their clients' hands."""
        self._front = front
        self._owners = owners
        self._publisher = publisher
        self._library = library
        self._seed = seed
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._crypto = threading.Lock()
        jobs: list[Callable[[random.Random], None]] = [self._custom] * customers
        self._threads = [
            threading.Thread(target=self._guarded, args=(job, random.Random(f"{seed} {index}")), daemon=True)
            for index, job in enumerate([*jobs, self._publish])
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def finish(self) -> None:
        """Ask for no more, and wait until everybody has what was asked for."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def publish(self, model: str, chance: random.Random) -> None:
        """A new version of a model, the stable one at once."""
        with self._lock:
            seed = 1000 * self._seed + sum(map(len, self.published.values()))
        digest, archive = self._library.make(model, seed)
        answer = self._front.send(
            chance,
            "POST",
            f"/v1/models/{model}/versions",
            params={"alias": "stable"},
            content=archive,
            headers=self._publisher.headers,
        )
        if answer.status_code not in (200, 201) or answer.json()["digest"] != digest:
            raise AssertionError(f"not published: {answer.text[:300]}")
        with self._lock:
            self.published[model].append(digest)

    def _guarded(self, job: Callable[[random.Random], None], chance: random.Random) -> None:
        while not self._over.is_set():
            try:
                job(chance)
            except Exception as error:  # whatever goes wrong is a finding
                with self._lock:
                    self.failures.append(f"{type(error).__name__}: {error}"[:500])

    def _publish(self, chance: random.Random) -> None:
        if self._over.wait(chance.uniform(4, 16)):
            return
        model = chance.choice(MODELS)
        if chance.random() < 0.4:
            self.publish(model, chance)
            return
        versions = self._front.send(chance, "GET", f"/v1/models/{model}/versions").json()["versions"]
        body = {"version": chance.choice(versions)["version"]}
        path = f"/v1/models/{model}/aliases/stable"
        self._front.send(chance, "PUT", path, json=body, headers=self._publisher.headers).raise_for_status()

    def _custom(self, chance: random.Random) -> None:
        owner = chance.choice(self._owners)
        bits = TOY_SCHEMA.encode(random_records(TOY_SCHEMA, chance.randint(1, 3), chance.randrange(1 << 30)))
        with self._crypto:
            frame = owner.keys.secret.encrypt_records(bits, TOY_SCHEMA)
        asked = Asked(chance.randbytes(8).hex(), owner)
        with self._lock:
            self.asked.append(asked)
        self._ask(asked, chance.choice(MODELS), frame, chance)
        self._follow(asked, chance)
        if asked.state != "succeeded":
            raise AssertionError(f"a prediction has {asked.state}")
        for _ in range(2):
            result = self.fetch(asked, chance)
        asked.seconds = time.monotonic() - asked.asked_at
        with self._crypto:
            values, header = owner.keys.secret.decrypt_result(result)
        plain = self._library[header.model].evaluate(bits)
        asked.right = asked.digests == {header.model} and bool(np.array_equal(values, plain))
        with self._lock:
            self.successes.append(time.monotonic())

    def _ask(self, asked: Asked, model: str, frame: bytes, chance: random.Random) -> None:
        options = {
            "params": {"model": model},
            "content": frame,
            "headers": {**asked.owner.headers, IDEMPOTENCY_HEADER: asked.key},
        }
        if chance.random() < _TO_BOTH:
            with ThreadPoolExecutor(len(self._front.urls)) as pool:
                path = "/v1/predictions"
                sent = [pool.submit(self._front.try_once, url, "POST", path, **options) for url in self._front.urls]
            for answer in (each.result() for each in sent):
                if answer is not None and answer.status_code == 202:
                    self._note(asked, answer.json())
        for _ in range(1 + (chance.random() < _ONCE_MORE)):
            answer = self._front.send(chance, "POST", "/v1/predictions", **options)
            if answer.status_code != 202:
                raise AssertionError(f"refused: {answer.text[:300]}")
            self._note(asked, answer.json())

    def _note(self, asked: Asked, prediction: dict[str, str]) -> None:
        asked.ids.add(prediction["id"])
        asked.digests.add(prediction["model_digest"])

    def _follow(self, asked: Asked, chance: random.Random) -> None:
        while asked.state not in ("succeeded", "failed", "cancelled"):
            headers = {**asked.owner.headers, "Prefer": "wait=5"}
            answer = self._front.send(chance, "GET", asked.path, headers=headers)
            if answer.status_code != 200:
                raise AssertionError(f"a prediction is gone: {answer.text[:300]}")
            prediction = answer.json()
            self._note(asked, prediction)
            asked.state, asked.attempts = prediction["state"], prediction["attempts"]

    def fetch(self, asked: Asked, chance: random.Random) -> bytes:
        """The result, noted by its digest."""
        answer = self._front.send(chance, "GET", f"{asked.path}/result", headers=asked.owner.headers)
        if answer.status_code != 200:
            raise AssertionError(f"no result: {answer.text[:300]}")
        asked.results.add(hashlib.sha256(answer.content).hexdigest())
        return answer.content

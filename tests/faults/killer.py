"""``kill -9`` at random moments, by a seed: what is killed in which order, and how long after the last one."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum

import psutil

from tests.faults.supervised import Instance, Service

_LOOK_SECONDS = 0.25
_TARGET_SECONDS = 300.0


class Kind(StrEnum):
    CHILD = "evaluation child"
    WORKER = "worker"
    API = "API"
    INSTANCE = "API, worker and child at once"
    POSTGRESQL = "PostgreSQL"
    RAY_NODE = "Ray node"


@dataclass(frozen=True)
class Kill:
    kind: Kind
    pause: float
    """Seconds after the kill before."""


def planned(seed: int, kills: int, kinds: Sequence[Kind], gap: float) -> list[Kill]:
    """As many of each kind as of the others, but for one, in random order and at random distances around ``gap``."""
    chance = random.Random(f"{seed} kills")
    order = [kinds[index % len(kinds)] for index in range(kills)]
    chance.shuffle(order)
    return [Kill(kind, chance.uniform(0.0, 2 * gap)) for kind in order]


@dataclass
class Killer:
    """Kills as planned; ``others`` kill what is not a process of the service, such as PostgreSQL."""

    service: Service
    seed: int
    others: dict[Kind, Callable[[random.Random], None]]
    done: list[tuple[float, Kind]] = field(default_factory=list)
    _choice: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._choice = random.Random(f"{self.seed} targets")

    def run(self, kills: Sequence[Kill]) -> None:
        for kill in kills:
            time.sleep(kill.pause)
            if kill.kind in self.others:
                self.done.append((time.monotonic(), kill.kind))
                self.others[kill.kind](self._choice)
            else:
                self._kill(kill.kind)

    def _kill(self, kind: Kind) -> None:
        """One of the processes of this kind that live; if there is none, the next that does."""
        deadline = time.monotonic() + _TARGET_SECONDS
        while time.monotonic() < deadline:
            targets = [found for each in self.service.instances if (found := _targets(each, kind))]
            if targets:
                self.done.append((time.monotonic(), kind))
                for process in self._choice.choice(targets):
                    with suppress(psutil.NoSuchProcess):
                        process.kill()
                return
            time.sleep(0.05)
        raise RuntimeError(f"there is no {kind} to kill")


def _targets(instance: Instance, kind: Kind) -> list[psutil.Process]:
    parts = {
        Kind.CHILD: instance.evaluation_children,
        Kind.WORKER: instance.workers,
        Kind.API: instance.processes,
    }
    if kind is Kind.INSTANCE:
        everything = [process for part in parts.values() for process in part()]
        return everything if len(everything) == len(parts) else []
    return parts[kind]()


@dataclass
class Watcher:
    """Looks all the time whether the service is whole: both instances ready, each with a worker and its child."""

    service: Service
    whole_at: list[float] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()

    def recoveries(self, kills: Sequence[tuple[float, Kind]]) -> list[float]:
        """Seconds from each kill until the service was whole for the first time after it; later kills included."""
        found = [next((at - kill for at in self.whole_at if at > kill), None) for kill, _ in kills]
        return [seconds for seconds in found if seconds is not None]

    def _watch(self) -> None:
        while not self._over.wait(_LOOK_SECONDS):
            before = [each.evaluation_children() for each in self.service.instances]
            if all(before) and all(self.service.answers(each) for each in self.service.instances):
                after = [each.evaluation_children() for each in self.service.instances]
                if after == before:
                    self.whole_at.append(time.monotonic())

"""What runs on a machine of a cluster: a Ray actor with circuits and keysets. Its process may crash in native code.

It takes its folder of compiled circuits from its own machine's settings, and the rest from who started it.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import ray
from numpy.typing import NDArray

from epaas_server.circuits.library import ensure_library
from epaas_server.engine.batches import Bootstrapper
from epaas_server.engine.cluster.work import Checked, Evaluate, Made, Reference, SentKeys, Share
from epaas_server.engine.keys import StoredKeys
from epaas_server.engine.limits import MachineLimits, limit_data
from epaas_server.engine.machine import Machine
from epaas_server.settings import Settings
from epaas_server.strategies.strategy import Run
from epaas_shared import __version__
from epaas_shared.errors import ConfigurationError
from epaas_shared.profile import default_profile
from epaas_shared.zerokey import Torus


class MachineActor:
    """One at a time of these methods runs. They raise what :class:`epaas_server.engine.engine.Engine` does."""

    def __init__(self, limits: MachineLimits) -> None:
        os.environ["OMP_NUM_THREADS"] = str(limits.threads)  # read when the runtime is loaded
        self._limits = limits
        self._frame: Reference | None = None
        self._loads = 0
        self._node: str = ray.get_runtime_context().get_node_id()

    def start(self, release: str) -> str:
        """Load the circuits, building them first where this machine has none, and say the machine's name.

        Raises :class:`ConfigurationError` where this machine has another release than ``release``.
        """
        if release != __version__:
            raise ConfigurationError(f"the machine has release {__version__}, the worker {release}")
        circuits = ensure_library(Settings().cache_dir, default_profile())
        self._machine = Machine(circuits, self._limits, self._read)
        limit_data(self._limits.memory_bytes)
        return socket.gethostname()

    def answer(self) -> None:
        """Whether this process still lives."""

    def check_keys(self, keys: SentKeys, calibrate: bool) -> Checked:
        with self._given(keys):
            return Checked(self._machine.check_keys(keys.stored, calibrate=calibrate), self._node)

    @ray.method(num_returns=2)
    def share(self, task: Share) -> tuple[Made, Torus]:
        def work(bootstrap: Bootstrapper) -> Torus:
            shared: Torus = task.method.share(_fetched(task.bits)[None], bootstrap)[0]
            return shared

        return self._made(task.keys, work)

    @ray.method(num_returns=2)
    def evaluate(self, task: Evaluate) -> tuple[Made, Torus]:
        def work(bootstrap: Bootstrapper) -> Torus:
            nothing = np.empty((0, default_profile().ciphertext_words), dtype=np.uint64)
            runs = [
                Run(run.rows.rows, _fetched(run.bits), nothing if run.shared is None else _fetched(run.shared))
                for run in task.runs
            ]
            return task.method.evaluate(runs, bootstrap)

        return self._made(task.keys, work)

    def _made(self, keys: SentKeys, work: Callable[[Bootstrapper], Torus]) -> tuple[Made, Torus]:
        begin, loads, bootstraps = time.perf_counter(), self._loads, list[int]()
        with self._given(keys):
            ciphertexts = work(self._machine.bootstrapper(keys.stored, bootstraps.append))
        seconds = time.perf_counter() - begin
        return Made(sum(bootstraps), seconds, self._node, loaded_keys=self._loads > loads), ciphertexts

    @contextmanager
    def _given(self, keys: SentKeys) -> Iterator[None]:
        """The frame is held no longer than the call, so that the object store may drop it."""
        self._frame = keys.frame
        try:
            yield
        finally:
            self._frame = None

    def _read(self, _stored: StoredKeys) -> bytes:
        assert self._frame is not None
        self._loads += 1
        return _fetched(self._frame).tobytes()


def _fetched(reference: Reference) -> NDArray[Any]:
    found: NDArray[Any] = ray.get(reference.ref)
    return found

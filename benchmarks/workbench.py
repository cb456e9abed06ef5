"""What the benchmarks have in common: keys, circuits and speed of this machine, and timed evaluations."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from epaas_client.crypto import generate_keys
from epaas_models.machine import processor
from epaas_server.circuits.definitions import Circuit
from epaas_server.circuits.library import ensure_library
from epaas_server.engine.batches import Batched
from epaas_server.engine.calibrate import measure_rates
from epaas_server.engine.levelled import expand_seeded
from epaas_server.engine.runtime import Circuits, load_keyset
from epaas_server.settings import Settings
from epaas_server.strategies import STRATEGIES, Work
from epaas_shared.features import Bits
from epaas_shared.frame import EvaluationKeysHeader, decode_frame
from epaas_shared.layers import DenseLayer, Layer
from epaas_shared.profile import default_profile
from epaas_shared.ranges import SumRange
from epaas_shared.zerokey import Torus, ZeroKey

THREADS = int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1))
"""Of circuits in this process: the runtime reads the variable when it is loaded."""

MACHINE = {"processor": processor(), "threads": THREADS}

RESULTS = Path(__file__).parents[1] / "docs" / "benchmarks"


@dataclass(frozen=True)
class Measured:
    """An evaluated layer: its output bits, the seconds in all, and those of them in circuit calls."""

    bits: Torus
    seconds: float
    in_calls: float


class Workbench:
    """Fresh keys, the compiled circuits, and the speed of this machine."""

    def __init__(self) -> None:
        self.profile = default_profile()
        self.circuits = Circuits(ensure_library(Settings().cache_dir, self.profile), self.profile)
        self.secret_keys, frame = generate_keys(self.profile)
        header, payload = decode_frame(frame, EvaluationKeysHeader)
        self.keyset = load_keyset(payload[: header.keyset_bytes])
        zero_key = ZeroKey.from_bytes(payload[header.keyset_bytes :], self.profile.lwe_dimension)
        self._in_calls = 0.0
        # the keyset is unpacked by its first use
        measure_rates(self.call, zero_key, self.profile, THREADS)
        self.rates = measure_rates(self.call, zero_key, self.profile, THREADS)

    def encrypt(self, bits: Bits) -> Torus:
        """Ciphertexts (bits, words) as a server expands them."""
        return expand_seeded(self.secret_keys.encrypt_bits(bits), self.profile)

    def decrypt(self, ciphertexts: Torus) -> Bits:
        """The messages of ciphertexts (n, words), which must be bits."""
        messages = self.secret_keys.decrypt_messages(ciphertexts.astype("<u8").tobytes())
        assert np.isin(messages, (0, 1)).all()
        bits: Bits = messages.astype(np.uint8)
        return bits

    def call(self, circuit: Circuit, sums: Torus) -> Torus:
        """One call of a compiled batch."""
        begin = time.perf_counter()
        outputs = self.circuits.bootstrap(circuit, sums, self.keyset)
        self._in_calls += time.perf_counter() - begin
        return outputs

    def evaluate(self, strategy: str, layer: Layer, sums: SumRange, bits: Torus) -> Measured:
        """A layer of one record, whose input ``bits`` have the shape (inputs, words)."""
        refusal = STRATEGIES[strategy].refusal(layer, sums, self.profile)
        assert refusal is None, refusal
        bootstrap = Batched(self.call, lambda _: None)
        self._in_calls, begin = 0.0, time.perf_counter()
        blocks = list(STRATEGIES[strategy].evaluate(layer, sums, bits[None], self.profile, bootstrap))
        return Measured(np.concatenate(blocks), time.perf_counter() - begin, self._in_calls)

    def work(self, strategy: str, layer: Layer, sums: SumRange) -> Work:
        return STRATEGIES[strategy].work(layer, sums, 1, self.profile)

    def predicted(self, work: Work) -> float:
        """Seconds by the counts and this machine's rates."""
        calls = sum(times * self.rates.call_seconds(*call) for call, times in work.calls.items())
        return calls + work.products * self.rates.product


def random_layer(random: np.random.Generator, outputs: int, inputs: int) -> DenseLayer:
    """Weights of +1 and -1, each threshold at the mean of its sums over random bits."""
    weights = random.choice(np.array([-1, 1]), (outputs, inputs))
    return DenseLayer(weights, np.rint(weights.sum(axis=1) / 2).astype(np.int64))


def random_bits(random: np.random.Generator, *shape: int) -> Bits:
    bits: Bits = random.integers(0, 2, shape, dtype=np.uint8)
    return bits


def worst_case(layer: Layer, *, fresh: bool = True) -> SumRange:
    """The range of a layer's sums over all inputs."""
    low, high = layer.sum_bounds(None)
    return SumRange(int(low.min()), int(high.max()), int(layer.squared_norms().max()), fresh, "worst-case")


def fired(layer: Layer, bits: Bits) -> Bits:
    """The layer's plain output bits for one record."""
    outputs: Bits = (layer.sums(bits[None])[0] >= 0).astype(np.uint8)
    return outputs


def median_seconds(work: Callable[[], object], repetitions: int = 5) -> float:
    """After one run that does not count."""
    work()
    return statistics.median(seconds(work) for _ in range(repetitions))


def seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def in_process_of(threads: int, script: str, *arguments: str) -> Any:
    """The last line of a script's output as JSON, from a process whose circuits and BLAS use so many threads."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads)}
    command = [sys.executable, script, *arguments]
    process = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(process.stdout.splitlines()[-1])


report: Callable[..., None] = partial(print, file=sys.stderr, flush=True)
"""Progress, beside the results on stdout."""

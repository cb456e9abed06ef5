"""How fast this machine evaluates: a few timed calls under a client's keys, two or three seconds.

Time does not depend on what is encrypted, so random ciphertexts do.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from epaas_server.circuits.definitions import MAJORITY, THRESHOLDS, Circuit
from epaas_server.cost import Rates
from epaas_server.engine.batches import Bootstrapper
from epaas_server.engine.levelled import expand_seeded, weighted_sums
from epaas_server.engine.rerandomise import rerandomise
from epaas_shared.frame import SEEDED_BYTES
from epaas_shared.profile import Profile
from epaas_shared.zerokey import ZeroKey

_THRESHOLD = THRESHOLDS[-1]
_TIMED = ((_THRESHOLD, 0), (_THRESHOLD, 2), (MAJORITY, 0), (MAJORITY, 8))
"""Circuits, and how many sums a thread has, as far as batches are compiled for so many; 0 is one sum in all."""
_ROWS, _INPUTS = 256, 256


def measure_rates(bootstrap: Bootstrapper, zero_key: ZeroKey, profile: Profile, threads: int) -> Rates:
    """``bootstrap`` takes compiled batches, under keys that have been used before."""
    random = np.random.default_rng()
    ciphertexts = random.integers(0, 2**64, (_INPUTS, profile.ciphertext_words), dtype=np.uint64)
    weights = random.integers(-1, 2, (_ROWS, _INPUTS))
    seconds, parts = [], []
    for circuit, share in _TIMED:
        batch = _batch(circuit, share * threads)
        seconds.append(_seconds(partial(bootstrap, circuit, ciphertexts[:batch])))
        rounds = -(-batch // threads)
        precise = circuit.bootstraps - circuit.extractions
        parts.append((1, rounds * precise, rounds * circuit.extractions))
    solution = np.linalg.lstsq(np.array(parts), np.array(seconds), rcond=None)[0]
    call, precise_bootstrap, extraction = np.maximum(solution, 1e-6)
    return Rates(
        threads=threads,
        call=float(call),
        precise_bootstrap=float(precise_bootstrap),
        extraction=float(extraction),
        product=_seconds(lambda: weighted_sums(weights, ciphertexts)) / weights.size,
        input=_seconds(lambda: expand_seeded(random.bytes(64 * SEEDED_BYTES), profile)) / 64,
        value=_seconds(lambda: rerandomise(ciphertexts[:4], zero_key, profile)) / 4,
        base_bytes=1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    )


def _batch(circuit: Circuit, sums: int) -> int:
    """The smallest that is compiled and takes so many sums, or the largest."""
    return min((size for size in circuit.batch_sizes if size >= sums), default=circuit.batch_sizes[0])


def _seconds(work: Callable[[], object]) -> float:
    """The faster of two runs: what else the machine does only ever adds."""
    return min(_timed(work) for _ in range(2))


def _timed(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin

"""What a call of a circuit costs before its first bootstrap, and that it is the keys.

Calls are timed for several batches; the cost of none is where the line through them begins. The runtime moves every
bootstrap key of the keyset that it is given to the Fourier domain at each call, whether the circuit uses it or not: so
gates are also timed under a keyset that holds nothing but the keys that they use.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from math import ceil
from typing import Any

import numpy as np
from concrete import compiler
from workbench import THREADS, Workbench, median_seconds, report

from epaas_server.circuits.definitions import MAJORITY, THRESHOLDS, Circuit, Kind
from epaas_server.circuits.noise import LOOK_UP
from epaas_shared.profile import Profile
from epaas_shared.zerokey import Torus

_BATCHES = (1, 4, 16, 64)


def call_line(call: Callable[[Circuit, Torus], Torus], circuit: Circuit, words: int) -> tuple[float, float]:
    """Seconds of a call with no sums, and of one round of a sum a thread; time does not depend on what is encrypted."""
    random = np.random.default_rng(0)
    timed = []
    for batch in _BATCHES:
        sums = random.integers(0, 2**64, (batch, words), dtype=np.uint64)
        timed.append(median_seconds(partial(call, circuit, sums)))
    rounds = [ceil(batch / THREADS) for batch in _BATCHES]
    slope, intercept = np.polyfit(rounds, timed, 1, w=1 / np.array(timed))
    return float(intercept), float(slope)


class FixedCosts:
    """The fixed cost of a call of each circuit, measured when first asked for."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self._lines: dict[Circuit, tuple[float, float]] = {}

    def of(self, circuit: Circuit) -> float:
        """All gates are the same circuit but for their table."""
        like = MAJORITY if circuit.kind is Kind.GATE else circuit
        if like not in self._lines:
            self._lines[like] = call_line(self._bench.call, like, self._bench.profile.ciphertext_words)
        return self._lines[like][0]

    def where(self) -> dict[str, Any]:
        """The fixed cost of a call against the megabytes of bootstrap keys in the keyset."""
        profile, words = self._bench.profile, self._bench.profile.ciphertext_words
        call = partial(self._bench.circuits.bootstrap, keyset=keyset_of(profile, LOOK_UP))
        alone, _ = call_line(call, MAJORITY, words)
        whole = self.of(MAJORITY)
        every, own = fourier_megabytes(profile), fourier_megabytes(profile, LOOK_UP)
        a_megabyte = (whole - alone) / (every - own)
        found = {
            "threads": THREADS,
            "gate_seconds": round(whole, 4),
            "threshold10_seconds": round(self.of(THRESHOLDS[-1]), 4),
            "fourier_megabytes": every,
            "gate_seconds_with_its_own_keys_alone": round(alone, 4),
            "fourier_megabytes_of_its_own_keys": own,
            "seconds_without_keys_extrapolated": round(whole - a_megabyte * every, 4),
        }
        report(json.dumps(found))
        return found


def keyset_of(profile: Profile, bootstrap_key: int) -> Any:
    """A fresh server keyset with one bootstrap key of the profile and the key switch before it."""
    bootstrap = [key for key in profile.keyset["lweBootstrapKeys"] if key["id"] == bootstrap_key]
    switch = [key for key in profile.keyset["lweKeyswitchKeys"] if key["outputId"] == bootstrap[0]["inputId"]]
    keyset = {**profile.keyset, "lweBootstrapKeys": bootstrap, "lweKeyswitchKeys": switch}
    info = compiler.ProgramInfo.deserialize(json.dumps({"keyset": keyset, "circuits": []}).encode())
    return compiler.ServerKeyset.deserialize(compiler.Keyset(info, None).get_server_keys().serialize())


def fourier_megabytes(profile: Profile, *ids: int) -> float:
    """Of bootstrap keys in the Fourier domain, all or those named: half as many complex numbers as coefficients."""
    words = 0
    for key in profile.keyset["lweBootstrapKeys"]:
        if not ids or key["id"] in ids:
            shape = key["params"]
            polynomials = shape["inputLweDimension"] * shape["levelCount"] * (shape["glweDimension"] + 1) ** 2
            words += polynomials * shape["polynomialSize"]
    return round(8 * words / 1e6, 1)

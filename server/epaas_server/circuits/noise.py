"""How noisy every primitive of a profile is, and how likely every decision of a circuit therefore fails.

From the published parameters alone, without keys and without the runtime. Variances are of the torus as the real
numbers modulo 1 (a 64-bit word divided by 2**64), and averages over binary secret keys: what one client's keys add or
take away is below 1 % of a standard deviation at a decision.

The formulas are those of TFHE (Chillotti, Gama, Georgieva and Izabachène, Journal of Cryptology 2020: theorems on the
external product, blind rotation and key switch) in the average-case form of Bergerat et al. (ePrint 2022/704), with
the error of double-precision Fourier transforms as concrete's optimiser estimates it. They give the compiler's own
figures (docs/adr/0005), to which :class:`Decision` adds the half slot that the compiler leaves out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from epaas_server.circuits.definitions import COLUMNS, KEPT_BITS, PROFILE_BITS, Circuit, Kind
from epaas_shared.profile import Profile

LOOK_UP = 0
"""Id of the bootstrap key of every look-up by table: of a gate, of a step, and the last of a threshold or digit."""

EXTRACTION = 1
"""Id of the bootstrap key that takes the low bits off a sum, one bootstrap for each."""

_WORD = 2.0**-64

_FOURIER_CONSTANT = 2.0**-2.57722494
"""Fitted by the makers of concrete (``FFT_SCALING_WEIGHT`` in its noise model), for 53 bits of precision."""


@dataclass(frozen=True)
class Noise:
    """The variances of the independent parts of one noise."""

    key: float
    """The noise of the evaluation key, times the digits of the decomposed ciphertext."""
    rounding: float
    """What the decomposition leaves of the ciphertext, times the secret bits."""
    fourier: float = 0.0
    """The error of polynomial products in double precision."""

    @property
    def variance(self) -> float:
        return self.key + self.rounding + self.fourier


@dataclass(frozen=True)
class Decision:
    """One bootstrap's choice of a box of its table, for a message in the middle of a box.

    A phase is rounded to one of 2N slots, and a box reaches from half its slots below its middle to one slot less
    above it: its upper edge is half a slot nearer than ``margin``, its lower edge half a slot farther.
    """

    name: str
    margin: float
    """Half the width of a box."""
    slot: float
    variance: float
    """Of everything that moves the phase: noise of the input, key switch and modulus switch."""

    @property
    def std(self) -> float:
        return math.sqrt(self.variance)

    @property
    def sigmas(self) -> float:
        return self.margin / self.std

    @property
    def log2_failure(self) -> float:
        """log2 of the probability that the phase leaves its box on either side."""
        above = log2_tail((self.margin - self.slot / 2) / self.std)
        below = log2_tail((self.margin + self.slot / 2) / self.std)
        return above + math.log2(1 + 2.0 ** (below - above))


def tail(sigmas: float) -> float:
    """The probability that a normal variable is more than ``sigmas`` standard deviations above its mean."""
    return math.erfc(sigmas / math.sqrt(2)) / 2


def log2_tail(sigmas: float) -> float:
    """log2 of :func:`tail`, also where that is far below the smallest double."""
    if sigmas < 30:
        return math.log2(tail(sigmas))
    inverse = sigmas**-2
    series = 1 - inverse + 3 * inverse**2 - 15 * inverse**3  # Abramowitz and Stegun 7.1.23; the rest is below 1e-9
    return -(sigmas**2) / 2 / math.log(2) - math.log2(sigmas * math.sqrt(2 * math.pi)) + math.log2(series)


def failure_probability(margin: float, std: float) -> float:
    """The probability that noise moves a phase by ``margin`` or more, up or down: erfc(margin / (std * sqrt(2)))."""
    return 2 * tail(margin / std)


def log2_failure_probability(margin: float, std: float) -> float:
    """log2 of :func:`failure_probability`, also where that is far below the smallest double."""
    return 1 + log2_tail(margin / std)


def fresh_variance(profile: Profile) -> float:
    """Of a bit as the client encrypts it."""
    return float(profile.encryption["variance"])


def bootstrap_noise(profile: Profile, key_id: int) -> Noise:
    """The noise of what comes out of a bootstrap, whatever went in: of n external products with one bit each."""
    key = _bootstrap_key(profile, key_id)
    n, glwe, size = key["inputLweDimension"], key["glweDimension"], key["polynomialSize"]
    base, levels = 2.0 ** key["baseLog"], key["levelCount"]
    digits = levels * (glwe + 1) * size
    return Noise(
        key=n * digits * (base**2 + 2) / 12 * key["variance"],
        rounding=n * (base ** (-2 * levels) - _WORD**2) / 24 * (1 + glwe * size / 2),
        fourier=n * digits * size * base**2 * _FOURIER_CONSTANT * (2.0**-53) ** 2,
    )


def key_switch_noise(profile: Profile, key_id: int) -> Noise:
    """What the key switch in front of the bootstrap with this key adds."""
    small_key = _bootstrap_key(profile, key_id)["inputId"]
    (key,) = (k["params"] for k in profile.keyset["lweKeyswitchKeys"] if k["outputId"] == small_key)
    base, levels = 2.0 ** key["baseLog"], key["levelCount"]
    dimension = key["inputLweDimension"]
    return Noise(
        key=dimension * levels * (base**2 + 2) / 12 * key["variance"],
        rounding=dimension * (base ** (-2 * levels) - _WORD**2) / 24,
    )


def modulus_switch_variance(profile: Profile, key_id: int) -> float:
    """What rounding mask and body to slots adds, in front of the bootstrap with this key."""
    rounded = 1 / 12 + _bootstrap_key(profile, key_id)["inputLweDimension"] / 24
    return float(rounded * _slot(profile, key_id) ** 2)


def decisions(profile: Profile, circuit: Circuit, entering: float | None = None) -> tuple[Decision, ...]:
    """Every bootstrap of ``circuit``, in order, for a sum of variance ``entering``: by default the largest allowed.

    Bit i of the low bits is multiplied up to the padding bit, and with it the noise of the sum and of the i bits that
    were taken off it. The two top bits are looked up where they are: by a digit twice, with the same outcome.
    """
    if entering is None:
        entering = COLUMNS * circuit.budget_weight**2 * bootstrap_noise(profile, LOOK_UP).variance
    bits = circuit.message_bits
    if circuit.kind is Kind.GATE:
        return (_look_up(profile, entering * 4.0 ** (bits - KEPT_BITS)),)
    extracted = bootstrap_noise(profile, EXTRACTION).variance
    extractions = (
        _decision(profile, EXTRACTION, f"bit {i}", 1 / 4, (entering + i * extracted) * 4.0 ** (bits - i))
        for i in range(circuit.extractions)
    )
    return (*extractions, _look_up(profile, entering + circuit.extractions * extracted))


def worst_decision(profile: Profile, circuit: Circuit) -> Decision:
    """The decision of ``circuit`` most likely to fail when the sum is as noisy as is allowed."""
    return max(decisions(profile, circuit), key=lambda decision: decision.log2_failure)


def step_error(profile: Profile, squared_norm: float) -> float:
    """Standard deviation of the error with which a step compares a sum of bootstrapped bits, in units of the sum.

    The step takes the two top bits of a sum in the profile's encoding and ignores that there are others, so that its
    decision is a threshold blurred by a normal error: hardly more than that of key switch and modulus switch.
    """
    entering = squared_norm * bootstrap_noise(profile, LOOK_UP).variance
    return _look_up(profile, entering).std * 2.0 ** (PROFILE_BITS + 1)


def _look_up(profile: Profile, entering: float) -> Decision:
    return _decision(profile, LOOK_UP, "look-up", 2.0 ** -(KEPT_BITS + 2), entering)


def _decision(profile: Profile, key_id: int, name: str, margin: float, entering: float) -> Decision:
    added = key_switch_noise(profile, key_id).variance + modulus_switch_variance(profile, key_id)
    return Decision(name, margin, _slot(profile, key_id), entering + added)


def _slot(profile: Profile, key_id: int) -> float:
    return 1 / (2 * float(_bootstrap_key(profile, key_id)["polynomialSize"]))


def _bootstrap_key(profile: Profile, key_id: int) -> dict[str, Any]:
    (key,) = (key for key in profile.keyset["lweBootstrapKeys"] if key["id"] == key_id)
    return {**key["params"], "inputId": key["inputId"]}

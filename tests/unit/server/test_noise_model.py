"""The model of the noise: its arithmetic, its figures for the shipped profile, and what they allow every circuit.

That the figures are those of real keys is for ``tests/integration/test_noise.py`` and ``test_failure_probability.py``.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import log_ndtr

from epaas_server.circuits.definitions import CIRCUITS, COLUMNS, GATES, MAJORITY, STEP, THRESHOLDS, Circuit
from epaas_server.circuits.noise import (
    EXTRACTION,
    LOOK_UP,
    Decision,
    bootstrap_noise,
    decisions,
    failure_probability,
    fresh_variance,
    key_switch_noise,
    log2_failure_probability,
    log2_tail,
    modulus_switch_variance,
    step_error,
    tail,
    worst_decision,
)
from epaas_shared.profile import Profile

WIDEST = THRESHOLDS[-1]


def log2_std(variance: float) -> float:
    """Of a 64-bit word."""
    return 64 + math.log2(variance) / 2


@pytest.mark.parametrize("sigmas", [-3.0, 0.0, 1.0, 5.0, 13.1, 29.999, 30.0, 37.5, 200.0, 1e4])
def test_tails_are_right_far_beyond_the_range_of_doubles(sigmas: float) -> None:
    expected = float(log_ndtr(-sigmas)) / math.log(2)
    assert log2_tail(sigmas) == pytest.approx(expected, rel=1e-9)
    assert tail(sigmas) == pytest.approx(2.0 ** max(expected, -1074), rel=1e-6, abs=1e-300)


def test_thirteen_standard_deviations_are_a_failure_probability_of_2_to_the_minus_128() -> None:
    assert log2_failure_probability(13.10863, 1.0) == pytest.approx(-128, abs=1e-3)
    assert math.log2(failure_probability(26.21725, 2.0)) == pytest.approx(-128, abs=1e-3)
    assert failure_probability(1.0, 1.0) == pytest.approx(0.3173105, abs=1e-6)


def test_figures_of_the_shipped_profile(profile: Profile) -> None:
    """log2 of standard deviations in words; docs/adr/0005 and the failure probabilities below rest on them."""
    look_up, extraction = bootstrap_noise(profile, LOOK_UP), bootstrap_noise(profile, EXTRACTION)
    found = {
        "fresh": fresh_variance(profile),
        "look-up, key": look_up.key,
        "look-up, rounding": look_up.rounding,
        "look-up, Fourier": look_up.fourier,
        "look-up": look_up.variance,
        "extraction, key": extraction.key,
        "extraction, rounding": extraction.rounding,
        "extraction, Fourier": extraction.fourier,
        "extraction": extraction.variance,
        "key switch to 728, key": key_switch_noise(profile, LOOK_UP).key,
        "key switch to 728, rounding": key_switch_noise(profile, LOOK_UP).rounding,
        "key switch to 720, key": key_switch_noise(profile, EXTRACTION).key,
        "key switch to 720, rounding": key_switch_noise(profile, EXTRACTION).rounding,
        "modulus switch of 728": modulus_switch_variance(profile, LOOK_UP),
        "modulus switch of 720": modulus_switch_variance(profile, EXTRACTION),
    }
    assert {name: round(log2_std(variance), 2) for name, variance in found.items()} == {
        "fresh": 14.05,
        "look-up, key": 38.30,
        "look-up, rounding": 41.46,
        "look-up, Fourier": 40.76,
        "look-up": 41.70,
        "extraction, key": 45.79,
        "extraction, rounding": 48.45,
        "extraction, Fourier": 48.25,
        "extraction": 48.87,
        "key switch to 728, key": 55.70,
        "key switch to 728, rounding": 55.21,
        "key switch to 720, key": 56.68,
        "key switch to 720, rounding": 55.21,
        "modulus switch of 728": 55.46,
        "modulus switch of 720": 55.46,
    }


@pytest.mark.parametrize("key_id", [LOOK_UP, EXTRACTION])
def test_a_modulus_switch_simulated(profile: Profile, key_id: int) -> None:
    """Rounding each word of a random ciphertext to a slot, under random binary keys."""
    (key,) = (k["params"] for k in profile.keyset["lweBootstrapKeys"] if k["id"] == key_id)
    random = np.random.default_rng(key_id)
    slots = random.uniform(0, 2 * key["polynomialSize"], (4000, key["inputLweDimension"] + 1))
    secret = random.integers(0, 2, (4000, key["inputLweDimension"]))
    rounding = np.rint(slots) - slots
    errors = (rounding[:, -1] - (rounding[:, :-1] * secret).sum(axis=1)) / (2 * key["polynomialSize"])
    assert errors.var() == pytest.approx(modulus_switch_variance(profile, key_id), rel=0.1)


@pytest.mark.parametrize("key_id", [LOOK_UP, EXTRACTION])
def test_a_key_switch_simulated(profile: Profile, key_id: int) -> None:
    """Random words of the mask, cut into balanced digits; each digit brings a row's noise, the rest a secret bit."""
    (params,) = (k["params"] for k in profile.keyset["lweKeyswitchKeys"] if k["id"] == key_id)
    base, levels = 2 ** params["baseLog"], params["levelCount"]
    random = np.random.default_rng(key_id)
    masks = random.uniform(-0.5, 0.5, (100, params["inputLweDimension"]))
    secrets = random.integers(0, 2, masks.shape)
    rounded = np.rint(masks * base**levels).astype(np.int64)
    from_key = (balanced_digits(rounded, base, levels) ** 2).sum(axis=(0, 2)) * params["variance"]
    from_rounding = ((masks - rounded / base**levels) ** 2 * secrets).sum(axis=1)
    noise = key_switch_noise(profile, key_id)
    assert from_key.mean() == pytest.approx(noise.key, rel=0.01)
    assert from_rounding.mean() == pytest.approx(noise.rounding, rel=0.02)


def balanced_digits(values: NDArray[np.int64], base: int, levels: int) -> NDArray[np.int64]:
    """Digits from -base/2 to base/2, least significant first; a digit of base/2 is as often negative."""
    digits = []
    for _ in range(levels):
        digit = (values + base // 2) % base - base // 2
        values = (values - digit) // base
        digit = np.where((digit == -base // 2) & (values % 2 == 1), base // 2, digit)
        digits.append(digit)
    return np.array(digits)


@pytest.mark.parametrize("circuit", CIRCUITS, ids=lambda circuit: str(circuit.name))
def test_every_decision_of_every_circuit_is_safe_at_the_budget(circuit: Circuit, profile: Profile) -> None:
    assert len(decisions(profile, circuit)) == circuit.extractions + 1
    assert worst_decision(profile, circuit).log2_failure <= profile.log2_p_error


def test_the_worst_decision_of_the_widest_threshold_is_its_first(profile: Profile) -> None:
    worst = worst_decision(profile, WIDEST)
    assert worst.name == "bit 0"
    assert worst.log2_failure == pytest.approx(-128.1, abs=0.1)
    for circuit in (*THRESHOLDS[:-1], *GATES):
        assert worst_decision(profile, circuit).name == "look-up"


def test_budgets_are_close_to_what_the_noise_allows(profile: Profile) -> None:
    """Weights are declared as integers of some bits, and the compiler takes the greatest of as many: 15 for a gate."""
    for circuit, refused in ((WIDEST, 64), (MAJORITY, 15)):
        assert worst_decision(profile, replace(circuit, budget_weight=refused)).log2_failure > profile.log2_p_error


def test_a_box_ends_half_a_slot_earlier_above_its_middle() -> None:
    centred = Decision("centred", margin=1.0, slot=0.0, variance=1 / 169)
    shifted = Decision("shifted", margin=1.0, slot=0.1, variance=1 / 169)
    assert centred.log2_failure == pytest.approx(log2_failure_probability(13.0, 1.0))
    assert shifted.log2_failure == pytest.approx(
        math.log2(math.erfc(0.95 * 13 / math.sqrt(2)) / 2 + math.erfc(1.05 * 13 / math.sqrt(2)) / 2)
    )


def test_noise_of_a_sum_matters_to_its_low_bits_and_to_gates(profile: Profile) -> None:
    fresh = fresh_variance(profile)
    for circuit in (WIDEST, MAJORITY):
        assert decisions(profile, circuit, fresh)[0].log2_failure < decisions(profile, circuit)[0].log2_failure - 1
    assert worst_decision(profile, STEP).log2_failure == pytest.approx(
        decisions(profile, STEP, fresh)[0].log2_failure, abs=0.01
    )


def test_a_step_errs_by_some_units_whatever_the_sum(profile: Profile) -> None:
    assert step_error(profile, 0) == pytest.approx(9.69, abs=0.01)
    assert step_error(profile, profile.squared_norm_budget) == pytest.approx(9.69, abs=0.01)
    assert COLUMNS * STEP.budget_weight**2 < profile.squared_norm_budget

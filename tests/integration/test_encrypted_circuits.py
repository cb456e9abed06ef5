"""The compiled circuits compute what they are said to, on real ciphertexts, over the range of their sums.

The widest threshold, and the gates, are in ``test_noise.py``.
"""

from __future__ import annotations

import numpy as np
import pytest

from epaas_server.circuits.definitions import DIGIT, GATES, MAJORITY, STEP, THRESHOLDS, Circuit
from tests.integration.ciphertexts import Bench


@pytest.mark.parametrize("circuit", THRESHOLDS[:-1], ids=lambda circuit: str(circuit.name))
@pytest.mark.parametrize("most", [128, pytest.param(512, marks=pytest.mark.long)])
def test_a_narrow_circuit_is_a_threshold_over_its_range(bench: Bench, circuit: Circuit, most: int) -> None:
    """Its bits leave in the encoding of the profile. All sums, or so many, those around the threshold and the last."""
    everything = np.arange(2 * circuit.half_range)
    sums = np.union1d(
        everything[:: max(1, len(everything) // most)], [*(circuit.half_range + np.arange(-8, 8)), everything[-1]]
    )
    outputs = bench.decrypt(bench.bootstrap(circuit, bench.encrypt(sums, circuit.message_bits)))
    np.testing.assert_array_equal(outputs, sums >= circuit.half_range)


@pytest.mark.parametrize("step", [5, pytest.param(1, marks=pytest.mark.long)])
def test_a_digit_is_the_two_top_bits_of_a_sum(bench: Bench, step: int) -> None:
    """As a number, and in their place, so that what is taken off leaves the rest. All sums, or every fifth and
    those where the digit changes."""
    sums = np.union1d(np.arange(0, 1024, step), [255, 256, 511, 512, 767, 768, 1023])
    ciphertexts = bench.encrypt(sums)
    numbers, places = bench.bootstrap(DIGIT, ciphertexts).reshape(2, len(sums), -1)
    np.testing.assert_array_equal(bench.decrypt(numbers), sums // 256)
    np.testing.assert_array_equal(bench.decrypt(places), sums // 256 * 256)
    np.testing.assert_array_equal(bench.decrypt(ciphertexts - places), sums % 256)


def test_gates_are_their_tables_in_the_largest_batch(bench: Bench) -> None:
    sums = np.arange(256) % 4
    for gate in GATES:
        outputs = bench.decrypt(bench.bootstrap(gate, bench.encrypt(sums)))
        np.testing.assert_array_equal(outputs, np.array(gate.table)[sums])


def test_a_step_is_right_far_from_where_it_steps(bench: Bench) -> None:
    """In the encoding of 10 bits it steps at 384, and reads sums from -128 to 895."""
    sums = np.concatenate([np.arange(-64, 320, 4), np.arange(448, 832, 4)])
    outputs = bench.decrypt(bench.bootstrap(STEP, bench.encrypt(sums)))
    np.testing.assert_array_equal(outputs, sums >= 384)


def test_a_batch_that_is_not_compiled_is_refused(bench: Bench) -> None:
    with pytest.raises(ValueError, match="majority is not compiled for a batch of 3"):
        bench.circuits.bootstrap(MAJORITY, bench.encrypt(np.zeros(3, dtype=np.int64)), bench.keyset)

"""The noise of every primitive whose result can be seen is the model's, and sums at the budget decide right.

Phases are computed with the secret bits, which only a test may do. Key switch and modulus switch happen inside a
bootstrap and show only in its failures: ``test_failure_probability.py`` counts those. One client's keys differ from
the average of the model by some 2 % of a bootstrap's standard deviation; the model's share for Fourier transforms is
the compiler's estimate, and generous: bootstraps come out 3 % to 10 % less noisy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from concrete import compiler
from numpy.typing import NDArray

from epaas_client.crypto import _secret_bits
from epaas_server.circuits.definitions import COLUMNS, GATES, STEP, THRESHOLDS, Circuit
from epaas_server.circuits.library import ensure_library
from epaas_server.circuits.noise import EXTRACTION, LOOK_UP, bootstrap_noise, fresh_variance
from epaas_server.engine.levelled import expand_seeded
from epaas_server.engine.runtime import Circuits, _Module, load_keyset
from epaas_server.engine.transport import from_wire, to_wire
from epaas_server.settings import Settings
from epaas_shared.frame import EvaluationKeysHeader, decode_frame
from epaas_shared.profile import default_profile
from epaas_shared.zerokey import Torus
from tests.conftest import ClientKeys

PROFILE = default_profile()
WIDEST = THRESHOLDS[-1]
BATCH = 64
Bootstrap = Callable[[Circuit, Torus], Torus]


def server_keyset(keys: ClientKeys) -> Any:
    header, payload = decode_frame(keys.frame, EvaluationKeysHeader)
    return load_keyset(payload[: header.keyset_bytes])


def bootstrap_with(keys: ClientKeys) -> Bootstrap:
    circuits = Circuits(ensure_library(Settings().cache_dir, PROFILE), PROFILE)
    keyset = server_keyset(keys)
    return lambda circuit, sums: circuits.bootstrap(circuit, sums, keyset)


@pytest.fixture(scope="module")
def bootstrap(keys: ClientKeys) -> Bootstrap:
    return bootstrap_with(keys)


def phases(ciphertexts: Torus, keys: ClientKeys) -> Torus:
    secret = _secret_bits(keys.secret._key, PROFILE)
    return ciphertexts[..., -1] - ciphertexts[..., :-1] @ secret


def messages_and_noise(ciphertexts: Torus, keys: ClientKeys) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Messages modulo 2**(message_bits + 1), and the distance of each phase from its message, in torus units."""
    step = np.uint64(1 << PROFILE.message_shift)
    found = phases(ciphertexts, keys)
    messages = (found + step // np.uint64(2)) // step
    return messages.astype(np.int64), (found - messages * step).astype(np.int64).astype(np.float64)


def encrypt(messages: NDArray[np.int64], keys: ClientKeys) -> Torus:
    """Fresh encryptions of small integers: of ones and zeros, added up in the clear part."""
    ciphertexts = expand_seeded(keys.secret.encrypt_bits(np.zeros(len(messages), dtype=np.uint8)), PROFILE)
    ciphertexts[:, -1] += messages.astype(np.uint64) << np.uint64(PROFILE.message_shift)
    return ciphertexts


def test_every_circuit_computes_its_table(bootstrap: Bootstrap, keys: ClientKeys) -> None:
    for circuit in GATES:
        sums = np.arange(BATCH) % 4
        output, _ = messages_and_noise(bootstrap(circuit, encrypt(sums, keys)), keys)
        np.testing.assert_array_equal(output, np.array(circuit.table)[sums])


@pytest.mark.parametrize("batches", [4, pytest.param(16, marks=pytest.mark.long)])
def test_the_widest_circuit_is_a_threshold_over_its_range(bootstrap: Bootstrap, keys: ClientKeys, batches: int) -> None:
    """All 1,024 sums, or 256: the 128 around the threshold, and the outermost among the others."""
    everything = np.arange(PROFILE.sum_maximum - PROFILE.sum_minimum + 1)
    around = np.roll(everything, BATCH - len(everything) // 2)[: 2 * BATCH]
    others = np.setdiff1d(everything, around)
    tried = np.concatenate([around, others[np.linspace(0, len(others) - 1, (batches - 2) * BATCH).astype(int)]])
    for start in range(0, len(tried), BATCH):
        sums = tried[start : start + BATCH]
        output, _ = messages_and_noise(bootstrap(WIDEST, encrypt(sums, keys)), keys)
        np.testing.assert_array_equal(output, sums + PROFILE.sum_minimum >= 0)


def test_sums_of_bootstrapped_bits_at_the_noise_budget_decide_right(bootstrap: Bootstrap, keys: ClientKeys) -> None:
    random = np.random.default_rng(6)
    bits = np.concatenate([bootstrap(WIDEST, encrypt(random.integers(0, 1024, BATCH), keys)) for _ in range(4)])
    values, bit_noise = messages_and_noise(bits, keys)
    assert set(values) == {0, 1}

    weights = random.integers(-11, 12, (BATCH, len(bits)))
    weights = np.array([shrink(row, PROFILE.squared_norm_budget) for row in weights])
    squared_norms = (weights**2).sum(axis=1)
    assert squared_norms.min() > 0.9 * PROFILE.squared_norm_budget
    totals = weights @ values
    thresholds = totals + random.integers(0, 2, BATCH)  # each sum is on its threshold or one below
    sums = weights.astype(np.uint64) @ bits
    offsets = (-thresholds - PROFILE.sum_minimum).astype(np.uint64)
    sums[:, -1] += offsets << np.uint64(PROFILE.message_shift)
    _, sum_noise = messages_and_noise(sums, keys)
    predicted = bit_noise.std() * np.sqrt(squared_norms.mean())
    assert 0.7 < sum_noise.std() / predicted < 1.4, "noise adds up as for independent bits"
    half_step = 2.0 ** (PROFILE.message_shift - 1)
    assert half_step / predicted > 13.1, "13.1 standard deviations are a failure probability of 2^-128"
    output, _ = messages_and_noise(bootstrap(WIDEST, sums), keys)
    np.testing.assert_array_equal(output, totals >= thresholds)


def shrink(weights: NDArray[np.int64], squared_norm: int) -> NDArray[np.int64]:
    """The weights with some of the last set to zero, so that their squares add up to no more than ``squared_norm``."""
    return np.where(np.cumsum(weights**2) <= squared_norm, weights, 0)


def words(variance: float) -> float:
    """The standard deviation in 64-bit words."""
    return float(np.sqrt(variance) * 2.0**64)


def test_a_fresh_bit_has_the_noise_of_the_model(keys: ClientKeys) -> None:
    _, noise = messages_and_noise(encrypt(np.zeros(2000, dtype=np.int64), keys), keys)
    assert 0.9 < noise.std() / words(fresh_variance(PROFILE)) < 1.1
    assert abs(noise.mean()) < 5 * noise.std() / np.sqrt(len(noise))


def test_a_bootstrapped_bit_has_the_noise_of_the_model(bootstrap: Bootstrap, keys: ClientKeys) -> None:
    messages = np.arange(STEP.batch_sizes[0]) % 4 << (PROFILE.message_bits - STEP.message_bits)
    bits, noise = messages_and_noise(np.concatenate([bootstrap(STEP, encrypt(messages, keys)) for _ in range(2)]), keys)
    np.testing.assert_array_equal(bits, np.tile(messages >= 512, 2))
    assert 0.8 < noise.std() / words(bootstrap_noise(PROFILE, LOOK_UP).variance) < 1.08
    assert abs(noise.mean()) < 5 * noise.std() / np.sqrt(len(noise))


def test_an_extracted_bit_has_the_noise_of_the_model(keys: ClientKeys, truncate: Any) -> None:
    function, weight = truncate
    values = np.arange(4 * BATCH)
    sums = np.zeros((len(values), COLUMNS, PROFILE.ciphertext_words), dtype=np.uint64)
    sums[:, 0] = encrypt(values, keys)
    argument = compiler.TransportValue.deserialize(to_wire(sums, PROFILE.message_bits, PROFILE))
    (result,) = function.call([argument, weight], server_keyset(keys))
    truncated, noise = messages_and_noise(from_wire(result.serialize()), keys)
    np.testing.assert_array_equal(truncated, values - values % 2)
    assert 0.75 < noise.std() / words(bootstrap_noise(PROFILE, EXTRACTION).variance) < 1.15


@pytest.fixture(scope="module")
def truncate() -> Any:
    """A circuit that takes the lowest bit off a sum and leaves it at that, which no circuit of the library does.

    The compiler takes the key of extractions for it if failures may be more frequent, and numbers the keys as the
    library does if a circuit of another key comes first by name.
    """
    from concrete import fhe

    from epaas_server.circuits import build

    gate = Circuit("a_gate", GATES[0].kind, PROFILE.message_bits, 15, GATES[0].table)

    def truncate(x: Any, w: Any) -> Any:
        return fhe.truncate_bit_pattern(x @ w, lsbs_to_remove=1)

    class Fed(build._Fed):
        def __call__(self, functions: dict[str, Any]) -> Any:
            gate_feeds_itself = fhe.Wire(fhe.AllOutputs(functions[gate.name]), fhe.AllInputs(functions[gate.name]))
            return fhe.Wired({*super().__call__(functions).wires, gate_feeds_itself})

    module = build._compile(
        {
            gate.name: (build._body(gate, PROFILE.message_bits, 2), build._inputset(gate, 1)),
            truncate.__name__: (truncate, build._inputset(replace(WIDEST, budget_weight=1), 4 * BATCH)),
        },
        Fed(gate.name),
        -40,
        keyset_restriction=build.restriction_to(build.compile_reference(PROFILE.message_bits, PROFILE.log2_p_error)),
    )
    assert build.program_info(module)["keyset"]["lweBootstrapKeys"] == PROFILE.keyset["lweBootstrapKeys"]
    return _Module(Path(module.server._library.get_output_dir_path())).function(truncate.__name__)

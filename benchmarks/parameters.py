"""Alternatives to the shipped parameter set: ``make bench-parameters``. Ends with one line of JSON.

For each, the compiler's own complexity figure (millions a neuron, the same on every machine), the bootstraps of a
neuron, the size of the keys, and, for the ones named in ``TIMED``, the seconds of a neuron and of a call on this
machine. Then the same figures for every circuit of the library, on the shipped keys.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
from concrete import compiler, fhe

from epaas_models.machine import processor
from epaas_server.circuits.build import compile_module, compile_reference, program_info, restriction_to
from epaas_server.circuits.definitions import CIRCUITS, COLUMNS, GATES, PROFILE_BITS, Circuit
from epaas_shared.profile import default_profile

THREADS = int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1))
ANY = ((1, 11), (2, 10), (4, 9))
N2048, N1024 = ((1, 11),), ((2, 10),)
ALTERNATIVES: dict[str, dict[str, Any]] = {
    "shipped": {"message_bits": 10, "log2_p_error": -128},
    "compiler's choice of polynomials, 2 bits kept": {"message_bits": 10, "log2_p_error": -128, "glwe": ANY},
    "compiler's choice, 3 bits kept": {"message_bits": 10, "log2_p_error": -128, "kept_bits": 3, "glwe": ANY},
    "polynomials of 2048, 3 bits kept": {"message_bits": 10, "log2_p_error": -128, "kept_bits": 3, "glwe": N2048},
    "compiler's choice, 4 bits kept": {
        "message_bits": 10,
        "log2_p_error": -128,
        "kept_bits": 4,
        "glwe": ((1, 11), (2, 10), (1, 12)),
    },
    "noise of 4 times the squared weights": {"message_bits": 10, "log2_p_error": -128, "budget_weight": 126},
    "noise of a quarter of the squared weights": {"message_bits": 10, "log2_p_error": -128, "budget_weight": 31},
    "sums of 256": {"message_bits": 8, "log2_p_error": -128},
    "sums of 512": {"message_bits": 9, "log2_p_error": -128},
    "sums of 2048": {"message_bits": 11, "log2_p_error": -128},
    "failure 2^-40": {"message_bits": 10, "log2_p_error": -40},
    "failure 2^-64": {"message_bits": 10, "log2_p_error": -64},
    "separate keys by noise too": {
        "message_bits": 10,
        "log2_p_error": -128,
        "glwe": ANY,
        "multi_parameter_strategy": fhe.MultiParameterStrategy.PRECISION_AND_NORM2,
    },
}
TIMED = ("shipped", "compiler's choice, 3 bits kept", "polynomials of 2048, 3 bits kept", "failure 2^-40")
BATCHES = (1, 16)
REPETITIONS = 5


def main() -> None:
    rows = []
    for name, options in ALTERNATIVES.items():
        row = measure(name, options)
        rows.append(row)
        print(json.dumps(row), flush=True)
    machine = {"processor": processor(), "threads": THREADS}
    print(json.dumps({"benchmark": "parameters", "machine": machine, "alternatives": rows, "library": library()}))


def measure(name: str, options: dict[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {"name": name, **{key: str(value) for key, value in options.items()}}
    threshold = compile_reference(**options, gates=False)
    whole = compile_reference(**options)
    module = compile_reference(**options, batches=BATCHES)
    row["complexity_threshold"] = round(threshold.complexity / 1e6, 1)
    row["complexity_gate"] = round((whole.complexity - threshold.complexity) / len(GATES) / 1e6, 1)
    row["bootstraps"] = module.functions()["threshold_1"].programmable_bootstrap_count
    keyset = program_info(module)["keyset"]
    row["keys_in_memory_mb"], row["keys_on_the_wire_mb"] = key_sizes(keyset)
    row["bootstrap_keys"] = len(keyset["lweBootstrapKeys"])
    if name in TIMED:
        row |= run(module)
    return row


@dataclass(frozen=True)
class OneSum(Circuit):
    """A circuit of the library that is compiled for one sum only."""

    batch_sizes = (1,)


def library() -> list[dict[str, Any]]:
    """The circuits of the library, each compiled alone for the keys that clients have.

    One of another width than the profile's is compiled with a source, a gate, which does not count.
    """
    profile = default_profile()
    restriction = restriction_to(compile_reference(profile.message_bits, profile.log2_p_error))
    gate = compile_module((OneSum(*astuple(GATES[0])),), profile.log2_p_error, restriction).complexity
    rows = []
    for circuit in CIRCUITS:
        module = compile_module((OneSum(*astuple(circuit)),), profile.log2_p_error, restriction)
        source = gate if circuit.message_bits != PROFILE_BITS else 0
        row = {
            "name": circuit.name,
            "complexity": round((module.complexity - source) / 1e6, 1),
            "bootstraps": module.functions()[circuit.function(1)].programmable_bootstrap_count,
            "squared_norm_budget": circuit.squared_norm_budget,
        }
        rows.append(row)
        print(json.dumps(row), flush=True)
    return rows


def key_sizes(keyset: dict[str, Any]) -> tuple[float, float]:
    """Megabytes of the keys expanded, and with their masks as seeds."""
    expanded = seeded = 0
    for key in keyset["lweBootstrapKeys"]:
        shape = key["params"]
        glwe = shape["glweDimension"] + 1
        bodies = shape["inputLweDimension"] * shape["levelCount"] * glwe * shape["polynomialSize"]
        expanded, seeded = expanded + bodies * glwe, seeded + bodies
    for key in keyset["lweKeyswitchKeys"]:
        shape = key["params"]
        bodies = shape["inputLweDimension"] * shape["levelCount"]
        expanded, seeded = expanded + bodies * (shape["outputLweDimension"] + 1), seeded + bodies
    return round(8 * expanded / 1e6, 1), round(8 * seeded / 1e6, 1)


def run(module: Any) -> dict[str, Any]:
    """Median seconds of calls with real keys, split into what a call costs and what a neuron costs."""
    server = module.server
    info = module.client.specs.program_info
    keyset = compiler.Keyset(info, None)
    evaluation = compiler.ServerKeyset.deserialize(keyset.get_server_keys().serialize())
    client = compiler.ClientProgram.create_encrypted(info, keyset)
    program = compiler.ServerProgram(server._library, False)
    medians = {}
    for batch in BATCHES:
        name = f"threshold_{batch}"
        encrypt = client.get_client_circuit(name)
        sums = np.zeros((batch, COLUMNS), dtype=np.int64)
        sums[:, 0] = np.arange(batch) % 2
        arguments = [encrypt.prepare_input(compiler.Value(sums), 0)]
        arguments.append(encrypt.prepare_input(compiler.Value(np.array([1, 0], dtype=np.int64)), 1))
        circuit = program.get_server_circuit(name)
        seconds = []
        for _ in range(REPETITIONS + 1):
            begin = time.perf_counter()
            circuit.call(arguments, evaluation)
            seconds.append(time.perf_counter() - begin)
        medians[batch] = statistics.median(seconds[1:])
    small, large = BATCHES
    return {
        "seconds_one_neuron": round(medians[small], 3),
        "seconds_a_neuron_of_16": round(medians[large] / large, 3),
    }


if __name__ == "__main__":
    main()

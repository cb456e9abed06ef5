"""Alternatives to the shipped parameter set: ``make bench-parameters``. Ends with one line of JSON.

For each, the compiler's own complexity figure (millions a neuron, the same on every machine), the bootstraps of a
neuron, the size of the keys, and, for the ones named in ``TIMED``, the seconds of a neuron and of a call on this
machine.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from dataclasses import replace
from typing import Any

import numpy as np
from concrete import compiler, fhe

from epaas_server.circuits.build import compile_module, program_info
from epaas_server.circuits.definitions import DENSE, GATES

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
    on_shipped_keys = narrower_sums_on_shipped_keys()
    machine = {"processor": platform.processor() or platform.machine(), "threads": THREADS}
    print(
        json.dumps(
            {"benchmark": "parameters", "machine": machine, "alternatives": rows, "on_shipped_keys": on_shipped_keys}
        )
    )


def measure(name: str, options: dict[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {"name": name, **{key: str(value) for key, value in options.items()}}
    circuit = replace(DENSE, budget_weight=options.pop("budget_weight", DENSE.budget_weight))
    dense = compile_module(**options, circuits=(circuit,), batches=(1,))
    whole = compile_module(**options, circuits=(circuit, *GATES), batches=(1,))
    module = compile_module(**options, circuits=(circuit, *GATES), batches=BATCHES)
    row["complexity_dense"] = round(dense.complexity / 1e6, 1)
    row["complexity_gate"] = round((whole.complexity - dense.complexity) / len(GATES) / 1e6, 1)
    row["bootstraps"] = module.functions()["dense_1"].programmable_bootstrap_count
    keyset = program_info(module)["keyset"]
    row["keys_in_memory_mb"], row["keys_on_the_wire_mb"] = key_sizes(keyset)
    row["bootstrap_keys"] = len(keyset["lweBootstrapKeys"])
    if name in TIMED:
        row |= run(module)
    return row


def narrower_sums_on_shipped_keys() -> list[dict[str, Any]]:
    """Circuits for narrower sums, compiled for the keys that clients already have."""
    restriction = restriction_to(compile_module(**ALTERNATIVES["shipped"], batches=(1,)))
    rows = []
    for message_bits in (9, 8, 7):
        module = compile_module(message_bits, -128, circuits=(DENSE,), batches=(1,), keyset_restriction=restriction)
        row = {
            "values": 2**message_bits,
            "complexity_dense": round(module.complexity / 1e6, 1),
            "bootstraps": module.functions()["dense_1"].programmable_bootstrap_count,
        }
        rows.append(row)
        print(json.dumps({"name": "narrower sums on the shipped keys", **row}), flush=True)
    return rows


def restriction_to(module: Any) -> Any:
    """The keys of ``module`` as a restriction for other circuits.

    The optimiser asks for a key switch between two keys of equal dimension although it then uses none, and finds no
    parameters unless the restriction lists one; the compiled circuits do not need it.
    """
    restriction = json.loads(module.client.specs.program_info.get_keyset_info().get_restriction().to_json())
    dimension = restriction["info"]["lwe_secret_keys"][0]["lwe_dimension"]
    unused = {"level_count": 2, "base_log": 17, "input_lwe_dimension": dimension, "output_lwe_dimension": dimension}
    restriction["info"]["lwe_keyswitch_keys"].append(unused)
    return compiler.KeysetRestriction.from_json(json.dumps(restriction))


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
        name = DENSE.function(batch)
        encrypt = client.get_client_circuit(name)
        sums = np.zeros((batch, 2), dtype=np.int64)
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

"""Compiles the circuits of a profile. The only module that imports the compiler (and with it torch).

Run as a program, ``python -m epaas_server.circuits.build PROFILE FOLDER``, so that serving processes never load the
compiler. The compiler must choose exactly the key parameters that the shipped profile has; else the build fails,
since clients hold keys for those.
"""

from __future__ import annotations

import json
import shutil
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np

warnings.filterwarnings("ignore", message="pkg_resources is deprecated")

from concrete import fhe  # noqa: E402  (the filter must come first)
from concrete.compiler import RangeRestriction  # noqa: E402

from epaas_server.circuits.definitions import BATCH_SIZES, CIRCUITS, COLUMNS, Circuit  # noqa: E402
from epaas_shared.profile import Profile, shipped_profiles  # noqa: E402

KEPT_BITS = 2
"""Bits of a sum that are left for the last look-up, after one bootstrap for each of the others (docs/adr/0002)."""

GLWE = ((2, 10),)
"""GLWE dimension 2 with polynomials of 2**10: one large key for everything, and the smallest evaluation keys."""


def compile_module(
    message_bits: int,
    log2_p_error: int,
    *,
    kept_bits: int = KEPT_BITS,
    glwe: tuple[tuple[int, int], ...] = GLWE,
    circuits: tuple[Circuit, ...] = CIRCUITS,
    batches: tuple[int, ...] = BATCH_SIZES,
    **options: Any,
) -> Any:
    """The compiled module (``fhe.FheModule``) with every circuit at every batch size.

    The defaults are the shipped profile's choices; ``benchmarks/parameters.py`` measures others. ``glwe`` are the
    pairs of GLWE dimension and log2 of the polynomial size that the compiler may take, all if empty; ``options`` go
    to the compiler.
    """
    functions: dict[str, Any] = {}
    inputsets: dict[str, Any] = {}
    for circuit in circuits:
        for batch in batches:
            name = circuit.function(batch)
            body = _threshold(message_bits, kept_bits) if circuit.table is None else _gate(message_bits, circuit.table)
            body.__name__ = name
            functions[name] = fhe.function({"x": "encrypted", "w": "clear"})(body)
            inputsets[name] = _inputset(circuit, batch, message_bits)
    module = fhe.module()(type("Circuits", (), {**functions, "composition": fhe.AllComposable()}))
    return module.compile(
        inputsets,
        p_error=2.0**log2_p_error,
        compress_evaluation_keys=True,
        compress_input_ciphertexts=True,
        loop_parallelize=True,
        range_restriction=_restriction(glwe),
        dump_artifacts_on_unexpected_failures=False,  # else a failure leaves a folder where the command was run
        **options,
    )


def _threshold(message_bits: int, kept_bits: int) -> Any:
    """[x @ w >= 2**(message_bits - 1)], exactly: one bootstrap a truncated bit and one for the look-up of the rest."""
    middle = 1 << (message_bits - 1)

    def dense(x: Any, w: Any) -> Any:
        high = fhe.truncate_bit_pattern(x @ w, lsbs_to_remove=message_bits - kept_bits)
        bit = fhe.univariate(lambda value: (np.asarray(value) >= middle).astype(np.int64))(high)
        return fhe.hint(bit, bit_width=message_bits)

    return dense


def _gate(message_bits: int, table: tuple[int, ...]) -> Any:
    """table[x @ w] for sums 0 to 3 by one bootstrap: the sum is moved to the two top bits, where rounding is exact."""
    low_bits = message_bits - 2
    outputs = np.array(table)

    def gate(x: Any, w: Any) -> Any:
        top = fhe.round_bit_pattern((x @ w) * (1 << low_bits), low_bits, exactness=fhe.Exactness.APPROXIMATE)
        bit = fhe.univariate(lambda value: outputs[(np.asarray(value) >> low_bits) & 3])(top)
        return fhe.hint(bit, bit_width=message_bits)

    return gate


def _inputset(circuit: Circuit, batch: int, message_bits: int) -> list[tuple[Any, Any]]:
    """The extremes: every sum of the range with weight 1, and the largest weights on nothing."""
    greatest = (1 << message_bits) - 1 if circuit.table is None else len(circuit.table) - 1
    pass_first = np.eye(COLUMNS, dtype=np.int64)[0]
    sums = np.zeros((batch, COLUMNS), dtype=np.int64)
    samples = []
    for value in range(greatest + 1) if circuit.table else (0, greatest):
        filled = sums.copy()
        filled[:, 0] = value
        samples.append((filled, pass_first))
    return [*samples, (sums, np.full(COLUMNS, circuit.budget_weight))]


def _restriction(glwe: tuple[tuple[int, int], ...]) -> Any:
    restriction = RangeRestriction()
    for dimension, log2_size in glwe:
        restriction.add_available_glwe_dimension(dimension)
        restriction.add_available_glwe_log_polynomial_size(log2_size)
    return restriction


def program_info(module: Any) -> dict[str, Any]:
    info: dict[str, Any] = json.loads(module.client.specs.program_info.serialize())
    return info


def build(profile: Profile, folder: Path) -> None:
    """Compile the library of ``profile`` into the empty ``folder``. Raises RuntimeError where the parameters differ."""
    module = compile_module(profile.message_bits, profile.log2_p_error)
    if program_info(module)["keyset"] != profile.keyset:
        raise RuntimeError(f"the compiler chose other key parameters than profile {profile.name} has")
    library = module.server._library  # the public wrapper only saves archives that hold pickles
    for name in ("sharedlib.so", "program_info.concrete.params.json", "compilation_feedback.json"):
        shutil.copy2(Path(library.get_output_dir_path()) / name, folder / name)


if __name__ == "__main__":
    build(shipped_profiles()[sys.argv[1]], Path(sys.argv[2]))

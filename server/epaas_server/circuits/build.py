"""Compiles the circuits of a profile. The only module that imports the compiler (and with it torch).

Run as a program, ``python -m epaas_server.circuits.build PROFILE FOLDER``, so that serving processes never load the
compiler. A reference module decides the key parameters, and must decide them exactly as the shipped profile has them:
else the build fails, since clients hold keys for those. All circuits are then compiled for these keys.
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

from concrete import compiler, fhe  # noqa: E402  (the filter must come first)

from epaas_server.circuits.definitions import (  # noqa: E402
    COLUMNS,
    GATES,
    KEPT_BITS,
    MODULES,
    PROFILE_BITS,
    THRESHOLDS,
    Circuit,
    Kind,
)
from epaas_shared.profile import Profile, shipped_profiles  # noqa: E402

GLWE = ((2, 10),)
"""GLWE dimension 2 with polynomials of 2**10: one large key for everything, and the smallest evaluation keys."""

REFERENCE_GATE_WEIGHT = 3
"""The noise of gates that the keys were chosen for; they turned out to allow more (``definitions``)."""


def compile_reference(
    message_bits: int,
    log2_p_error: int,
    *,
    kept_bits: int = KEPT_BITS,
    budget_weight: int = THRESHOLDS[-1].budget_weight,
    gates: bool = True,
    glwe: tuple[tuple[int, int], ...] = GLWE,
    batches: tuple[int, ...] = (1,),
    **options: Any,
) -> Any:
    """A threshold and the gates, compiled without any keys given: the module that decides the key parameters.

    The defaults are the shipped profile's choices; ``benchmarks/parameters.py`` measures others. ``glwe`` are the
    pairs of GLWE dimension and log2 of the polynomial size that the compiler may take; ``options`` go to the compiler.
    """
    circuits = [Circuit("threshold", Kind.THRESHOLD, message_bits, budget_weight)]
    if gates:
        circuits += [Circuit(g.name, Kind.GATE, message_bits, REFERENCE_GATE_WEIGHT, g.table) for g in GATES]
    functions = {
        circuit.function(batch): (_body(circuit, message_bits, kept_bits), _inputset(circuit, batch))
        for circuit in circuits
        for batch in batches
    }
    restriction = compiler.RangeRestriction()
    for dimension, log2_size in glwe:
        restriction.add_available_glwe_dimension(dimension)
        restriction.add_available_glwe_log_polynomial_size(log2_size)
    return _compile(functions, fhe.AllComposable(), log2_p_error, range_restriction=restriction, **options)


def compile_module(circuits: tuple[Circuit, ...], log2_p_error: int, restriction: Any) -> Any:
    """Circuits of one width at every batch size, for keys that exist already.

    Circuits of the profile's width feed one another. Narrower ones are fed by them: a source of bootstrapped bits in
    their encoding, which is never called, tells the compiler how noisy their inputs are.
    """
    functions = {
        circuit.function(batch): (_body(circuit, PROFILE_BITS, KEPT_BITS), _inputset(circuit, batch))
        for circuit in circuits
        for batch in circuit.batch_sizes
    }
    width = circuits[0].message_bits
    composition: Any = fhe.AllComposable()
    if width != PROFILE_BITS:
        source = Circuit("source", Kind.GATE, PROFILE_BITS, REFERENCE_GATE_WEIGHT, GATES[0].table)
        functions[source.name] = (_body(source, width, KEPT_BITS), _inputset(source, 1))
        composition = _Fed(source.name)
    return _compile(functions, composition, log2_p_error, keyset_restriction=restriction)


class _Fed:
    """The composition in which one function feeds all others and nothing else is composed."""

    def __init__(self, source: str) -> None:
        self._source = source

    def __call__(self, functions: dict[str, Any]) -> Any:
        source = fhe.AllOutputs(functions[self._source])
        return fhe.Wired({fhe.Wire(source, fhe.AllInputs(f)) for name, f in functions.items() if name != self._source})


def _compile(functions: dict[str, tuple[Any, Any]], composition: Any, log2_p_error: int, **options: Any) -> Any:
    """The compiled module (``fhe.FheModule``) of named bodies with their input sets."""
    compiled = {}
    for name, (body, _) in functions.items():
        body.__name__ = name
        compiled[name] = fhe.function({"x": "encrypted", "w": "clear"})(body)
    if isinstance(composition, _Fed):
        composition = composition(compiled)
    module = fhe.module()(type("Circuits", (), {**compiled, "composition": composition}))
    return module.compile(
        {name: inputset for name, (_, inputset) in functions.items()},
        p_error=2.0**log2_p_error,
        compress_evaluation_keys=True,
        compress_input_ciphertexts=True,
        loop_parallelize=True,
        dump_artifacts_on_unexpected_failures=False,  # else a failure leaves a folder where the command was run
        **options,
    )


def restriction_to(reference: Any) -> Any:
    """The keys of ``reference`` as a restriction for other circuits.

    The optimiser asks for a key switch between two keys of equal dimension although it then uses none, and finds no
    parameters unless the restriction lists one; the compiled circuits do not need it.
    """
    restriction = json.loads(reference.client.specs.program_info.get_keyset_info().get_restriction().to_json())
    dimension = restriction["info"]["lwe_secret_keys"][0]["lwe_dimension"]
    unused = {"level_count": 2, "base_log": 17, "input_lwe_dimension": dimension, "output_lwe_dimension": dimension}
    restriction["info"]["lwe_keyswitch_keys"].append(unused)
    return compiler.KeysetRestriction.from_json(json.dumps(restriction))


def _body(circuit: Circuit, output_bits: int, kept_bits: int) -> Any:
    """The circuit as a function of x (encrypted) and w (clear)."""
    bits = circuit.message_bits
    middle = 1 << (bits - 1)

    def threshold(x: Any, w: Any) -> Any:
        high = fhe.truncate_bit_pattern(x @ w, lsbs_to_remove=bits - kept_bits)
        return fhe.hint(_look_up(high, lambda value: value >= middle), bit_width=output_bits)

    def digit(x: Any, w: Any) -> Any:
        low_bits = bits - kept_bits
        high = fhe.truncate_bit_pattern(x @ w, lsbs_to_remove=low_bits)
        number = _look_up(high, lambda value: value >> low_bits)
        in_place = _look_up(high, lambda value: (value >> low_bits) << low_bits)
        return fhe.hint(np.concatenate((number, in_place)), bit_width=output_bits)

    def gate(x: Any, w: Any) -> Any:
        """The sum is moved to the two top bits, where rounding is exact and one bootstrap is enough."""
        low_bits = bits - 2
        table = np.array(circuit.table)
        top = fhe.round_bit_pattern((x @ w) * (1 << low_bits), low_bits, exactness=fhe.Exactness.APPROXIMATE)
        return fhe.hint(_look_up(top, lambda value: table[(value >> low_bits) & 3]), bit_width=output_bits)

    def step(x: Any, w: Any) -> Any:
        return fhe.hint(_look_up(x @ w, lambda value: value >= middle), bit_width=output_bits)

    return {Kind.THRESHOLD: threshold, Kind.DIGIT: digit, Kind.GATE: gate, Kind.STEP: step}[circuit.kind]


def _look_up(value: Any, function: Any) -> Any:
    return fhe.univariate(lambda number: function(np.asarray(number)).astype(np.int64))(value)


def _inputset(circuit: Circuit, batch: int) -> list[tuple[Any, Any]]:
    """The extremes: every sum of the range with weight 1, and the largest weights on nothing."""
    values = range(4) if circuit.kind in (Kind.GATE, Kind.STEP) else (0, (1 << circuit.message_bits) - 1)
    pass_first = np.eye(COLUMNS, dtype=np.int64)[0]
    samples = []
    for value in values:
        filled = np.zeros((batch, COLUMNS), dtype=np.int64)
        filled[:, 0] = value
        samples.append((filled, pass_first))
    nothing = np.zeros((batch, COLUMNS), dtype=np.int64)
    return [*samples, (nothing, np.full(COLUMNS, circuit.budget_weight))]


def program_info(module: Any) -> dict[str, Any]:
    info: dict[str, Any] = json.loads(module.client.specs.program_info.serialize())
    return info


def build(profile: Profile, folder: Path) -> None:
    """Compile the library of ``profile`` into the empty ``folder``, a subfolder a module.

    Raises RuntimeError where the key parameters differ from the profile's.
    """
    reference = compile_reference(profile.message_bits, profile.log2_p_error)
    if program_info(reference)["keyset"] != profile.keyset:
        raise RuntimeError(f"the compiler chose other key parameters than profile {profile.name} has")
    restriction = restriction_to(reference)
    for name, circuits in MODULES.items():
        module = compile_module(circuits, profile.log2_p_error, restriction)
        _check_keys(program_info(module)["keyset"], profile)
        library = Path(module.server._library.get_output_dir_path())  # the public wrapper only saves pickles
        (folder / name).mkdir()
        for file in ("sharedlib.so", "program_info.concrete.params.json", "compilation_feedback.json"):
            shutil.copy2(library / file, folder / name / file)


def _check_keys(keyset: dict[str, Any], profile: Profile) -> None:
    """Each key that a module uses must be the profile's under the same number, by which the runtime finds it."""
    for kind in ("lweBootstrapKeys", "lweKeyswitchKeys"):
        for key in keyset[kind]:
            if key not in profile.keyset[kind]:
                raise RuntimeError(f"a module was compiled for other {kind} than profile {profile.name} has")


if __name__ == "__main__":
    build(shipped_profiles()[sys.argv[1]], Path(sys.argv[2]))

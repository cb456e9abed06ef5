"""The compiled circuits at work: the only module of the serving path that imports the TFHE runtime.

Runs in the evaluation child alone: a call cannot be interrupted, and evaluation keys that passed all checks may still
crash it (the runtime does not verify them). Its first call also takes SIGPIPE over: a process that has evaluated ends,
without a word, when it writes to a broken pipe. A child writes to its worker, and to a blob store by sockets that raise
no signal.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

warnings.filterwarnings("ignore", message="pkg_resources is deprecated")

from concrete import compiler  # noqa: E402  (the filter must come first)

from epaas_server.circuits.definitions import COLUMNS, MODULES, Circuit  # noqa: E402
from epaas_server.engine.transport import from_wire, to_wire  # noqa: E402
from epaas_shared.errors import InvalidEvaluationKeys  # noqa: E402
from epaas_shared.profile import Profile  # noqa: E402
from epaas_shared.zerokey import Torus  # noqa: E402


def load_keyset(serialised: bytes) -> Any:
    """The runtime's server keyset. Raises :class:`InvalidEvaluationKeys` where it cannot be read."""
    try:
        return compiler.ServerKeyset.deserialize(serialised)
    except RuntimeError as error:
        raise InvalidEvaluationKeys(f"the keyset cannot be read: {str(error)[:200]}", field="keyset") from None


class Circuits:
    """The circuit library of a profile, loaded from the folder that ``epaas_server.circuits.build`` filled."""

    def __init__(self, folder: Path, profile: Profile) -> None:
        self._profile = profile
        self._modules = {name: _Module(folder / name) for name in MODULES}
        self._module_of = {circuit: name for name, circuits in MODULES.items() for circuit in circuits}

    def bootstrap(self, circuit: Circuit, sums: Torus, keyset: Any) -> Torus:
        """What the circuit makes of each of ``sums``, shape (n, words) with n one of its batch sizes.

        A circuit of several outputs gives (outputs * n, words), all first outputs first.
        """
        batch = len(sums)
        if batch not in circuit.batch_sizes:
            raise ValueError(f"{circuit.name} is not compiled for a batch of {batch}")
        function, weight = self._modules[self._module_of[circuit]].function(circuit.function(batch))
        columns = np.zeros((batch, COLUMNS, sums.shape[1]), dtype=np.uint64)
        columns[:, 0] = sums
        argument = compiler.TransportValue.deserialize(to_wire(columns, circuit.message_bits, self._profile))
        (result,) = function.call([argument, weight], keyset)
        return from_wire(result.serialize())


class _Module:
    """One compiled module."""

    def __init__(self, folder: Path) -> None:
        library = compiler.Library(str(folder))
        self._program = compiler.ServerProgram(library, False)
        # A simulated client needs no key and only turns clear arguments into the runtime's form.
        self._clear = compiler.ClientProgram.create_simulated(library.get_program_info())
        self._functions: dict[str, tuple[Any, Any]] = {}

    def function(self, name: str) -> tuple[Any, Any]:
        """A compiled function and its second argument, which passes the first column on."""
        if name not in self._functions:
            pass_first = compiler.Value(np.eye(COLUMNS, dtype=np.int64)[0])
            weight = self._clear.get_client_circuit(name).simulate_prepare_input(pass_first, 1)
            self._functions[name] = (self._program.get_server_circuit(name), weight)
        return self._functions[name]

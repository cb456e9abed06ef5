"""Ciphertext tensors in the runtime's wire form, for this project's reader and for the runtime's own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from epaas_server.engine.transport import from_wire, to_wire
from epaas_shared.profile import default_profile

PROFILE = default_profile()
BITS = PROFILE.message_bits
SHAPES = st.lists(st.integers(1, 4), min_size=0, max_size=3)


@given(SHAPES, st.integers(1, 9), st.integers(2, 10), st.integers(0, 2**32))
def test_a_tensor_survives_the_wire(shape: list[int], words: int, message_bits: int, seed: int) -> None:
    tensor = np.random.default_rng(seed).integers(0, 2**64, (*shape, words), dtype=np.uint64)
    again = from_wire(to_wire(tensor, message_bits, PROFILE))
    assert again.dtype == np.uint64
    assert again.shape == tensor.shape
    assert (again == tensor).all()


def test_a_view_survives_the_wire() -> None:
    tensor = np.arange(60, dtype=np.uint64).reshape(3, 4, 5)
    for view in (tensor[::2], tensor[:, 1], tensor.transpose(1, 0, 2), tensor[..., ::-1]):
        assert (from_wire(to_wire(view, BITS, PROFILE)) == view).all()


def test_the_width_of_the_encoding_is_in_the_wire() -> None:
    tensor = np.ones((2, 2, 5), dtype=np.uint64)
    wires = [to_wire(tensor, message_bits, PROFILE) for message_bits in (6, 10)]
    assert [(one, other) for one, other in zip(*wires, strict=True) if one != other] == [(6, 10)]


def test_a_large_tensor_survives_the_wire() -> None:
    tensor = np.random.default_rng(0).integers(0, 2**64, (64, 2, PROFILE.ciphertext_words), dtype=np.uint64)
    assert (from_wire(to_wire(tensor, BITS, PROFILE)) == tensor).all()


def test_a_value_that_does_not_fill_its_shape_is_refused() -> None:
    wire = bytearray(to_wire(np.full((3, 5), 7, dtype=np.uint64), BITS, PROFILE))
    sizes = [place for place in range(0, len(wire), 4) if wire[place : place + 4] == (3).to_bytes(4, "little")]
    refused = 0
    for place in sizes:
        changed = bytearray(wire)
        changed[place] = 4
        try:
            from_wire(bytes(changed))
        except ValueError as error:
            refused += "does not fill" in str(error)
    assert refused == 1


THROUGH_THE_RUNTIME = """
import sys, warnings
warnings.filterwarnings("ignore")
from pathlib import Path
from concrete import compiler
source, target = map(Path, sys.argv[1:])
value = compiler.TransportValue.deserialize(source.read_bytes())
target.write_bytes(value.serialize())
"""


@pytest.mark.parametrize("shape", [(1,), (4,), (2, 2), (8, 2)])
def test_the_runtime_reads_and_writes_the_same_tensor(tmp_path: Path, shape: tuple[int, ...]) -> None:
    tensor = np.random.default_rng(3).integers(0, 2**64, (*shape, PROFILE.ciphertext_words), dtype=np.uint64)
    (tmp_path / "in").write_bytes(to_wire(tensor, BITS, PROFILE))
    command = [sys.executable, "-c", THROUGH_THE_RUNTIME, str(tmp_path / "in"), str(tmp_path / "out")]
    subprocess.run(command, check=True)
    again = from_wire((tmp_path / "out").read_bytes())
    assert again.shape == tensor.shape
    assert (again == tensor).all()

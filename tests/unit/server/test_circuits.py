"""The circuits: their budgets, the folder of their library, and that the compiler still chooses the shipped keys."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import pytest

from epaas_server.circuits.definitions import (
    CIRCUITS,
    DIGIT,
    GATES,
    KEPT_BITS,
    MODULES,
    PROFILE_BITS,
    STEP,
    THRESHOLDS,
    Circuit,
)
from epaas_server.circuits.library import ensure_library, is_built, library_folder
from epaas_server.engine.keys import unpacked_keys_bytes
from epaas_shared.errors import Unavailable
from epaas_shared.profile import Profile

EACH = pytest.mark.parametrize("circuit", CIRCUITS, ids=lambda circuit: str(circuit.name))


def test_the_widest_threshold_is_the_one_that_the_profile_promises(profile: Profile) -> None:
    widest = THRESHOLDS[-1]
    assert widest.squared_norm_budget == profile.squared_norm_budget == 7938
    assert widest.message_bits == profile.message_bits == PROFILE_BITS
    assert (-widest.half_range, widest.half_range - 1) == (profile.sum_minimum, profile.sum_maximum)
    assert widest.bootstraps == profile.bootstraps_per_neuron


def test_thresholds_are_what_the_decision_record_measured() -> None:
    found = [(2**one.message_bits, one.bootstraps, one.squared_norm_budget) for one in reversed(THRESHOLDS)]
    assert found == [(1024, 9, 7938), (512, 8, 1984), (256, 7, 1984), (128, 6, 496), (64, 5, 31)]


@pytest.mark.parametrize("circuit", [*THRESHOLDS, DIGIT], ids=lambda circuit: str(circuit.name))
def test_bits_times_the_scale_are_bits_in_the_circuits_encoding(circuit: Circuit, profile: Profile) -> None:
    assert profile.message_shift + circuit.scale == 63 - circuit.message_bits
    assert circuit.bootstraps == circuit.message_bits - KEPT_BITS + circuit.outputs


def test_a_digit_and_one_bootstrap_cost_what_they_are_worth() -> None:
    assert (DIGIT.bootstraps, DIGIT.outputs, DIGIT.half_range) == (10, 2, 512)
    assert {circuit.bootstraps for circuit in (*GATES, STEP)} == {1}
    assert {circuit.outputs for circuit in CIRCUITS if circuit is not DIGIT} == {1}


@pytest.mark.parametrize("gate", GATES, ids=lambda gate: str(gate.name))
def test_a_gate_has_room_for_the_sum_of_three_bits(gate: Circuit) -> None:
    assert gate.squared_norm_budget >= 3
    rules = {
        "majority": lambda total: total >= 2,
        "and3": lambda total: total == 3,
        "parity": lambda total: total % 2 == 1,
    }
    assert gate.table == tuple(int(rules[gate.name](total)) for total in range(4))


def test_compiled_functions_have_distinct_names() -> None:
    names = [circuit.function(batch) for circuit in CIRCUITS for batch in circuit.batch_sizes]
    assert len(set(names)) == len(names)


def test_the_circuits_of_a_module_have_one_width() -> None:
    assert [len({circuit.message_bits for circuit in circuits}) for circuits in MODULES.values()] == [1] * len(MODULES)
    assert set(CIRCUITS) == {*THRESHOLDS, DIGIT, *GATES, STEP}
    assert len(CIRCUITS) == len(set(CIRCUITS))


@EACH
def test_batches_are_powers_of_two_and_end_with_one(circuit: Circuit) -> None:
    largest = 256 if circuit.bootstraps == 1 else 64
    assert list(circuit.batch_sizes) == [2**power for power in reversed(range(largest.bit_length()))]


def test_unpacked_keys_are_larger_than_their_seeded_form(profile: Profile) -> None:
    bootstrap = [728 * 2 * 9 * 1024, 720 * 1 * 9 * 1024]
    keyswitch = [2048 * 4 * 729, 2048 * 3 * 721]
    assert unpacked_keys_bytes(profile) == 8 * (sum(bootstrap) + sum(keyswitch))
    assert unpacked_keys_bytes(profile) > profile.evaluation_keys_bytes


def test_the_folder_is_named_by_all_that_the_library_depends_on(tmp_path: Path, profile: Profile) -> None:
    folder = library_folder(tmp_path, profile)
    assert folder.parent == tmp_path / "circuits"
    assert profile.digest[:16] in folder.name
    assert metadata.version("concrete-python") in folder.name
    assert library_folder(tmp_path, profile) == folder
    other = profile.model_copy(update={"title": "another"})
    assert library_folder(tmp_path, other).name != folder.name
    assert library_folder(tmp_path / "elsewhere", profile).name == folder.name
    assert not is_built(tmp_path, profile)
    assert list(tmp_path.iterdir()) == []


FOLDER_NAME = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
import epaas_server
assert epaas_server.__file__.startswith(sys.argv[1])
from epaas_server.circuits.library import library_folder
from epaas_shared.profile import default_profile
print(library_folder(Path("/"), default_profile()).name)
"""


@pytest.mark.parametrize(
    ("file", "matters"),
    [(None, False), ("definitions.py", True), ("build.py", True), ("library.py", False), ("noise.py", False)],
)
def test_the_folder_changes_with_the_source_of_the_circuits(
    tmp_path: Path, profile: Profile, file: str | None, matters: bool
) -> None:
    with resources.as_file(resources.files("epaas_server")) as package:
        shutil.copytree(package, tmp_path / "epaas_server", ignore=shutil.ignore_patterns("__pycache__"))
    if file is not None:
        with (tmp_path / "epaas_server" / "circuits" / file).open("a") as source:
            source.write("# changed\n")
    command = [sys.executable, "-c", FOLDER_NAME, str(tmp_path)]
    name = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert (name != library_folder(tmp_path, profile).name) is matters


def test_a_built_library_is_taken_as_it_is(tmp_path: Path, profile: Profile) -> None:
    folder = library_folder(tmp_path, profile)
    folder.mkdir(parents=True)
    (folder / "anything").write_bytes(b"built before")
    assert is_built(tmp_path, profile)
    assert ensure_library(tmp_path, profile) == folder
    assert [(file.name, file.read_bytes()) for file in folder.iterdir()] == [("anything", b"built before")]


def test_a_build_that_fails_says_why_and_leaves_nothing(
    tmp_path: Path, profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "concrete.py").write_text("raise ImportError('no compiler on this machine')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "path"))
    with pytest.raises(Unavailable) as caught:
        ensure_library(tmp_path / "cache", profile)
    assert "no compiler on this machine" in caught.value.detail
    assert caught.value.hint
    assert not is_built(tmp_path / "cache", profile)
    assert [path.name for path in (tmp_path / "cache" / "circuits").iterdir()] == [".lock"]


ENSURE = """
import os, sys
from pathlib import Path
from epaas_server.circuits.library import ensure_library
from epaas_shared.profile import default_profile
folder = ensure_library(Path(sys.argv[1]), default_profile())
files = [(file, file.stat()) for file in sorted(folder.glob("*/*"))]
print(folder, [(file.name, status.st_ino, status.st_mtime_ns) for file, status in files])
"""


@dataclass(frozen=True)
class Built:
    """What two processes said that asked for the library at once."""

    cache: Path
    said: list[str]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    cache = tmp_path_factory.mktemp("cache")
    command = [sys.executable, "-c", ENSURE, str(cache)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    yield Built(cache, said)
    shutil.rmtree(cache)


@pytest.mark.slow
def test_of_two_that_ask_at_once_one_builds_and_both_get_the_library(built: Built, profile: Profile) -> None:
    folder = library_folder(built.cache, profile)
    assert built.said[0] == built.said[1]  # the same file, not one that replaced another
    assert built.said[0].startswith(f"{folder} ")
    assert sorted(path.name for path in folder.parent.iterdir()) == sorted([".lock", folder.name])


def compiled(built: Built, profile: Profile, module: str, file: str) -> Any:
    return json.loads((library_folder(built.cache, profile) / module / file).read_bytes())


@pytest.mark.slow
def test_the_compiler_chooses_exactly_the_keys_of_the_profile(built: Built, profile: Profile) -> None:
    assert {path.name for path in library_folder(built.cache, profile).iterdir()} == set(MODULES)
    for module, circuits in MODULES.items():
        info = compiled(built, profile, module, "program_info.concrete.params.json")
        keys_of_more_than_one_bootstrap = any(circuit.bootstraps > 1 for circuit in circuits)
        assert (info["keyset"] == profile.keyset) is keys_of_more_than_one_bootstrap
        for kind in ("lweBootstrapKeys", "lweKeyswitchKeys"):
            assert all(key in profile.keyset[kind] for key in info["keyset"][kind])
        due = {circuit.function(batch): circuit for circuit in circuits for batch in circuit.batch_sizes}
        found = {circuit["name"]: circuit for circuit in info["circuits"] if circuit["name"] != "source"}
        assert set(found) == set(due)
        for name, circuit in due.items():
            (output,) = found[name]["outputs"]
            for gate, width in ((found[name]["inputs"][0], circuit.message_bits), (output, PROFILE_BITS)):
                kind = gate["typeInfo"]["lweCiphertext"]
                assert kind["encryption"] == profile.encryption
                assert kind["encoding"]["integer"]["width"] == width


@pytest.mark.slow
def test_the_compiled_circuits_cost_what_is_promised_and_fail_as_seldom(built: Built, profile: Profile) -> None:
    for module, circuits in MODULES.items():
        feedback = compiled(built, profile, module, "compilation_feedback.json")
        assert feedback["pError"] <= 2.0**profile.log2_p_error
        bootstraps = {
            entry["name"]: sum(one["count"] for one in entry["statistics"] if one["operation"] in ("PBS", "WOP_PBS"))
            for entry in feedback["circuitFeedbacks"]
        }
        for circuit in circuits:
            for batch in circuit.batch_sizes:
                assert bootstraps[circuit.function(batch)] == batch * circuit.bootstraps


OTHER_PROFILE = """
import sys
from pathlib import Path
from epaas_server.circuits.build import build
from epaas_shared.profile import default_profile
profile = default_profile()
keyset = {**profile.keyset, "lweKeyswitchKeys": profile.keyset["lweKeyswitchKeys"][:1]}
try:
    build(profile.model_copy(update={"keyset": keyset}), Path(sys.argv[1]))
except RuntimeError as error:
    print(error)
"""


@pytest.mark.slow
def test_keys_other_than_those_of_the_profile_are_no_library(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", OTHER_PROFILE, str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "other key parameters" in run.stdout
    assert list(tmp_path.iterdir()) == []

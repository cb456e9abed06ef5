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

from epaas_server.circuits.definitions import BATCH_SIZES, CIRCUITS, DENSE, GATES
from epaas_server.circuits.library import SHARED_LIBRARY, ensure_library, is_built, library_folder
from epaas_server.engine.child import unpacked_keys_bytes
from epaas_shared.errors import Unavailable
from epaas_shared.profile import Profile


def test_the_budget_of_the_threshold_circuit_is_the_one_that_the_profile_promises(profile: Profile) -> None:
    assert DENSE.squared_norm_budget == profile.squared_norm_budget == 7938
    assert DENSE.table is None


@pytest.mark.parametrize("gate", GATES, ids=lambda gate: str(gate.name))
def test_a_gate_has_room_for_the_sum_of_three_bits(gate: Any) -> None:
    assert gate.squared_norm_budget >= 3
    rules = {
        "or": lambda total: total > 0,
        "majority": lambda total: total >= 2,
        "and3": lambda total: total == 3,
        "parity": lambda total: total % 2 == 1,
    }
    assert gate.table == tuple(int(rules[gate.name](total)) for total in range(4))


def test_compiled_functions_have_distinct_names() -> None:
    names = [circuit.function(batch) for circuit in CIRCUITS for batch in BATCH_SIZES]
    assert len(set(names)) == len(names)


def test_batches_are_sorted_and_end_with_one() -> None:
    assert list(BATCH_SIZES) == sorted(set(BATCH_SIZES), reverse=True)
    assert BATCH_SIZES[-1] == 1


def test_a_neuron_costs_a_bootstrap_for_each_bit_cut_off_and_one_for_the_rest(profile: Profile) -> None:
    source = (resources.files("epaas_server.circuits") / "build.py").read_text("utf-8")
    (kept,) = [int(line.split("=")[1]) for line in source.splitlines() if line.startswith("KEPT_BITS =")]
    assert profile.bootstraps_per_neuron == profile.message_bits - kept + 1


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
    ("file", "matters"), [(None, False), ("definitions.py", True), ("build.py", True), ("library.py", False)]
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
    (folder / SHARED_LIBRARY).write_bytes(b"built before")
    assert is_built(tmp_path, profile)
    assert ensure_library(tmp_path, profile) == folder
    assert (folder / SHARED_LIBRARY).read_bytes() == b"built before"


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
status = (folder / "sharedlib.so").stat()
print(folder, status.st_ino, status.st_mtime_ns)
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


@pytest.mark.slow
def test_the_compiler_chooses_exactly_the_keys_of_the_profile(built: Built, profile: Profile) -> None:
    info = json.loads((library_folder(built.cache, profile) / "program_info.concrete.params.json").read_bytes())
    assert info["keyset"] == profile.keyset
    assert {circuit["name"] for circuit in info["circuits"]} == {
        circuit.function(batch) for circuit in CIRCUITS for batch in BATCH_SIZES
    }
    for circuit in info["circuits"]:
        (output,) = circuit["outputs"]
        for gate in (circuit["inputs"][0], output):
            kind = gate["typeInfo"]["lweCiphertext"]
            assert kind["encryption"] == profile.encryption
            assert kind["encoding"]["integer"]["width"] == profile.message_bits


@pytest.mark.slow
def test_the_compiled_circuits_are_loaded_and_cost_what_is_promised(built: Built, profile: Profile) -> None:
    folder = library_folder(built.cache, profile)
    feedback = json.loads((folder / "compilation_feedback.json").read_bytes())
    circuits = feedback if isinstance(feedback, list) else feedback["circuitFeedbacks"]
    counted = {}
    for circuit in circuits:
        found = [entry for entry in circuit["statistics"] if entry["operation"] in ("PBS", "WOP_PBS")]
        counted[circuit["name"]] = sum(entry["count"] for entry in found)
    for batch in BATCH_SIZES:
        assert counted[DENSE.function(batch)] == batch * profile.bootstraps_per_neuron
        for gate in GATES:
            assert counted[gate.function(batch)] == batch


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

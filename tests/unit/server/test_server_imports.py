"""What the server's processes load, and that its source has no name of a secret."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

LOADED = """
import importlib, sys
importlib.import_module(sys.argv[1])
print(*sorted({name.split(".")[0] for name in sys.modules}))
"""


def loaded(module: str) -> set[str]:
    """Top-level packages that importing ``module`` in a fresh interpreter loads."""
    command = [sys.executable, "-W", "ignore", "-c", LOADED, module]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("epaas_server.api.app", {"concrete", "torch", "mlir", "epaas_client", "epaas_models"}),
        ("epaas_server.serve", {"concrete", "torch", "mlir", "epaas_client", "epaas_models"}),
        ("epaas_server.jobs.worker", {"concrete", "torch", "mlir", "fastapi", "epaas_client", "epaas_models"}),
        ("epaas_server.engine.child", {"concrete", "torch", "mlir", "fastapi", "epaas_client", "epaas_models"}),
        ("epaas_server.engine.runtime", {"torch", "fastapi", "sqlalchemy", "epaas_client", "epaas_models"}),
        ("epaas_server.circuits.library", {"concrete", "torch", "mlir"}),
        ("epaas_server.registry", {"concrete", "torch", "mlir", "fastapi"}),
        ("epaas_server.cli", {"concrete", "torch", "mlir", "fastapi", "sqlalchemy", "numpy"}),
    ],
)
def test_a_process_loads_only_what_it_needs(module: str, absent: set[str]) -> None:
    packages = loaded(module)
    assert "epaas_server" in packages
    assert packages & absent == set()


def test_loading_is_seen_here() -> None:
    assert "concrete" in loaded("epaas_server.engine.runtime")
    assert "fastapi" in loaded("epaas_server.api.app")


SECRET_NAMES = re.compile(
    r"SecretKeys(?!NotFound)|LweSecretKey|\bKeyset\(|create_encrypted|(?<!simulate_)prepare_input\(|get_client_keys"
    r"|process_output|decrypt_messages|decrypt_result|epaas_client|private_key"
)


def server_sources() -> list[Path]:
    with resources.as_file(resources.files("epaas_server")) as package:
        return sorted(package.rglob("*.py"))


@pytest.mark.parametrize("source", server_sources(), ids=lambda path: "/".join(path.parts[-2:]))
def test_no_module_of_the_server_names_a_secret_key(source: Path) -> None:
    assert SECRET_NAMES.findall(source.read_text("utf-8")) == []


def test_all_modules_are_looked_at() -> None:
    names = {path.name for path in server_sources()}
    assert {"build.py", "runtime.py", "child.py", "worker.py", "app.py", "rerandomise.py"} <= names


@pytest.mark.parametrize(
    "line",
    [
        "from epaas_client.crypto import SecretKeys",
        "key = compiler.LweSecretKey.deserialize(data, parameters)",
        "keyset = compiler.Keyset(info, None)",
        "circuit = ClientProgram.create_encrypted(info, keyset)",
        "value = circuit.prepare_input(x, 0)",
        "circuit.process_output(value, 0)",
    ],
)
def test_a_secret_would_be_found(line: str) -> None:
    assert SECRET_NAMES.search(line)


@pytest.mark.parametrize(
    "line",
    [
        "keyset = ServerKeyset.deserialize(data)",
        "weight = circuit.simulate_prepare_input(x, 1)",
        "KeysetCache(1, load)",
    ],
)
def test_what_is_no_secret_is_left_alone(line: str) -> None:
    assert not SECRET_NAMES.search(line)

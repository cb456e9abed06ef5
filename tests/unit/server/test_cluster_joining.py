"""What is said before anything starts where a machine cannot join a cluster, with and without the package ray."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from epaas_server.engine.cluster.joining import address_of, check_cluster, prepare
from epaas_shared.errors import ConfigurationError

WITHOUT_RAY = """
import importlib, sys
sys.modules["ray"] = None
for module in sys.argv[1:]:
    importlib.import_module(module)
from epaas_server.engine.cluster.joining import check_cluster
from epaas_shared.errors import ConfigurationError
try:
    check_cluster("10.0.0.1:6379")
except ConfigurationError as error:
    print(f"{error} | {error.hint}")
"""


def test_without_the_package_everything_is_imported_and_the_engine_is_refused() -> None:
    modules = ["epaas_server.serve", "epaas_server.jobs.worker", "epaas_server.engine.child", "epaas_server.cli"]
    command = [sys.executable, "-W", "ignore", "-c", WITHOUT_RAY, *modules]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said == "engine: ray needs a package that is not installed: ray | `pip install epaas[ray]`\n"


@pytest.mark.parametrize("address", ["", "auto", "10.0.0.1", "10.0.0.1:", ":6379", "10.0.0.1:ray"])
def test_an_address_is_a_host_and_a_port(address: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        check_cluster(address)
    assert refused.value.field == "ray_address"
    assert "HOST:PORT" in (refused.value.hint or "")


def test_addresses_of_names_and_of_both_kinds_of_numbers() -> None:
    assert address_of("head.internal:6379") == ("head.internal", 6379)
    assert address_of("10.0.0.1:1") == ("10.0.0.1", 1)
    assert address_of("[::1]:6379") == ("::1", 6379)


def test_a_token_is_needed_unless_the_operator_says_otherwise(tmp_path: Path) -> None:
    """Ray's own default is to ask nobody for anything."""
    missing = {"RAY_AUTH_TOKEN_PATH": str(tmp_path / "token")}
    with pytest.raises(ConfigurationError) as refused:
        prepare(missing)
    assert refused.value.field == "RAY_AUTH_TOKEN_PATH"
    assert str(tmp_path / "token") in str(refused.value)
    (tmp_path / "token").write_text("f" * 64)
    for environment in (missing, {"RAY_AUTH_TOKEN": "f" * 64}):
        prepare(environment)
        assert environment["RAY_AUTH_MODE"] == "token"
        assert environment["RAY_USAGE_STATS_ENABLED"] == "0", "nothing is reported to Ray's makers"
    off = {"RAY_AUTH_MODE": "disabled"}
    prepare(off)
    assert off["RAY_AUTH_MODE"] == "disabled"


def test_a_machine_without_a_token_is_refused_by_the_command(tmp_path: Path) -> None:
    environment = {"RAY_AUTH_TOKEN_PATH": str(tmp_path / "none"), "PATH": "", "HOME": str(tmp_path)}
    command = [sys.executable, "-m", "epaas_server", "ray-node", "--threads", "0"]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == ConfigurationError.exit_code
    assert "there is no token of the cluster" in run.stderr
    assert "get-auth-token" in run.stderr

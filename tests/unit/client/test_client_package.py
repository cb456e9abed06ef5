from __future__ import annotations

import subprocess
import sys

import pytest

import epaas_client


def test_importing_the_client_loads_nothing_heavy() -> None:
    program = """
import sys
import epaas_client
heavy = {"torch", "fastapi", "sqlalchemy", "concrete", "numpy", "httpx", "PIL"} & set(sys.modules)
sys.exit(f"loaded {heavy}" if heavy else 0)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_using_the_client_loads_neither_torch_nor_the_server() -> None:
    program = """
import sys
from epaas_client import Client, Keystore, generate_keys
heavy = {"torch", "fastapi", "sqlalchemy", "epaas_server", "epaas_models"} & set(sys.modules)
sys.exit(f"loaded {heavy}" if heavy else 0)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", epaas_client.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(epaas_client, name) is not None
    assert name in dir(epaas_client)


def test_unknown_name() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = epaas_client.Nothing

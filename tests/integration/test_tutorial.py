"""The tutorial, command by command as it stands, in an empty folder."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

from tests.conftest import START_SECONDS
from tests.integration.processes import wait_until

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


def commands() -> list[str]:
    text = (ROOT / "docs" / "tutorial.md").read_text()
    blocks = re.findall(r"```\n(.*?)```", text, flags=re.DOTALL)
    return [line.removeprefix("$ ") for block in blocks for line in block.splitlines() if line.startswith("$ ")]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_it_leads_from_a_table_to_an_encrypted_prediction(tmp_path: Path) -> None:
    address = f"http://127.0.0.1:{(port := free_port())}"
    environment = {
        **os.environ,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "EPAAS_URL": address,
        "HOME": str(tmp_path / "home"),
        "XDG_DATA_HOME": str(tmp_path / "home" / "data"),
    }
    said: dict[str, str] = {}
    server: subprocess.Popen[bytes] | None = None
    try:
        for line in commands():
            command = line.replace("http://127.0.0.1:8000", address).replace("--port 8000", f"--port {port}")
            if command.startswith("epaas-server serve"):
                with (tmp_path / "server.log").open("wb") as log:
                    server = subprocess.Popen(
                        ["bash", "-c", f"exec {command}"], cwd=tmp_path, env=environment, stderr=log
                    )
                wait_until(lambda: '"listening"' in (tmp_path / "server.log").read_text(), START_SECONDS)
                continue
            run = subprocess.run(
                ["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
            )
            assert run.returncode == 0, f"{line}\n{run.stdout}{run.stderr}"
            said[line.split(" --")[0]] = run.stdout
    finally:
        if server is not None:
            server.terminate()
            server.wait(60)
    assert said["epaas-train task add wine.csv"] == "wine/v1: 178 rows, 3 classes, 195 bits a record\n"
    assert "wine version 1, stable" in said["epaas-train publish bundles/wine"]
    assert "class_0" in said["epaas predict record.csv"]

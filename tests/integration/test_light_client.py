"""The client installed as docs/light-client.md says, without torch, predicts."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import TOY_NETWORK, TOY_SCHEMA, Server, random_records

ROOT = Path(__file__).parents[2]
RECORDS = random_records(TOY_SCHEMA, 2, seed=51)


def test_the_light_client_has_no_torch_and_predicts(server: Server, tmp_path: Path) -> None:
    environment = {**os.environ, "EPAAS_URL": server.url, "EPAAS_KEYSTORE": str(tmp_path / "keys")}
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "--no-deps", "-r", "requirements/light-client.txt", "."]
    subprocess.run(install, check=True, cwd=ROOT)
    missing = subprocess.run([python, "-c", "import torch"], capture_output=True, text=True, check=False)
    assert "No module named 'torch'" in missing.stderr

    def epaas(*arguments: str) -> dict[str, object]:
        command = [tmp_path / "venv" / "bin" / "epaas", "--json", *arguments]
        run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
        document: dict[str, object] = json.loads(run.stdout)
        return document

    (tmp_path / "passphrase").write_text("correct horse battery staple\n")
    with (tmp_path / "records.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(RECORDS[0]))
        writer.writeheader()
        writer.writerows(RECORDS)
    passphrase = ["--passphrase-file", str(tmp_path / "passphrase")]
    epaas("keys", "generate", *passphrase)
    predicted = epaas("predict", str(tmp_path / "records.csv"), "--model", "toy", *passphrase)["predictions"]
    assert isinstance(predicted, list)
    expected = TOY_NETWORK.predict(TOY_SCHEMA.encode(RECORDS))
    assert [row["index"] for row in predicted] == expected

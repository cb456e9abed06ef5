"""What the README says to type works."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from epaas_models.datasets import DataSettings, load, split
from tests.conftest import Server

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
BIN = Path(sys.executable).parent


def commands() -> list[str]:
    """Every command line of the README that runs one of ours, without its comment."""
    blocks = re.findall(r"```\n(.*?)```", README, flags=re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    stripped = [line.removeprefix("$ ").split("#")[0].split(">")[0].strip() for line in lines]
    return [line for line in stripped if line.startswith("epaas")]


def test_there_are_commands() -> None:
    assert len(commands()) >= 8


@pytest.mark.parametrize("line", sorted(set(commands())))
def test_every_command_of_the_readme_exists_with_its_options(line: str) -> None:
    """Each is run with ``--help`` behind it: an unknown subcommand or option would be refused before that."""
    program, *arguments = shlex.split(line)
    run = subprocess.run([BIN / program, *arguments, "--help"], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    for option in (argument for argument in arguments if argument.startswith("--")):
        assert option in run.stdout


def test_make_targets_of_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"(?:^|`)make ([a-z-]+)", README, flags=re.MULTILINE)):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_the_notebook_example_predicts(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = tmp_path / "bundle"
    fit = [BIN / "epaas-train", "fit", "breast-cancer", "--output", bundle, "--quick"]
    subprocess.run(fit, check=True, capture_output=True)
    published = server.publish(bundle)
    assert published.returncode == 0, published.stderr
    (example,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    dataset = load("breast-cancer", DataSettings())
    names: dict[str, Any] = {"record": dataset.record(int(split(dataset, 0).test[0]))}
    exec(compile(example.replace("http://127.0.0.1:8000", server.url), "README.md", "exec"), names)
    assert "malignant" in capsys.readouterr().out

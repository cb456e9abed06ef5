"""Commands of ``epaas-server`` as somebody at a shell gives them."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from server_making import BundleParts

from epaas_server.cli import main


@dataclass(frozen=True)
class Run:
    returncode: int
    stdout: str
    stderr: str


class Operator:
    """Someone at a shell, with a data folder and a bundle. Commands run in this process, which is much faster."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]) -> None:
        self.bundle = str(BundleParts().write(folder / "bundle"))
        self._patch = patch
        self._capture = capture
        patch.setenv("EPAAS_SERVER_DATA_DIR", str(folder / "data"))

    def run(self, *arguments: str) -> Run:
        self._patch.setattr(sys, "argv", ["epaas-server", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        assert isinstance(end.value.code, int)
        return Run(end.value.code, *self._capture.readouterr())

    def succeed(self, *arguments: str) -> Run:
        run = self.run(*arguments)
        assert run.returncode == 0, run.stderr
        return run

    def json(self, *arguments: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.succeed(*arguments, "--json").stdout)
        return document

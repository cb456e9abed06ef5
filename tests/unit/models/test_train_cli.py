"""The command ``epaas-train``: results on stdout, a clear line on stderr for what is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from epaas_models import descent
from epaas_models.cli import main
from epaas_models.configuration import load_configuration, shipped_configurations
from epaas_server.bundles import read_bundle
from epaas_shared.schema import InputSchema, shipped_schemas

TOY = """
name = "tiny"
title = "A short training"
task = "breast-cancer"
input_schema = "breast-cancer/v1"
validation_share = 0.0
[method]
kind = "binary-network"
[method.architecture]
hidden = [{ kind = "dense", outputs = 3 }]
[method.training]
epochs = 3
batch_size = 64
"""
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Runs the command in an empty folder; gives its exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def command(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["epaas-train", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        assert isinstance(ended.value.code, int)
        return (ended.value.code, *capsys.readouterr())

    return command


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """A configuration of the user's."""
    file = tmp_path / "toy.toml"
    file.write_text(TOY, "utf-8")
    return file


def test_list_shows_the_shipped_configurations(run: Run) -> None:
    code, out, _ = run("list", "--json")
    assert code == 0
    assert json.loads(out)["configurations"] == [
        {"configuration": name, "name": chosen.name, "task": chosen.task, "title": chosen.title}
        for name, chosen in ((name, load_configuration(name)) for name in shipped_configurations())
    ]
    lines = run("list")[1].splitlines()
    assert [line.split()[0] for line in lines] == list(shipped_configurations())


def test_help_loads_nothing_heavy() -> None:
    program = (
        "import sys; from epaas_models.cli import app; app(['fit', '--help'], standalone_mode=False); "
        "sys.exit(bool({'torch', 'sklearn', 'scipy'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr
    assert "Example:" in shown.stdout


@pytest.mark.parametrize("name", ["breast-cancer/v1", "breast-cancer/v2"])
def test_schema_learns_the_shipped_one_again(run: Run, name: str, tmp_path: Path) -> None:
    code, out, _ = run("schema", name)
    assert (code, InputSchema.model_validate_json(out)) == (0, shipped_schemas()[name])
    assert run("schema", name, "--output", str(tmp_path / "schema.json"))[:2] == (0, "")
    assert (tmp_path / "schema.json").read_text("utf-8") == out


def test_fit_writes_a_bundle_and_says_what_it_is(run: Run, toy: Path, tmp_path: Path) -> None:
    code, out, err = run("fit", str(toy), "--seed", "5", "--splits", "2", "--quick", "--json")
    assert (code, err) == (0, "")
    document, bundle = json.loads(out), read_bundle(tmp_path / "bundles/tiny")
    report = json.loads(bundle.files["report.json"])
    assert (document["bundle"], document["name"]) == ("bundles/tiny", "tiny")
    assert document["digest"] == bundle.digest
    assert document["accuracy"] == report["accuracy"]["accuracy"]["value"]
    assert document["majority_baseline"] == report["accuracy"]["baselines"][0]["accuracy"]["value"]
    assert document["random_splits"] == report["accuracy"]["random_splits"]
    assert document["robustness"] == report["robustness"]["verdict"]
    assert bundle.manifest.provenance.seed == 5
    assert bundle.manifest.provenance.command == f"epaas-train fit {toy} --seed 5 --splits 2 --quick --json"
    assert list((tmp_path / "bundles").iterdir()) == [tmp_path / "bundles/tiny"]  # no checkpoint is left


def test_fit_in_words(run: Run, toy: Path, tmp_path: Path) -> None:
    code, out, _ = run("fit", str(toy), "--output", "here", "--splits", "1", "--quick")
    assert code == 0
    first, second, third, fourth, fifth = out.splitlines()
    assert first == f"here: tiny {read_bundle(tmp_path / 'here').digest[:12]}"
    assert second.startswith("test accuracy 0.")
    assert third.startswith("confidence: ")
    assert fourth.startswith("robustness: ")
    assert fifth.startswith("mean of 1 random splits 0.")
    assert "deviation" not in fifth


def test_an_interrupted_fit_goes_on_to_the_same_weights(
    run: Run, toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("fit", str(toy), "--output", "whole", "--quick")[0] == 0
    saved: list[int] = []
    real = descent._save

    def interrupted(path: Path, epochs: int, parts: dict[str, Any]) -> None:
        real(path, epochs, parts)
        saved.append(epochs)
        if saved == [1, 2]:
            raise KeyboardInterrupt

    monkeypatch.setattr(descent, "_save", interrupted)
    assert run("fit", str(toy), "--output", "parts", "--quick")[0] == 130
    assert not (tmp_path / "parts/manifest.json").exists()
    assert list(tmp_path.glob(".parts-*.job/checkpoint"))
    assert (
        run("fit", str(toy), "--output", "parts", "--seed", "1", "--quick")[0] == 0
    )  # another run, with a checkpoint of its own
    assert saved == [1, 2, 1, 2, 3]
    assert run("fit", str(toy), "--output", "parts", "--quick")[0] == 0
    assert saved == [1, 2, 1, 2, 3, 3]
    weights = "weights.safetensors"
    assert (tmp_path / "parts" / weights).read_bytes() == (tmp_path / "whole" / weights).read_bytes()
    assert not list(tmp_path.glob(".parts-*"))


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("fit", "horoscopes"), 3, "there is no configuration 'horoscopes'"),
        (("schema", "horoscopes/v1"), 2, "there is no task 'horoscopes'"),
        (("schema", "breast-cancer/v9"), 2, "there is no schema 'breast-cancer/v9'"),
        (("schema", "breast-cancer"), 2, "there is no schema 'breast-cancer'"),
        (("schema", "breast-cancer/v1", "--output", "no/such/folder/x.json"), 3, "no/such/folder/x.json"),
        (("fit", "breast-cancer", "--splits", "-1"), 2, "--splits"),
        (("fit",), 2, "configuration"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(run: Run, arguments: tuple[str, ...], code: int, words: str) -> None:
    ended, out, err = run(*arguments)
    assert (ended, out) == (code, "")
    assert words in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("entry", "other", "code", "words"),
    [
        ("epochs = 3", "epochs = -3", 3, "epochs"),
        ('task = "breast-cancer"', 'task = "horoscopes"', 2, "there is no task 'horoscopes'"),
        ('{ kind = "dense", outputs = 3 }', '{ kind = "convolution", filters = 3, kernel = 2 }', 3, "needs an image"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(
    run: Run, toy: Path, entry: str, other: str, code: int, words: str
) -> None:
    toy.write_text(TOY.replace(entry, other), "utf-8")
    ended, out, err = run("fit", str(toy))
    assert (ended, out) == (code, "")
    assert err.startswith("epaas-train: error: ")
    assert words in err


def test_version(run: Run) -> None:
    code, out, _ = run("version")
    assert code == 0
    assert out.strip()

"""Configurations: those of the release are complete, and what is wrong with another is said by its entry."""

from __future__ import annotations

from pathlib import Path

import pytest

from epaas_models.configuration import (
    BinaryNetworkMethod,
    ModelConfiguration,
    RoundedRegressionMethod,
    load_configuration,
    shipped_configurations,
)
from epaas_models.datasets import TASKS
from epaas_shared.errors import ConfigurationError
from epaas_shared.schema import shipped_schemas

NEURAL = """
name = "toy"
title = "A toy"
task = "breast-cancer"
input_schema = "breast-cancer/v1"
{top}
[method]
kind = "binary-network"
{method}
[method.architecture]
{architecture}
[method.training]
epochs = 1
{training}
"""


def written(folder: Path, top: str = "", method: str = "", architecture: str = "", training: str = "") -> str:
    path = folder / "toy.toml"
    path.write_text(NEURAL.format(top=top, method=method, architecture=architecture, training=training), "utf-8")
    return str(path)


@pytest.mark.parametrize("name", shipped_configurations())
def test_a_shipped_configuration_fits_its_schema(name: str) -> None:
    configuration = load_configuration(name)
    schema = shipped_schemas()[configuration.input_schema]
    assert configuration.name == name
    assert configuration.task == schema.task
    assert configuration.task in TASKS
    method = configuration.method
    if isinstance(method, RoundedRegressionMethod):
        assert len(schema.classes) == 2
        assert configuration.output == "label"
        return
    specs = method.architecture.specs(schema)
    assert specs[0].inputs == schema.bits
    assert len(specs) == len(method.architecture.weights)
    assert max(len(method.training.limits), len(method.training.noise)) <= len(specs) - 1
    assert configuration.output == "label" or specs[-1].outputs == len(schema.classes)
    assert not configuration.strategies or len(configuration.strategies) == len(specs)


def test_the_shipped_configurations_cover_every_task_under_names_of_their_own() -> None:
    found = [load_configuration(name) for name in shipped_configurations()]
    assert {configuration.task for configuration in found} == set(TASKS)
    assert len({configuration.name for configuration in found}) == len(found)
    assert set(TASKS) <= set(shipped_configurations())


def test_a_file_says_the_same_as_its_text(tmp_path: Path) -> None:
    configuration = load_configuration(written(tmp_path, top="score_bits = 5", training="batch_size = 7"))
    assert isinstance(configuration.method, BinaryNetworkMethod)
    assert (configuration.score_bits, configuration.method.training.batch_size) == (5, 7)
    document = configuration.model_dump(mode="json", exclude_none=True)
    assert ModelConfiguration.model_validate(document) == configuration


@pytest.mark.parametrize(
    ("places", "field", "words"),
    [
        ({"top": "colour = 1"}, "colour", "not permitted"),
        ({"method": "colour = 1"}, "method.binary-network.colour", "not permitted"),
        ({"architecture": "colour = 1"}, "method.binary-network.architecture.colour", "not permitted"),
        ({"training": "colour = 1"}, "method.binary-network.training.colour", "not permitted"),
        ({"training": "batch_size = 1"}, "method.binary-network.training.batch_size", "greater than or equal to 2"),
        ({"training": "distillation = 0.5"}, "method.binary-network", "needs a teacher"),
        ({"method": "drop = 0.5"}, "method.binary-network", "fine_tuning"),
        ({"method": "drop = 1.0"}, "method.binary-network.drop", "less than 1"),
        ({"top": 'output = "scores"\nvalidation_share = 0.0'}, "", "validation_share"),
        ({"top": 'output = "poem"'}, "output", "'label' or 'scores'"),
        ({"top": "validation_share = 0.5"}, "validation_share", "less than 0.5"),
        ({"architecture": 'hidden = [{ kind = "pool" }]'}, "method.binary-network.architecture.hidden.0", "pool"),
        ({"training": "noise = 1"}, "method.binary-network.training.noise", "tuple"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, places: dict[str, str], field: str, words: str) -> None:
    file = written(tmp_path, **places)
    with pytest.raises(ConfigurationError, match=words) as caught:
        load_configuration(file)
    assert str(caught.value.field).startswith(field or file)
    assert file in str(caught.value.hint)


@pytest.mark.parametrize("line", ['name = "Toy Model"', "title = 3", ""])
def test_names_and_titles_are_checked(tmp_path: Path, line: str) -> None:
    entry = line.partition(" ")[0] or "name"
    text = "\n".join(row for row in NEURAL.splitlines() if not row.startswith(f"{entry} ="))
    file = tmp_path / "toy.toml"
    file.write_text(line + text.format(top="", method="", architecture="", training=""), "utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load_configuration(str(file))
    assert caught.value.field == entry


def test_broken_toml_is_named_with_its_line(tmp_path: Path) -> None:
    file = written(tmp_path, top="score_bits = = 3")
    with pytest.raises(ConfigurationError, match="line 6") as caught:
        load_configuration(file)
    assert caught.value.field == file


@pytest.mark.parametrize("name", ["horoscopes", "no/such/file.toml", "."])
def test_a_configuration_that_there_is_not_is_refused_with_those_that_there_are(name: str) -> None:
    with pytest.raises(ConfigurationError, match="there is no configuration") as caught:
        load_configuration(name)
    assert all(shipped in str(caught.value.hint) for shipped in shipped_configurations())


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "toy.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="there is no configuration"):
        load_configuration(str(tmp_path / "toy.toml"))


@pytest.mark.parametrize("entry", ["noise = [1.0, 1.0]", "limits = [9, 9]"])
def test_noise_and_limits_are_of_hidden_layers(tmp_path: Path, entry: str) -> None:
    path = written(tmp_path, architecture='hidden = [{ kind = "dense", outputs = 3 }]', training=entry)
    with pytest.raises(ConfigurationError, match="hidden layers, of which there are 1"):
        load_configuration(path)


def test_a_weight_that_is_too_large_is_told_the_limit(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="less than or equal to 63"):
        load_configuration(written(tmp_path, architecture="output_weights = 64"))

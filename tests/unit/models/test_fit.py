"""From a configuration to a bundle: teacher, network, scale of the scores, report, and going on after a stop."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from training_making import (
    fresh_network,
    picture_dataset,
    picture_schema,
    random_bits,
    same_network,
    table_dataset,
    table_schema,
)

from epaas_models import fit as fitting
from epaas_models import teacher
from epaas_models.architecture import Architecture
from epaas_models.confidence import class_sums, fit_scale
from epaas_models.configuration import ModelConfiguration, load_configuration
from epaas_models.datasets import Dataset, DataSettings, load, split
from epaas_models.fit import PUBLISHED_SPLIT, Trained, agreement, fit, train_model
from epaas_server.bundles import read_bundle
from epaas_shared.errors import ConfigurationError
from epaas_shared.heads import Scores
from epaas_shared.network import Network
from epaas_shared.report.agreement import Agreement, TorchAgreement
from epaas_shared.schema import InputSchema


def toy(method: dict[str, Any] | None = None, **entries: Any) -> ModelConfiguration:
    """A short training of a neuron, or of one a class, on ``toy/v1``."""
    short = {"epochs": 4, "batch_size": 20, "learning_rate": 0.2}
    document = {"name": "toy", "title": "A toy", "task": "toy", "input_schema": "toy/v1"}
    own = {"kind": "binary-network", "architecture": {}, "training": short, **(method or {})}
    return ModelConfiguration.model_validate({**document, "method": own, **entries})


def three_classes(rows: int = 300) -> Dataset:
    """Class 2 where two bits are set, class 1 where the first is, else class 0."""
    columns = {f"f{i}": column.astype(float) for i, column in enumerate(random_bits(rows, 10).T)}
    labels = np.where(columns["f0"] == 0, 0, 1 + columns["f1"]).astype(np.int64)
    return Dataset("toy", "a test", "answer", table_schema(10, 3).classes, columns, labels)


def ship(schema: InputSchema, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "shipped_schemas", lambda: {schema.name: schema})


def test_the_report_of_a_shipped_configuration_is_complete(tmp_path: Path) -> None:
    configuration, dataset = load_configuration("breast-cancer-fine"), load("breast-cancer", DataSettings())
    fitted = fit(configuration, dataset, tmp_path, seed=0, command="here", evaluation_splits=1, thoroughness="quick")
    report = fitted.report
    assert (report.task, report.limits) == (configuration.input_schema, configuration.limits)
    assert report.weights == fitted.manifest.files["weights.safetensors"]
    assert report.agreement == Agreement(torch=None, encrypted=None)  # no torch in it
    assert report.accuracy.random_splits is not None
    assert report.accuracy.random_splits.mean == report.accuracy.accuracy.value  # the only split is this one
    assert {evaluation.threat.norm for evaluation in report.robustness.evaluations} == {"linf-numbers", "columns"}
    assert [claim.claimed for claim in report.claims] == [0.971]
    again = ModelConfiguration.model_validate(read_bundle(tmp_path).manifest.provenance.configuration)
    assert again == configuration


def test_scores_are_calibrated_on_validation_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset, schema = three_classes(), table_schema(10, 3)
    ship(schema, monkeypatch)
    configuration = toy(output="scores", score_bits=3, validation_share=0.2)
    fitted = fit(configuration, dataset, tmp_path, seed=0, command="", thoroughness="quick")
    rows = split(dataset, PUBLISHED_SPLIT)
    _, validation = rows.validation(dataset, 0.2)
    bits = schema.encode_columns(dataset.columns)
    scale = fit_scale(class_sums(fitted.network, bits[validation]), dataset.labels[validation], 3)
    assert fitted.network.head == Scores(3, scale)
    assert fitted.manifest.scores == read_bundle(tmp_path).network.scores == scale
    unit = fitted.manifest.logit_unit
    assert unit is not None
    assert fitted.report.calibration.seen_by_client
    assert fitted.report.calibration.temperature_by_nll * unit == pytest.approx(scale.temperature)
    agreement_of_torch = fitted.report.agreement.torch
    assert agreement_of_torch is not None
    assert agreement_of_torch.agree == agreement_of_torch.rows == len(rows.test)
    labels = dataset.labels.copy()
    labels[rows.test] = (labels[rows.test] + 1) % 3
    changed = replace(dataset, labels=labels)
    other = fit(configuration, changed, tmp_path / "other", seed=0, command="", thoroughness="quick")
    assert other.network.head == fitted.network.head
    assert other.report.accuracy.accuracy.value < fitted.report.accuracy.accuracy.value


def test_validation_rows_are_not_learnt_from(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    dataset = table_dataset(200)
    ship(table_schema(10), monkeypatch)
    _, validation = split(dataset, PUBLISHED_SPLIT).validation(dataset, 0.3)
    labels = dataset.labels.copy()
    labels[validation] = 1 - labels[validation]

    def learnt(share: float, data: Dataset) -> Network:
        configuration = toy(validation_share=share)
        return fit(configuration, data, tmp_path, seed=0, command="", thoroughness="quick").network

    one = learnt(0.3, dataset)
    assert same_network(one, learnt(0.3, replace(dataset, labels=labels)))
    assert not same_network(one, learnt(0.0, dataset))


def test_a_network_that_torch_disagrees_with_is_not_published() -> None:
    bits = random_bits(1500, 10)
    one, other = (fresh_network(table_schema(10), Architecture(), seed).eval() for seed in (0, 1))
    assert agreement(Trained(one.export(), 1.0, one), bits) == TorchAgreement(rows=1500, agree=1500)
    with pytest.raises(ArithmeticError, match="of 1500 rows only"):
        agreement(Trained(one.export(), 1.0, other), bits)


class Stopped(Exception):
    """Somebody pulled the plug."""


TUNED = {"drop": 0.5, "fine_tuning": {"epochs": 2, "batch_size": 20, "learning_rate": 0.01}}


@pytest.mark.parametrize(("phase", "step"), [("train", 6), ("fine-tune", 3)])
def test_training_goes_on_where_it_was(tmp_path: Path, phase: str, step: int) -> None:
    dataset, schema, rows = table_dataset(100), table_schema(10), np.arange(100)

    def stop(what: str, done: int, _total: int) -> None:
        if (what, done) == (phase, step):
            raise Stopped

    whole = train_model(toy(TUNED), dataset, rows, schema, seed=3).network
    file = tmp_path / "checkpoint"
    with pytest.raises(Stopped):
        train_model(toy(TUNED), dataset, rows, schema, seed=3, progress=stop, checkpoint=file)
    steps: list[tuple[str, int]] = []
    resumed = train_model(
        toy(TUNED),
        dataset,
        rows,
        schema,
        seed=3,
        progress=lambda what, done, _total: steps.append((what, done)),
        checkpoint=file,
    ).network
    assert same_network(resumed, whole)
    trained = [done for what, done in steps if what == "train"]
    assert trained == (list(range(6, 21)) if phase == "train" else [])
    assert int((whole.layers[0].weights == 0).sum()) >= 5


def test_one_teacher_serves_all_pupils_of_the_same_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[int] = []
    real = teacher.train_float

    def counted(*arguments: Any) -> Any:
        trained.append(arguments[3])
        return real(*arguments)

    monkeypatch.setattr(teacher, "train_float", counted)
    dataset, schema, rows = picture_dataset(80), picture_schema(), np.arange(80)
    short = {"epochs": 2, "batch_size": 20, "learning_rate": 0.03}
    method = {"teacher": {"epochs": 1, "batch_size": 20}, "augmentation": {"shift": 1.0}}

    def pupil(share: float, seed: int = 0) -> Trained:
        taught = toy({**method, "training": {**short, "distillation": share}})
        return train_model(taught, dataset, rows, schema, seed=seed, teachers=tmp_path)

    one, again, other = pupil(0.9), pupil(0.9), pupil(0.0)
    assert trained == [0]
    assert same_network(one.network, again.network)
    assert not same_network(one.network, other.network)
    pupil(0.9, seed=1)
    assert trained == [0, 1]
    assert len(list(tmp_path.glob("*/logits-*.npy"))) == 4  # two epochs of two teachers


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"task": "breast-cancer", "input_schema": "breast-cancer/v7"}, "input_schema"),
        ({"task": "breast-cancer", "input_schema": "mnist/v1"}, "input_schema"),
        ({"task": "breast-cancer", "input_schema": "breast-cancer/v1", "output": "scores"}, "output"),
        ({"task": "mnist", "input_schema": "mnist/v1", "method": {"kind": "rounded-regression"}}, "method.kind"),
    ],
)
def test_what_does_not_go_together_is_said_before_anything_is_trained(changes: dict[str, Any], field: str) -> None:
    document = toy().model_dump(mode="json") | changes
    with pytest.raises(ConfigurationError) as error:
        fitting.schema_of(ModelConfiguration.model_validate(document))
    assert error.value.field == field
    assert error.value.hint

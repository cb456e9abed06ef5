"""From a CSV file never seen before to a trained, measured bundle, by defaults alone."""

from __future__ import annotations

import io
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_wine
from tables_making import csv_bytes

from epaas_models.configuration import BinaryNetworkMethod, RoundedRegressionMethod
from epaas_models.datasets import split
from epaas_models.examples import TaskExamples
from epaas_models.export import read_bundle
from epaas_models.fit import PUBLISHED_SPLIT, fit, schema_of, train_model
from epaas_models.tables import Table, TableDescription, description_of, freeze_task, propose_schema, read_table
from epaas_models.tables.defaults import FEW_ROWS, SCORED_ROWS, default_configuration
from epaas_shared.errors import ConfigurationError, Fault
from epaas_shared.schema import InputSchema

LOADERS = {"wine": load_wine, "tumours": load_breast_cancer}


def own(name: str, tmp_path: Path, **entries: object) -> tuple[Table, TableDescription, InputSchema]:
    """A data set of scikit-learn as a provider would bring it: a CSV file, and the name of its label."""
    bunch = LOADERS[name]()
    rows = [
        [*map(repr, row.tolist()), bunch.target_names[label]]
        for row, label in zip(bunch.data, bunch.target, strict=True)
    ]
    path = tmp_path / f"{name}.csv"
    path.write_bytes(csv_bytes([*map(str, bunch.feature_names), "kind"], rows))
    described = description_of({"task": name, "label": "kind", **entries})
    table = read_table(path, described)
    schema = propose_schema(table.dataset, described, split(table.dataset, PUBLISHED_SPLIT))
    return table, described, freeze_task(tmp_path / "tasks", schema)


@pytest.mark.parametrize(
    ("name", "encoding"), [("wine", "thresholds"), ("tumours", "thresholds"), ("wine", "one-hot-bins")]
)
def test_a_model_by_defaults_is_far_better_than_the_commonest_class(name: str, encoding: str, tmp_path: Path) -> None:
    table, _, schema = own(name, tmp_path, encoding=encoding)
    dataset, rows = table.dataset, split(table.dataset, PUBLISHED_SPLIT)
    configuration = default_configuration(schema, dataset, "first")
    fitting, _ = rows.validation(dataset, configuration.validation_share)
    trained = train_model(configuration, dataset, fitting, schema, seed=0)
    test = TaskExamples(dataset, rows.test, schema)
    accuracy = np.mean(np.array(trained.network.predict(test.bits)) == test.labels)
    majority = np.bincount(test.labels).max() / len(test)
    assert accuracy > max(0.85, majority + 0.2)


@pytest.mark.slow
def test_a_table_becomes_a_bundle_with_its_report(tmp_path: Path) -> None:
    table, described, schema = own("tumours", tmp_path, source="a hospital")
    configuration = default_configuration(schema, table.dataset, "tumours-first")
    fitted = fit(
        configuration,
        table.dataset,
        tmp_path / "bundle",
        seed=0,
        command="a test",
        evaluation_splits=1,
        thoroughness="quick",
        own_schema=schema,
        learn=lambda dataset, rows: propose_schema(dataset, described, rows),
    )
    accuracy = fitted.report.accuracy
    assert accuracy.accuracy.interval[0] > accuracy.baselines[0].accuracy.value
    assert accuracy.random_splits is not None
    assert accuracy.random_splits.mean == accuracy.accuracy.value  # the only split is this one
    assert fitted.report.data.source == "a hospital"
    bundle = read_bundle(tmp_path / "bundle")
    assert bundle.schema == schema
    assert bundle.manifest.provenance.data_digest == table.dataset.digest


def test_the_default_method_follows_from_rows_classes_and_encoding(tmp_path: Path) -> None:
    table, _, wine = own("wine", tmp_path)
    tumours_table, _, tumours = own("tumours", tmp_path)
    default = partial(default_configuration, name="first")
    assert isinstance(default(tumours, tumours_table.dataset).method, RoundedRegressionMethod)
    few = default(wine, table.dataset)
    assert isinstance(few.method, BinaryNetworkMethod)
    assert (few.method.architecture.hidden, few.output) == ((), "label")
    copies = 10 * FEW_ROWS // len(table.dataset)
    rows = np.tile(np.arange(len(table.dataset)), copies)
    large = replace(
        table.dataset,
        columns={name: column[rows] for name, column in table.dataset.columns.items()},
        labels=table.dataset.labels[rows],
    )
    assert len(large) > max(FEW_ROWS, SCORED_ROWS)
    many = default(wine, large)
    assert isinstance(many.method, BinaryNetworkMethod)
    assert (len(many.method.architecture.hidden), many.output) == (1, "scores")
    assert many.method.training.epochs < few.method.training.epochs
    for found, schema in ((few, wine), (many, wine), (default(tumours, tumours_table.dataset), tumours)):
        assert schema_of(found, schema) == schema  # what goes with the task, the method and the output


def test_limits_tell_what_was_warned_of(tmp_path: Path) -> None:
    table, _, schema = own("wine", tmp_path)
    warning = Fault("rows", "3 rows are copies of others", "remove them")
    limits = default_configuration(schema, table.dataset, "first", warnings=[warning]).limits
    assert limits[-1] == "rows: 3 rows are copies of others."
    assert limits[0].startswith("178 rows")
    assert "40%" in limits[1]  # 71 of the class class_1


def test_a_configuration_of_another_version_of_the_task_is_refused(tmp_path: Path) -> None:
    table, described, first = own("wine", tmp_path)
    finer = description_of(described.model_dump(exclude_unset=True) | {"bins": 20})
    rows = split(table.dataset, PUBLISHED_SPLIT)
    second = freeze_task(tmp_path / "tasks", propose_schema(table.dataset, finer, rows))
    assert (first.name, second.name) == ("wine/v1", "wine/v2")
    with pytest.raises(ConfigurationError) as caught:
        schema_of(default_configuration(first, table.dataset, "first"), second)
    assert caught.value.field == "input_schema"


def test_a_stream_does_as_well_as_a_file(tmp_path: Path) -> None:
    table, described, _ = own("wine", tmp_path)
    again = read_table(io.BytesIO((tmp_path / "wine.csv").read_bytes()), described)
    assert again.dataset.digest == table.dataset.digest

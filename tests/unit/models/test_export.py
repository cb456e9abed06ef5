"""From training to serving: a written bundle is what the server reads, and no byte of it can change unnoticed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.report_making import least_report
from training_making import same_network

from epaas_models.configuration import ModelConfiguration
from epaas_models.datasets import Dataset, DataSettings, load, split
from epaas_models.export import provenance, write_bundle
from epaas_models.fit import Fitted, fit
from epaas_models.reliability.accuracy.classification import accuracy
from epaas_server.bundles import read_bundle
from epaas_shared.digest import digest_bytes
from epaas_shared.errors import InvalidBundle
from epaas_shared.heads import Scores
from epaas_shared.layers import DenseLayer
from epaas_shared.network import Network
from epaas_shared.ranges import worst_case_ranges
from epaas_shared.report import read_report
from epaas_shared.report.agreement import TorchAgreement
from epaas_shared.schema import shipped_schemas
from epaas_shared.scores import ScoreScale

CANCER_SCHEMA = "breast-cancer/v1"
CONFIGURATION = ModelConfiguration.model_validate(
    {
        "name": "breast-cancer-tiny",
        "title": "Three hidden neurons",
        "task": "breast-cancer",
        "input_schema": CANCER_SCHEMA,
        "validation_share": 0.0,
        "limits": ("A test.",),
        "method": {
            "kind": "binary-network",
            "architecture": {"hidden": [{"kind": "dense", "outputs": 3}]},
            "training": {"epochs": 6, "batch_size": 32, "learning_rate": 0.05},
        },
    }
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("export") / "breast-cancer"


@pytest.fixture(scope="module")
def cancer() -> Dataset:
    return load("breast-cancer", DataSettings())


@pytest.fixture(scope="module")
def fitted(cancer: Dataset, folder: Path) -> Fitted:
    return fit(
        CONFIGURATION, cancer, folder, seed=4, evaluation_splits=2, command="epaas-train fit", thoroughness="quick"
    )


def test_the_server_reads_what_training_wrote(fitted: Fitted, folder: Path) -> None:
    bundle = read_bundle(folder)
    assert bundle.digest == fitted.manifest.digest == digest_bytes((folder / "manifest.json").read_bytes())
    assert bundle.schema == shipped_schemas()[CANCER_SCHEMA]
    assert all(layer.weights.any() for layer in bundle.network.layers)
    for read, trained in zip(bundle.network.layers, fitted.network.layers, strict=True):
        assert read.weights.tolist() == trained.weights.tolist()
        assert read.thresholds.tolist() == trained.thresholds.tolist()
    assert read_report(bundle.files["report.json"]) == fitted.report


def test_the_report_is_about_the_published_network_and_its_test_rows(fitted: Fitted, cancer: Dataset) -> None:
    rows = split(cancer, 0)
    bits = shipped_schemas()[CANCER_SCHEMA].encode_columns(cancer.columns)
    report, test = fitted.report, fitted.report.accuracy
    assert test.accuracy.rows == report.data.test_rows == len(rows.test) == 171
    assert test.accuracy.value == accuracy(fitted.network, bits[rows.test], cancer.labels[rows.test])
    assert sum(map(sum, test.confusion)) == 171
    assert "benign" in test.baselines[0].name
    assert (report.data.source, report.data.digest, report.data.split) == (
        cancer.source,
        cancer.digest,
        rows.describe(),
    )
    assert test.random_splits is not None
    assert test.random_splits.splits == 2
    assert report.agreement.torch == TorchAgreement(rows=171, agree=171)
    assert (report.calibration.seen_by_client, report.limits) == (False, ("A test.",))


def test_the_manifest_says_where_the_model_comes_from(fitted: Fitted, cancer: Dataset) -> None:
    origin = fitted.manifest.provenance
    assert (fitted.manifest.name, fitted.manifest.title) == (CONFIGURATION.name, CONFIGURATION.title)
    assert (origin.seed, origin.command, origin.data_digest) == (4, "epaas-train fit", cancer.digest)
    assert {"python", "epaas", "torch", "numpy", "scikit-learn"} <= set(origin.versions)


def test_the_configuration_in_the_manifest_gives_the_same_weights_file(
    fitted: Fitted, cancer: Dataset, folder: Path, tmp_path: Path
) -> None:
    origin = read_bundle(folder).manifest.provenance
    configuration = ModelConfiguration.model_validate(origin.configuration)
    again = fit(configuration, cancer, tmp_path, seed=origin.seed, command="x", thoroughness="quick")
    assert again.report.accuracy.random_splits is None
    assert same_network(again.network, fitted.network)
    for name in ("weights.safetensors", "schema.json"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


@pytest.mark.parametrize("name", ["weights.safetensors", "schema.json", "report.json"])
def test_no_byte_of_a_file_changes_unnoticed(fitted: Fitted, folder: Path, tmp_path: Path, name: str) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    read_bundle(tmp_path)
    data = (folder / name).read_bytes()
    for position in {*range(0, len(data), max(1, len(data) // 60)), len(data) - 1}:
        (tmp_path / name).write_bytes(data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :])
        with pytest.raises(InvalidBundle) as caught:
            read_bundle(tmp_path)
        assert caught.value.field == f"files.{name}"


def test_no_byte_of_the_manifest_changes_without_its_digest(fitted: Fitted, folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    data = (folder / "manifest.json").read_bytes()
    refused = 0
    for position in range(0, len(data), 3):
        (tmp_path / "manifest.json").write_bytes(data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :])
        try:
            assert read_bundle(tmp_path).digest != fitted.manifest.digest
        except InvalidBundle:
            refused += 1
    assert refused > 100


def test_the_manifest_says_how_far_sums_reached_on_the_training_rows(fitted: Fitted, cancer: Dataset) -> None:
    schema = shipped_schemas()[CANCER_SCHEMA]
    bits = schema.encode_columns(cancer.columns)[split(cancer, 0).training]
    measured = fitted.manifest.measured_ranges
    assert measured is not None
    hidden, output = fitted.network.layers
    assert [(of.minimum, of.maximum, of.records) for of in measured] == [
        (hidden.sums(bits).min(), hidden.sums(bits).max(), 398),
        (output.sums(hidden.sums(bits) >= 0).min(), output.sums(hidden.sums(bits) >= 0).max(), 398),
    ]
    for seen, worst in zip(measured, worst_case_ranges(fitted.network, schema.encodings), strict=True):
        assert worst.minimum <= seen.minimum <= seen.maximum <= worst.maximum


def test_a_network_of_scores_is_read_as_one(tmp_path: Path) -> None:
    schema = shipped_schemas()[CANCER_SCHEMA]
    random = np.random.default_rng(0)
    head = Scores(2, ScoreScale(bits=3, minimum=-20, step=5))
    network = Network((DenseLayer(random.integers(-1, 2, (2, 90)), np.array([1, -1])),), head)
    origin = provenance(command="", seed=0, data="", data_digest="0" * 64, split="", configuration={})
    manifest = write_bundle(
        tmp_path / "x",
        name="x",
        title="x",
        network=network,
        schema=schema,
        report=least_report(schema, "0" * 64),
        provenance=origin,
    )
    assert (manifest.output, manifest.scores, manifest.measured_ranges) == ("scores", head.scale, None)
    assert read_bundle(tmp_path / "x").network.head == head


def test_a_network_beyond_the_format_is_not_written(tmp_path: Path) -> None:
    schema = shipped_schemas()[CANCER_SCHEMA]
    network = Network((DenseLayer(np.full((1, 90), 2**15), np.array([600])),))
    origin = provenance(command="", seed=0, data="", data_digest="0" * 64, split="", configuration={})
    with pytest.raises(InvalidBundle) as caught:
        write_bundle(
            tmp_path / "x",
            name="x",
            title="x",
            network=network,
            schema=schema,
            report=least_report(schema, "0" * 64),
            provenance=origin,
        )
    assert caught.value.field == "layers.0.weights"
    assert not (tmp_path / "x").exists()

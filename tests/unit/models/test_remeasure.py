"""Reports of trained models: measured again, and with encrypted predictions beside the plain ones."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from epaas_models import remeasure
from epaas_models.configuration import load_configuration
from epaas_models.datasets import Dataset, DataSettings, load, split
from epaas_models.export import read_bundle, replace_report
from epaas_models.fit import PUBLISHED_SPLIT, fit
from epaas_models.remeasure import add_encrypted, measure_again, sample_records
from epaas_shared.bundle_folder import Bundle
from epaas_shared.errors import ConfigurationError, InvalidInput
from epaas_shared.report import Report, read_report, report_bytes


def silent(_what: str, _done: int, _total: int) -> None:
    pass


@pytest.fixture(scope="module")
def cancer() -> Dataset:
    return load("breast-cancer", DataSettings())


@pytest.fixture(scope="module")
def folder(cancer: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("remeasure") / "bundle"
    fit(load_configuration("breast-cancer"), cancer, target, seed=0, command="first", thoroughness="quick")
    return target


@pytest.fixture
def bundle(folder: Path) -> Bundle:
    return read_bundle(folder)


def report_of(bundle: Bundle) -> Report:
    return read_report(bundle.files["report.json"])


def test_measured_again_it_is_the_same_but_for_times(bundle: Bundle) -> None:
    again = measure_again(bundle, thoroughness="quick", seed=0, command="again", progress=silent)
    first = report_of(bundle)
    assert again.made.command == "again"
    assert again.model_copy(update={"made": first.made}) == first


def test_what_was_measured_on_other_weights_is_not_kept(bundle: Bundle) -> None:
    """Else agreement would be claimed of a network that nobody compared."""
    report = report_of(bundle)
    assert report.agreement.torch is not None
    of_another = report_bytes(report.model_copy(update={"weights": "1" * 64}))
    mixed = replace(bundle, files={**bundle.files, "report.json": of_another})
    again = measure_again(mixed, thoroughness="quick", seed=0, command="again", progress=silent)
    assert again.agreement.torch is None
    assert again.weights == report.weights


def test_another_seed_attacks_other_rows(bundle: Bundle) -> None:
    again = measure_again(bundle, thoroughness="quick", seed=1, command="again", progress=silent)
    assert again.accuracy.accuracy == report_of(bundle).accuracy.accuracy
    assert again.robustness != report_of(bundle).robustness


def test_a_report_is_replaced_and_the_network_is_not(bundle: Bundle, folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    changed = report_of(bundle).model_copy(update={"intended_use": "Another."})
    manifest = replace_report(tmp_path, bundle, changed)
    found = read_bundle(tmp_path)
    assert found.digest == manifest.digest != bundle.digest
    assert report_of(found) == changed
    assert {**found.manifest.files, "report.json": ""} == {**bundle.manifest.files, "report.json": ""}


def test_other_data_than_the_models_are_refused(
    bundle: Bundle, cancer: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    altered = Dataset(cancer.name, cancer.source, cancer.target, cancer.classes, cancer.columns, 1 - cancer.labels)
    monkeypatch.setattr(remeasure, "load", lambda *_: altered)
    with pytest.raises(ConfigurationError, match="the data at hand"):
        measure_again(bundle, thoroughness="quick", seed=0, command="", progress=silent)


def test_the_sample_is_of_test_rows_with_their_labels(bundle: Bundle, cancer: Dataset) -> None:
    records = sample_records(bundle, 30, seed=3, progress=silent)
    known = {json.dumps(cancer.record(row)): row for row in split(cancer, PUBLISHED_SPLIT).test.tolist()}
    rows = [known[json.dumps({k: v for k, v in record.items() if k != cancer.target})] for record in records]
    assert len(set(rows)) == 30
    assert [record[cancer.target] for record in records] == [cancer.classes[cancer.labels[row]] for row in rows]
    assert records != sample_records(bundle, 30, seed=4, progress=silent)


def predictions(bundle: Bundle, records: list[dict[str, Any]]) -> dict[str, Any]:
    """What a client would have written, had it decrypted what the plain network says."""
    truths = [record[bundle.schema.target] for record in records]
    bits = bundle.schema.encode([{k: v for k, v in r.items() if k != bundle.schema.target} for r in records])
    rows = [
        {"index": index, "label": bundle.schema.classes[index], "scores": None, "truth": truth}
        for index, truth in zip(bundle.network.predict(bits), truths, strict=True)
    ]
    return {
        "predictions": rows,
        "model_digest": bundle.digest,
        "seconds": {"evaluate": 3.0},
        "bytes": {"record": 2476, "result": 16703},
        "bootstraps": 50,
        "threads": 2,
    }


def test_encrypted_predictions_are_counted(bundle: Bundle, tmp_path: Path) -> None:
    document = predictions(bundle, sample_records(bundle, 10, seed=0, progress=silent))
    file = tmp_path / "predictions.json"
    file.write_text(json.dumps(document))
    found = add_encrypted(bundle, file, seed=0, progress=silent).agreement.encrypted
    assert found is not None
    assert (found.rows, found.agree, found.bootstraps, found.seconds) == (10, 10, 5, 0.3)
    assert found.right == sum(bundle.schema.classes[row["index"]] == row["truth"] for row in document["predictions"])
    document["predictions"][4]["index"] ^= 1
    file.write_text(json.dumps(document))
    one_off = add_encrypted(bundle, file, seed=0, progress=silent).agreement.encrypted
    assert one_off is not None
    assert one_off.agree == 9


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"model_digest": "0" * 64}, "model_digest"),
        ({"predictions": []}, "predictions.json"),
        ({"bootstraps": "many"}, "predictions.json"),
    ],
)
def test_predictions_of_something_else_are_refused(
    bundle: Bundle, tmp_path: Path, change: dict[str, Any], field: str
) -> None:
    file = tmp_path / "predictions.json"
    file.write_text(json.dumps(predictions(bundle, sample_records(bundle, 5, seed=0, progress=silent)) | change))
    with pytest.raises(InvalidInput) as caught:
        add_encrypted(bundle, file, seed=0, progress=silent)
    assert str(caught.value.field).endswith(field)
    file.write_text(json.dumps(predictions(bundle, sample_records(bundle, 5, seed=1, progress=silent))))
    with pytest.raises(InvalidInput):
        add_encrypted(bundle, file, seed=0, progress=silent)
    with pytest.raises(InvalidInput, match="cannot be read"):
        add_encrypted(bundle, tmp_path / "missing.json", seed=0, progress=silent)

"""Schemas: learnt from training rows alone, and those that are shipped are what their data teach."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from epaas_models import schema_learning
from epaas_models.datasets import Dataset, DataSettings, load, split
from epaas_models.schema_learning import diabetes_schema, image_schema, learn_schema, threshold_schema
from epaas_shared.errors import InvalidRequest
from epaas_shared.features import CategoryFeature, ImageFeature, NumberFeature
from epaas_shared.schema import InputSchema, shipped_schemas

AT_HAND = os.environ.get("EPAAS_DATA_DIR") is not None


@pytest.fixture(scope="module")
def cancer() -> Dataset:
    return load("breast-cancer", DataSettings())


def learnt(dataset: Dataset, seed: int = 0) -> InputSchema:
    return learn_schema("breast-cancer/v1", dataset, split(dataset, seed))


def stays(rows: int = 300) -> Dataset:
    """A number that is nearly always 0, another that is even, two categories with rare and missing values."""
    random = np.random.default_rng(9)
    visits = (np.arange(rows) % 50 == 0) * 3.0
    codes = [f"code {random.geometric(0.2)}" if row % 7 else "" for row in range(rows)]
    return Dataset(
        name="stays",
        source="a test",
        target="again",
        classes=("no", "yes"),
        columns={
            "code": np.array(codes, dtype=object),
            "visits": visits,
            "age": random.permutation(rows).astype(float),
            "same": np.array(["No"] * rows, dtype=object),
        },
        labels=np.arange(rows) % 2,
        groups=np.arange(rows) // 2,
    )


@pytest.mark.parametrize(("name", "kind"), [("breast-cancer/v1", "one-hot-bins"), ("breast-cancer/v2", "thresholds")])
def test_the_shipped_schemas_of_cancer_are_what_split_0_teaches(cancer: Dataset, name: str, kind: str) -> None:
    shipped = shipped_schemas()[name]
    found, other = (learn_schema(name, cancer, split(cancer, seed)) for seed in (0, 1))
    assert found == shipped
    assert (found.name, found.digest) == (name, shipped.digest)
    assert {feature.kind for feature in found.features} == {kind}
    assert other.features != found.features


def test_the_shipped_file_is_what_is_learnt_again(cancer: Dataset) -> None:
    """Each entry of the file is in the schema as it is learnt, and none is missing."""
    for version in (1, 2):
        text = (resources.files("epaas_shared") / f"tasks/breast-cancer.v{version}.json").read_text("utf-8")
        found = learn_schema(f"breast-cancer/v{version}", cancer, split(cancer, 0))
        assert InputSchema.model_validate_json(text) == found
        assert json.loads(text) == json.loads(found.model_dump_json())


def test_the_finer_schema_of_cancer_has_its_thresholds_at_31_quantiles(cancer: Dataset) -> None:
    rows = split(cancer, 0)
    schema = learn_schema("breast-cancer/v2", cancer, rows)
    bits = schema.encode_columns({name: column[rows.training] for name, column in cancer.columns.items()})
    assert schema.bits == bits.shape[1] <= 930
    start = 0
    for feature in schema.features:
        assert isinstance(feature, NumberFeature)
        above = bits[:, start : start + feature.bits].mean(axis=0)
        start += feature.bits
        if feature.bits == 31:  # no ties
            assert above == pytest.approx(np.arange(31, 0, -1) / 32, abs=0.06)
    assert sum(feature.bits == 31 for feature in schema.features) > 20


@pytest.mark.skipif(not AT_HAND, reason="EPAAS_DATA_DIR does not say where the real files are")
@pytest.mark.parametrize("name", shipped_schemas())
def test_the_shipped_schemas_are_what_split_0_of_the_real_data_teaches(name: str, tmp_path: Path) -> None:
    task = name.partition("/")[0]
    dataset, shipped = load(task, DataSettings(data_cache_dir=tmp_path)), shipped_schemas()[name]
    found = learn_schema(name, dataset, split(dataset, 0))
    if task == "faces":  # how a JPEG is decoded depends on the library
        found = found.model_copy(update={"learnt_from": shipped.learnt_from})
    assert found == shipped
    rows = range(0, len(dataset), len(dataset) // 5)
    bits = shipped.encode([json.loads(json.dumps(dataset.record(row))) for row in rows])
    assert (bits == shipped.encode_columns({name: column[rows] for name, column in dataset.columns.items()})).all()


@pytest.mark.parametrize("name", ["horoscopes", "breast-cancer", "breast-cancer/v3", "breast-cancer/1"])
def test_a_schema_that_there_is_not_is_refused_with_those_that_there_are(cancer: Dataset, name: str) -> None:
    with pytest.raises(InvalidRequest, match=name) as caught:
        learn_schema(name, cancer, split(cancer, 0))
    assert "breast-cancer/v2" in str(caught.value.hint)


@pytest.mark.parametrize("seed", [0, 1])
def test_bins_are_learnt_on_training_rows_only(cancer: Dataset, seed: int) -> None:
    rows = split(cancer, seed)
    beyond = {name: column.copy() for name, column in cancer.columns.items()}
    for column in beyond.values():
        column[rows.test] = column[rows.test] * 1000 + 1e6
    assert learnt(replace(cancer, columns=beyond), seed).features == learnt(cancer, seed).features
    for column in beyond.values():
        column[rows.training[0]] = 1e6
    assert learnt(replace(cancer, columns=beyond), seed).features != learnt(cancer, seed).features


def test_bins_are_of_equal_width_between_the_extremes_of_training(cancer: Dataset) -> None:
    for feature in learnt(cancer).features:
        assert isinstance(feature, NumberFeature)
        column = cancer.columns[feature.name][split(cancer, 0).training]
        low, high = column.min(), column.max()
        assert feature.edges == pytest.approx([low + (high - low) / 3, low + 2 * (high - low) / 3])
        assert feature.minimum == 0
        assert feature.maximum == pytest.approx(2 * high)


def test_thresholds_are_at_quantiles_or_equally_spaced(cancer: Dataset) -> None:
    rows = split(cancer, 0)
    quantile = threshold_schema(cancer, rows, thresholds=3, spacing="quantile", title="Toy", version=2)
    equal = threshold_schema(cancer, rows, thresholds=3, spacing="equal", title="Toy", version=2)
    assert (quantile.bits, equal.bits, quantile.version) == (90, 90, 2)
    for one, other in zip(quantile.features, equal.features, strict=True):
        assert isinstance(one, NumberFeature)
        assert isinstance(other, NumberFeature)
        column = cancer.columns[one.name][rows.training]
        assert one.kind == other.kind == "thresholds"
        assert one.edges == pytest.approx(np.quantile(column, [0.25, 0.5, 0.75]))
        assert other.edges == pytest.approx(column.min() + np.array([0.25, 0.5, 0.75]) * np.ptp(column))


def test_quantiles_that_are_the_same_are_one_threshold() -> None:
    """Nearly all visits are 0, so that all quantiles are: the only threshold is the next value."""
    dataset = stays()
    numbers = replace(dataset, columns={name: dataset.columns[name] for name in ("visits", "age")})
    schema = threshold_schema(numbers, split(dataset, 0), thresholds=4, spacing="quantile", title="Toy", version=1)
    visits, age = schema.features
    assert isinstance(visits, NumberFeature)
    assert visits.edges == (3.0,)
    assert age.bits == 4


@pytest.mark.parametrize("wanted", [20, 25, 28])
def test_categories_are_kept_by_their_count_to_give_the_bits_that_are_wanted(
    wanted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema_learning, "_DIABETES_BITS", wanted)
    dataset = stays()
    rows = split(dataset, 0)
    schema = diabetes_schema(dataset, rows)
    code, visits, age, same = schema.features
    assert [feature.name for feature in schema.features] == ["code", "visits", "age", "same"]
    assert (visits.bits, age.bits, same.bits) == (2, 10, 2)
    assert isinstance(code, CategoryFeature)
    assert code.other
    assert "" not in code.values
    values, counts = np.unique(dataset.columns["code"][rows.training], return_counts=True)
    found = dict(zip(values.tolist(), counts.tolist(), strict=True))
    least = min(found[text] for text in code.values)
    assert all(found[text] < least for text in found if text and text not in code.values)
    sizes = [15 + sum(count >= level for text, count in found.items() if text) for level in found.values()]
    assert abs(schema.bits - wanted) == min(abs(size - wanted) for size in sizes)
    encoded = schema.encode_columns(dataset.columns)
    assert (encoded[:, : code.bits].sum(axis=1) == 1).all()


def test_the_categories_of_test_rows_are_not_learnt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema_learning, "_DIABETES_BITS", 25)
    dataset = stays()
    rows = split(dataset, 0)
    changed = dataset.columns["code"].copy()
    changed[rows.test] = "only here"
    altered = replace(dataset, columns={**dataset.columns, "code": changed})
    assert diabetes_schema(altered, rows).features == diabetes_schema(dataset, rows).features


def pictures(pixels: Any) -> Dataset:
    return Dataset("toy", "a test", "label", ("no", "yes"), {"image": pixels}, np.arange(len(pixels)) % 2)


def test_the_schema_of_pictures_has_their_size() -> None:
    dataset = pictures(np.zeros((10, 4, 6), dtype=np.uint8))
    schema = image_schema(
        dataset, split(dataset, 0), thresholds=[10, 20], standardised=False, framing="whole", title="Toy", version=3
    )
    (feature,) = schema.features
    assert isinstance(feature, ImageFeature)
    assert (feature.height, feature.width, feature.thresholds, feature.framing) == (4, 6, (10, 20), "whole")
    assert (schema.name, schema.bits) == ("toy/v3", 48)
    assert "10, 20 grey levels" in schema.description


def test_the_thresholds_of_faces_quarter_the_training_pixels() -> None:
    random = np.random.default_rng(2)
    dataset = pictures(random.integers(0, 256, (40, 10, 10), dtype=np.uint8))
    rows = split(dataset, 0)
    schema = learn_schema("faces/v1", dataset, rows)
    bits = schema.encode_columns({"image": dataset.columns["image"][rows.training]})
    assert bits.reshape(-1, 3, 100).mean(axis=(0, 2)) == pytest.approx([0.75, 0.5, 0.25], abs=0.01)

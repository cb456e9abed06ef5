"""Data sets from small files of their publishers' formats, and splits that keep groups together."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_making import gzipped, idx_bytes, jpeg, placed, plain, zipped
from hypothesis import given, settings
from hypothesis import strategies as st

from epaas_models.datasets import TASKS, Dataset, DataSettings, Split, load, split, splits
from epaas_models.datasets import diabetes as diabetes_files
from epaas_models.datasets import faces as faces_files
from epaas_models.datasets import mnist as mnist_files
from epaas_shared.digest import digest_bytes
from epaas_shared.errors import ConfigurationError, InvalidRequest
from epaas_shared.schema import shipped_schemas

DIGITS = np.arange(5 * 28 * 28, dtype=np.uint8).reshape(5, 28, 28)
STAYS = """encounter_id,patient_nbr,race,weight,admission_type_id,time_in_hospital,A1Cresult,number_diagnoses,readmitted
1,77,Caucasian,?,6,3,None,9,NO
2,78,?,[0-25),1,14,>8,1,<30
3,77,Caucasian,?,6,2,Norm,5,>30
"""


def quiet(_what: str, _done: int, _of: int) -> None:
    """Nobody watches."""


@pytest.fixture
def at(tmp_path: Path) -> DataSettings:
    return DataSettings(data_dir=tmp_path / "data", data_cache_dir=tmp_path / "cache")


def toy(rows: int, groups: list[int] | None = None, published_test: int | None = None) -> Dataset:
    random = np.random.default_rng(rows)
    return Dataset(
        name="toy",
        source="a test",
        target="label",
        classes=("no", "yes"),
        columns={
            "size": random.random(rows),
            "image": random.integers(0, 256, (rows, 2, 2), dtype=np.uint8),
            "colour": np.array([f"c{row % 3}" for row in range(rows)], dtype=object),
        },
        labels=np.arange(rows) % 2,
        groups=None if groups is None else np.array(groups, dtype=np.int64),
        published_test=published_test,
    )


def test_breast_cancer_is_that_of_the_shipped_schema(at: DataSettings) -> None:
    dataset, schema = load("breast-cancer", at), shipped_schemas()["breast-cancer/v1"]
    assert (len(dataset), len(dataset.columns)) == (569, 30)
    assert np.bincount(dataset.labels).tolist() == [212, 357]
    assert schema.learnt_from["data_digest"] == dataset.digest
    assert (schema.classes, schema.target) == (dataset.classes, dataset.target)
    bits = schema.encode([dataset.record(row) for row in range(len(dataset))])
    assert (bits == schema.encode_columns(dataset.columns)).all()


def mnist(folder: Path) -> Dataset:
    labels = np.array([3, 1, 4, 1, 9], dtype=np.uint8)
    images = [gzipped(folder, f"{name}.gz", idx_bytes(part)) for name, part in (("a", DIGITS[:3]), ("b", DIGITS[3:]))]
    digits = [gzipped(folder, f"{name}.gz", idx_bytes(part)) for name, part in (("c", labels[:3]), ("d", labels[3:]))]
    settings = DataSettings(data_dir=folder)
    return mnist_files.load(settings, quiet, images=(images[0], images[1]), labels=(digits[0], digits[1]))


def test_mnist_is_its_four_files_and_their_split(tmp_path: Path) -> None:
    dataset = mnist(tmp_path)
    assert (dataset.columns["image"] == DIGITS).all()
    assert dataset.labels.tolist() == [3, 1, 4, 1, 9]
    for seed in (0, 1):
        rows = split(dataset, seed)
        assert (rows.training.tolist(), rows.test.tolist()) == ([0, 1, 2], [3, 4])
        assert "published" in rows.describe()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\0\x08",
        idx_bytes(DIGITS)[:-1],
        idx_bytes(DIGITS) + b"\0",
        idx_bytes(DIGITS[0]),
        b"\0\0\x09" + idx_bytes(DIGITS)[3:],
        b"\x01" + idx_bytes(DIGITS)[1:],
    ],
)
def test_what_is_no_idx_file_is_named(data: bytes) -> None:
    with pytest.raises(ConfigurationError) as caught:
        mnist_files.idx(data, 3, "digits.gz")
    assert caught.value.field == "digits.gz"


def diabetes(folder: Path, text: str = STAYS) -> Dataset:
    file = replace(diabetes_files.FILE, sha256=digest_bytes(text.encode()))
    placed(folder, file, zipped({"dataset_diabetes/diabetic_data.csv": text.encode(), "IDs_mapping.csv": b"x"}))
    return diabetes_files.load(DataSettings(data_dir=folder), quiet, file=file)


def test_diabetes_has_numbers_categories_and_patients(tmp_path: Path) -> None:
    dataset = diabetes(tmp_path)
    features = ("race", "weight", "admission_type_id", "time_in_hospital", "A1Cresult", "number_diagnoses")
    assert dataset.features == features
    assert dataset.columns["race"].tolist() == ["Caucasian", "", "Caucasian"]
    assert dataset.columns["weight"].tolist() == ["", "[0-25)", ""]
    assert dataset.columns["admission_type_id"].tolist() == ["6", "1", "6"]
    assert dataset.columns["A1Cresult"].tolist() == ["None", ">8", "Norm"]
    assert dataset.columns["time_in_hospital"].tolist() == [3.0, 14.0, 2.0]
    assert dataset.labels.tolist() == [0, 2, 1]
    assert dataset.groups is not None
    assert dataset.groups.tolist() == [77, 78, 77]
    assert dataset.record(1)["number_diagnoses"] == 1.0


def faces(folder: Path, cache: Path, people: dict[str, str] | None = None) -> Dataset:
    people = people or {"Bo/Bo_0001.jpg": "male", "Bo/Bo_0002.jpg": "male", "Al/Al_0001.jpg": "female"}
    pictures = {f"{name}/{name}_000{n}.jpg": n for name, n in (("Bo", 1), ("Bo", 2), ("Al", 1))}
    archive = zipped({path: jpeg(np.full((90, 90), 60 * n, dtype=np.uint8)) for path, n in pictures.items()})
    table = "file,gender\n" + "".join(f"{path},{gender}\n" for path, gender in people.items())
    return faces_files.load(
        DataSettings(data_dir=folder, data_cache_dir=cache),
        quiet,
        pictures=plain(folder, "pictures.zip", archive),
        genders=plain(folder, "gender.csv", table.encode()),
    )


def test_faces_are_small_grey_pictures_by_person(tmp_path: Path) -> None:
    dataset = faces(tmp_path / "data", tmp_path / "cache")
    assert dataset.columns["image"].shape == (3, 50, 50)
    assert dataset.columns["image"].mean(axis=(1, 2)) == pytest.approx([60, 60, 120], abs=2)
    assert dataset.labels.tolist() == [0, 1, 1]
    assert dataset.groups is not None
    assert dataset.groups.tolist() == [0, 1, 1]
    assert "not LFW-a" in dataset.source


def test_faces_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = faces(tmp_path / "data", tmp_path / "cache")
    (kept,) = (tmp_path / "cache").rglob("*.npz")
    with monkeypatch.context() as patch:
        patch.setattr("PIL.Image.open", lambda *_, **__: pytest.fail("a picture is read again"))
        assert faces(tmp_path / "data", tmp_path / "cache").digest == first.digest
    whole = kept.read_bytes()
    for damaged in (b"", whole[:-30], b"not an archive"):
        kept.write_bytes(damaged)
        assert faces(tmp_path / "data", tmp_path / "cache").digest == first.digest
        assert kept.read_bytes() == whole


def test_faces_without_a_gender_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        faces(tmp_path / "data", tmp_path / "cache", {"Bo/Bo_0001.jpg": "male"})
    assert caught.value.field == "pictures.zip"


def test_a_task_that_there_is_not_is_refused(at: DataSettings) -> None:
    with pytest.raises(InvalidRequest) as caught:
        load("horoscopes", at)
    assert caught.value.hint == f"tasks: {', '.join(TASKS)}"


def test_files_that_nobody_publishes_are_asked_for(at: DataSettings) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load("faces", at)
    assert caught.value.field == "gender.csv"
    assert f"put it at {at.data_dir}/faces/gender.csv" in str(caught.value.hint)


def test_a_record_is_what_a_client_sends() -> None:
    dataset = toy(3)
    record = dataset.record(2)
    assert json.loads(json.dumps(record)) == {
        "size": float(dataset.columns["size"][2]),
        "image": dataset.columns["image"][2].tolist(),
        "colour": "c2",
    }


def test_the_digest_is_that_of_numbers_by_row_then_columns_then_labels() -> None:
    dataset = toy(2)
    numbers = dataset.columns["size"].astype("<f8").tobytes()
    expected = numbers + dataset.columns["image"].tobytes() + b"c0\0c1\0" + np.array([0, 1], dtype="<i8").tobytes()
    assert dataset.digest == hashlib.sha256(expected).hexdigest()


@pytest.mark.parametrize("name", ["size", "image", "colour"])
def test_the_digest_changes_with_every_cell(name: str) -> None:
    dataset = toy(4)
    for row in range(4):
        changed = dataset.columns[name].copy()
        changed[row] = f"{changed[row]}x" if name == "colour" else changed[row] + 1
        assert replace(dataset, columns={**dataset.columns, name: changed}).digest != dataset.digest
    assert replace(dataset, labels=1 - dataset.labels).digest != dataset.digest


def test_columns_of_different_lengths_are_no_data_set() -> None:
    for change in ({"labels": np.zeros(3)}, {"groups": np.zeros(3)}, {"columns": {"size": np.zeros(3)}}):
        with pytest.raises(ValueError, match="different lengths"):
            replace(toy(4), **change)


def test_a_random_split_is_made_again_by_its_seed_and_covers_every_row_once() -> None:
    dataset = toy(569)
    one, again = split(dataset, 7), split(dataset, 7)
    assert (one.training.tolist(), one.test.tolist()) == (again.training.tolist(), again.test.tolist())
    assert sorted([*one.training, *one.test]) == list(range(569))
    assert len(one.test) == 171
    assert split(dataset, 8).test.tolist() != one.test.tolist()
    assert [other.seed for other in splits(dataset, 3)] == [0, 1, 2]
    assert one.describe() == "random 70:30, sklearn train_test_split(random_state=7)"


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 12), min_size=20, max_size=60), st.integers(0, 99))
def test_no_group_is_on_two_sides(groups: list[int], seed: int) -> None:
    if len(set(groups)) < 3:
        groups = [*groups, 20, 21, 22]
    dataset = toy(len(groups), groups)
    rows = split(dataset, seed)
    parts = (*rows.validation(dataset, 0.3), rows.test)
    assert sorted(np.concatenate(parts)) == list(range(len(groups)))
    seen = [{groups[row] for row in part} for part in parts]
    assert not any(one & other for one, other in combinations(seen, 2))
    assert len(seen[2]) == -(-len(set(groups)) // 5)
    again: Split = split(dataset, seed)
    assert rows.test.tolist() == again.test.tolist()
    assert parts[1].tolist() == again.validation(dataset, 0.3)[1].tolist()


@pytest.mark.parametrize("published", [None, 30])
def test_validation_rows_are_a_part_of_the_training_rows(published: int | None) -> None:
    dataset = toy(100, published_test=published)
    rows: Any = split(dataset, 4)
    fitting, held_out = rows.validation(dataset)
    assert len(held_out) == 7
    assert sorted([*fitting, *held_out]) == sorted(rows.training)
    assert held_out.tolist() == rows.validation(dataset)[1].tolist()
    assert held_out.tolist() != split(dataset, 5).validation(dataset)[1].tolist()

"""The proposed schema: its bits are those thresholds and categories, learnt from training rows, within the budget."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tables_making import HEADER, csv_bytes, describe, read, visits

from epaas_models.datasets import Dataset, Split, split
from epaas_models.tables import TableDescription, propose_schema
from epaas_shared.errors import InvalidRecord, InvalidTable
from epaas_shared.features import CategoryFeature, NumberFeature


def dataset_of(**columns: Any) -> Dataset:
    arrays = {
        name: np.array(cells, dtype=object if isinstance(cells[0], str) else float) for name, cells in columns.items()
    }
    rows = len(next(iter(arrays.values())))
    return Dataset("visits", "a test", "again", ("no", "yes"), arrays, np.arange(rows) % 2)


@st.composite
def datasets(draw: st.DrawFn) -> Dataset:
    rows, random = draw(st.integers(20, 60)), np.random.default_rng(draw(st.integers(0, 99)))
    number = st.floats(-1e6, 1e6) | st.integers(-3, 3).map(float) | st.sampled_from([-1e100, 1e100, 5e-324])
    pools = draw(st.lists(st.lists(number, min_size=1, max_size=20), max_size=4))
    numbers = {f"n{place}": random.choice(pool, rows).tolist() for place, pool in enumerate(pools)}
    sizes = draw(st.lists(st.integers(1, 6), max_size=3))
    texts = {f"t{place}": random.choice(["", *"abcde"][:size], rows).tolist() for place, size in enumerate(sizes)}
    assume(numbers or texts)
    return dataset_of(**numbers, **texts)


@given(
    dataset=datasets(),
    spare=st.integers(0, 40),
    bins=st.integers(2, 20),
    encoding=st.sampled_from(["thresholds", "one-hot-bins"]),
)
@settings(max_examples=60)
def test_bits_are_what_numpy_says_of_the_thresholds(dataset: Dataset, spare: int, bins: int, encoding: str) -> None:
    rows, bits = split(dataset, 0), 2 * len(dataset.features) + spare
    described = describe(bits=bits, bins=bins, encoding=encoding)
    assume(all(any(column[rows.training]) for column in dataset.columns.values() if column.dtype == object))
    schema = propose_schema(dataset, described, rows)
    assert schema.bits <= bits
    expected = []
    for feature in schema.features:
        column = dataset.columns[feature.name]
        if isinstance(feature, NumberFeature):
            edges = np.array(feature.edges)
            above = column[:, None] >= edges
            if encoding == "one-hot-bins":
                above = np.arange(len(edges) + 1) == above.sum(axis=1)[:, None]
            assert feature.bits <= bins - (encoding == "thresholds")
            expected.append(above)
        else:
            assert isinstance(feature, CategoryFeature)
            named = column[:, None] == np.array(feature.values, dtype=object)
            expected += [named, ~named.any(axis=1, keepdims=True)]
    assert (schema.encode_columns(dataset.columns) == np.hstack(expected)).all()
    training = [dataset.record(row) for row in rows.training.tolist()]
    assert (schema.encode(training) == np.hstack(expected)[rows.training]).all()


@given(dataset=datasets(), seed=st.integers(0, 9))
@settings(max_examples=30)
def test_only_training_rows_are_learnt_from(dataset: Dataset, seed: int) -> None:
    rows = split(dataset, seed)
    changed = {name: column.copy() for name, column in dataset.columns.items()}
    for column in changed.values():
        column[rows.test] = "elsewhere" if column.dtype == object else 1e9
    described = describe(bits=200)
    assume(all(any(column[rows.training]) for column in dataset.columns.values() if column.dtype == object))
    features = propose_schema(dataset, described, rows).features
    assert propose_schema(replace(dataset, columns=changed), described, rows).features == features


def proposed(dataset: Dataset, **entries: Any) -> list[Any]:
    rows = np.arange(len(dataset))
    return list(propose_schema(dataset, describe(**entries), Split(0, rows, rows, "random")).features)


def test_thresholds_are_in_the_middle_between_values_at_quantiles() -> None:
    (age,) = proposed(dataset_of(age=np.arange(100.0)), bins=4)
    assert age.edges == (24.5, 49.5, 74.5)
    (flag,) = proposed(dataset_of(flag=[0.0, 1.0] * 20))
    assert flag.edges == (0.5,)
    (rare,) = proposed(dataset_of(rare=[0.0] * 39 + [5.0]))
    assert rare.edges == (2.5,)


@pytest.mark.parametrize(
    ("values", "entries", "expected"),
    [
        ([10, 30], {}, (0, 50)),
        ([0, 30], {}, (0, 60)),
        ([-10, 30], {}, (-50, 70)),
        ([10, 30], {"minimum": 5}, (5, 50)),
        ([10, 30], {"minimum": -5, "maximum": 30}, (-5, 30)),
        ([4, 4], {}, (0, 8)),
        ([0, 0], {}, (0, 1)),
        ([0, 0], {"maximum": 0}, (-1, 0)),
        ([0, 0], {"minimum": 0, "maximum": 3}, (0, 3)),
    ],
)
def test_the_plausible_range_is_as_described_or_reaches_beyond_training(
    values: list[int], entries: dict[str, Any], expected: tuple[float, float]
) -> None:
    (feature,) = proposed(dataset_of(n=[float(value) for value in values] * 10), columns={"n": entries})
    assert (feature.minimum, feature.maximum) == expected
    assert feature.bits == 1
    assert feature.minimum < feature.edges[0] < feature.maximum
    with pytest.raises(InvalidRecord):
        feature.value(expected[1] + 1)


def test_categories_that_few_rows_have_are_not_named() -> None:
    """A schema is public."""
    towns = ["A"] * 10 + ["B"] * 5 + ["C"] * 4 + [""] * 6
    (town,) = proposed(dataset_of(town=towns))
    assert (town.values, town.other) == (("A", "B"), True)
    (described,) = proposed(
        dataset_of(town=towns), columns={"town": {"categories": ["C", "D", "A"], "units": "of birth"}}
    )
    assert (described.values, described.description) == (("A", "C", "D"), "of birth")
    (few,) = proposed(dataset_of(town=["A", "B", "B", "", "", ""]))
    assert few.values == ("B",)


def test_a_column_that_needs_few_bits_leaves_them_to_the_others() -> None:
    dataset = dataset_of(flag=[0.0, 1.0] * 50, age=np.arange(100.0), town=[f"{row % 10}" for row in range(100)])
    assert [feature.bits for feature in proposed(dataset)] == [1, 15, 11]
    assert [feature.bits for feature in proposed(dataset, bits=21)] == [1, 10, 10]
    assert [feature.bits for feature in proposed(dataset, bits=22)] == [1, 10, 10]
    assert [feature.bits for feature in proposed(dataset, bits=5)] == [1, 2, 2]
    assert [feature.bits for feature in proposed(dataset, bits=21, encoding="one-hot-bins")] == [2, 5, 11]
    with pytest.raises(InvalidTable) as caught:
        proposed(dataset, bits=4)
    assert caught.value.field == "bits"
    assert "5" in str(caught.value.hint)


def test_the_commonest_categories_are_kept_when_bits_are_scarce() -> None:
    towns = ["A"] * 6 + ["B"] * 8 + ["C"] * 7
    assert proposed(dataset_of(town=towns), bits=3)[0].values == ("B", "C")


def test_a_column_that_is_empty_in_training_is_refused() -> None:
    dataset = dataset_of(town=["", ""] * 10 + ["A"] * 4, age=np.arange(24.0))
    rows = Split(0, np.arange(20), np.arange(20, 24), "random")
    with pytest.raises(InvalidTable) as caught:
        propose_schema(dataset, describe(), rows)
    assert caught.value.field == "town"


def test_the_schema_says_what_it_is_and_where_it_comes_from() -> None:
    described: TableDescription = describe(
        title="Another visit", source="a clinic", columns={"age": {"units": "years"}}
    )
    dataset = read(csv_bytes(HEADER, visits()), described).dataset
    rows = split(dataset, 0)
    schema = propose_schema(dataset, described, rows)
    assert (schema.name, schema.title, schema.target, schema.classes) == (
        "visits/v1",
        "Another visit",
        "again",
        ("no", "yes"),
    )
    assert schema.learnt_from == {
        "data": "a clinic",
        "data_digest": dataset.digest,
        "split": rows.describe(),
        "rows": len(rows.training),
    }
    assert schema.features[0].description == "years"

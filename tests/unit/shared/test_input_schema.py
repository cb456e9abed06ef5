"""Input schemas: records become exactly the bits of their bins, and what does not fit is named."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from epaas_shared.errors import InvalidRecord
from epaas_shared.features import NumberFeature
from epaas_shared.schema import InputSchema, shipped_schemas

SHIPPED = {
    "breast-cancer/v1": "b57b9b52c8f72c33473ef3694f1c275a52b724a9976f26ff46a659d5bc580a3e",
    "breast-cancer/v2": "92632799559ecd3e781d0e412803ff73599f51b92b840bd3fa44ed561c0c332b",
    "diabetes/v1": "a7ed211d37cd647a28e370b39ae7106d8888a76c0df581682a856977fc41c3a8",
    "faces/v1": "ee8d1cfe98ad36d87fce605bd7ce3956a88bf098c9c081b38eab76c459760d2c",
    "mnist/v1": "9c09021c58cb34cee285db6eccb5cd2a299136b00afa8eef66cb7e1d54318899",
}
"""Clients encode by these; a changed schema is a new version of its task, and a new line."""

GRID = st.integers(-64, 64).map(lambda eighths: eighths / 8)
NUMBERS = GRID | st.floats(-1e6, 1e6)


@st.composite
def schemas(draw: st.DrawFn) -> InputSchema:
    features = []
    for index in range(draw(st.integers(1, 5))):
        bounds = draw(st.lists(NUMBERS, min_size=3, max_size=7, unique=True).map(sorted))
        assume(all(low < high for low, high in pairwise(bounds)))
        features.append(
            NumberFeature(
                name=f"f{index}",
                kind=draw(st.sampled_from(("one-hot-bins", "thresholds"))),
                edges=tuple(bounds[1:-1]),
                minimum=bounds[0],
                maximum=bounds[-1],
            )
        )
    return InputSchema(
        task="toy", version=1, title="toy", target="label", classes=("no", "yes"), features=tuple(features)
    )


def values_of(feature: NumberFeature) -> st.SearchStrategy[float]:
    """Values within the bounds, often exactly on one or right beside it."""
    marks = [feature.minimum, *feature.edges, feature.maximum]
    beside = [math.nextafter(mark, way) for mark in marks for way in (-math.inf, math.inf)]
    inside = [value for value in [*marks, *beside] if feature.minimum <= value <= feature.maximum]
    return st.sampled_from(inside) | st.floats(feature.minimum, feature.maximum)


@st.composite
def schemas_with_records(draw: st.DrawFn) -> tuple[InputSchema, list[dict[str, float]]]:
    schema = draw(schemas())
    rows = st.fixed_dictionaries({feature.name: values_of(feature) for feature in numbers_of(schema)})
    return schema, draw(st.lists(rows, max_size=4))


def numbers_of(schema: InputSchema) -> list[NumberFeature]:
    return [feature for feature in schema.features if isinstance(feature, NumberFeature)]


def slow_bits(schema: InputSchema, record: dict[str, float]) -> list[int]:
    """Bin i holds the values v with edges[i-1] <= v < edges[i], threshold i those from edges[i] on."""
    bits = []
    for feature in numbers_of(schema):
        if feature.kind == "thresholds":
            bits += [int(record[feature.name] >= edge) for edge in feature.edges]
            continue
        bounds = [-math.inf, *feature.edges, math.inf]
        bits += [int(low <= record[feature.name] < high) for low, high in pairwise(bounds)]
    return bits


def toy(**changes: Any) -> InputSchema:
    feature: dict[str, Any] = {
        "name": "age",
        "kind": "one-hot-bins",
        "edges": (1.0, 2.0),
        "minimum": 0.0,
        "maximum": 4.0,
    }
    other = {"name": "dose", "kind": "one-hot-bins", "edges": (10.0,), "minimum": -5.0, "maximum": 20.0}
    document: dict[str, Any] = {
        "task": "toy",
        "version": 1,
        "title": "toy",
        "target": "label",
        "classes": ("no", "yes"),
        "features": (feature, other),
    }
    return InputSchema.model_validate({**document, **changes})


@given(schemas_with_records())
def test_bits_are_those_of_the_plain_definition(drawn: tuple[InputSchema, list[dict[str, float]]]) -> None:
    schema, records = drawn
    bits = schema.encode(records)
    assert bits.dtype == np.uint8
    assert bits.shape == (len(records), schema.bits)
    assert bits.tolist() == [slow_bits(schema, record) for record in records]


@given(schemas_with_records())
def test_the_bits_of_a_feature_are_one_of_its_patterns(drawn: tuple[InputSchema, list[dict[str, float]]]) -> None:
    schema, records = drawn
    bits = schema.encode(records)
    covered = np.zeros(schema.bits, dtype=int)
    for encoding in schema.encodings:
        assert {tuple(row) for row in bits[:, encoding.bits].tolist()} <= set(map(tuple, encoding.patterns.tolist()))
        covered[encoding.bits] += 1
    assert (covered == 1).all()


@given(schemas())
def test_every_pattern_is_that_of_some_value(schema: InputSchema) -> None:
    for feature, encoding in zip(numbers_of(schema), schema.encodings, strict=True):
        alone = schema.model_copy(update={"features": (feature,)})
        rows = [{feature.name: value} for value in (feature.minimum, *feature.edges)]
        assert alone.encode(rows).tolist() == encoding.patterns.tolist()


def test_a_threshold_is_a_bit_from_its_edge_on() -> None:
    pixel = {"name": "pixel", "kind": "thresholds", "edges": (0.5,), "minimum": 0, "maximum": 1}
    grey = {"name": "grey", "kind": "thresholds", "edges": (1.0, 2.0, 3.0), "minimum": 0, "maximum": 4}
    schema = toy(features=(pixel, grey))
    assert schema.bits == 4
    rows = [{"pixel": 0, "grey": 2.0}, {"pixel": 0.5, "grey": math.nextafter(2.0, 0.0)}, {"pixel": 1, "grey": 4}]
    assert schema.encode(rows).tolist() == [[0, 1, 1, 0], [1, 1, 0, 0], [1, 1, 1, 1]]
    first, second = schema.encodings
    assert (first.bits, first.patterns.tolist(), first.free) == (slice(0, 1), [[0], [1]], True)
    assert second.patterns.tolist() == [[0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 1]]
    assert not second.free


def test_a_value_on_an_edge_is_in_the_bin_above() -> None:
    schema = toy()
    below, on = math.nextafter(1.0, 0.0), 1.0
    rows = [{"age": age, "dose": 0.0} for age in (0.0, below, on, math.nextafter(2.0, 0.0), 2.0, 4.0)]
    assert schema.encode(rows)[:, :3].argmax(axis=1).tolist() == [0, 0, 1, 1, 2, 2]


def test_numbers_may_come_as_text() -> None:
    schema = toy()
    assert (schema.encode([{"age": " 1.5 ", "dose": "1e1"}]) == schema.encode([{"age": 1.5, "dose": 10}])).all()


def test_the_target_column_is_accepted_and_never_encoded() -> None:
    schema = toy()
    plain = schema.encode([{"age": 1, "dose": 2}])
    for label in ("no", "yes", "", None, math.nan):
        assert (schema.encode([{"age": 1, "dose": 2, "label": label}]) == plain).all()
    assert schema.bits == 5


BAD_VALUES: list[tuple[Any, str]] = [
    ("", "missing"),
    ("  ", "missing"),
    (None, "missing"),
    (math.nan, "not a number"),
    ("nan", "not a number"),
    (math.inf, "not a number"),
    ("-inf", "not a number"),
    ("1e400", "not a number"),
    (True, "not a number"),
    (False, "not a number"),
    ("five", "not a number"),
    ("1,5", "not a number"),
    ([], "not a number"),
    ({}, "not a number"),
    ("9" * 5000, "not a number"),
    (10**400, "not a number"),
    pytest.param(10**5000, "not a number", id="5001 digits"),
    ("1_0", "not a number"),
    (np.True_, "not a number"),
    (-5.0000001, "outside the plausible range -5 to 20"),
    (20.0000001, "outside the plausible range -5 to 20"),
    ("1000", "outside the plausible range -5 to 20"),
]


@pytest.mark.parametrize(("value", "words"), BAD_VALUES)
def test_a_value_that_is_no_plausible_number_is_refused_by_name(value: Any, words: str) -> None:
    with pytest.raises(InvalidRecord) as caught:
        toy().encode([{"age": 1, "dose": value}])
    assert caught.value.field == "dose"
    assert words in caught.value.detail
    assert caught.value.hint
    assert len(caught.value.detail) < 200


@pytest.mark.parametrize("value", [-5.0, 20.0])
def test_the_ends_of_the_plausible_range_are_plausible(value: float) -> None:
    toy().encode([{"age": 1, "dose": value}])


def test_a_missing_column_is_named() -> None:
    with pytest.raises(InvalidRecord) as caught:
        toy().encode([{"age": 1}])
    assert caught.value.field == "dose"
    assert "missing" in caught.value.detail


def test_an_extra_column_is_named() -> None:
    with pytest.raises(InvalidRecord) as caught:
        toy().encode([{"age": 1, "dose": 1, "height": 1}])
    assert caught.value.field == "height"


def test_of_many_records_the_bad_one_is_told() -> None:
    good = {"age": 1, "dose": 1}
    with pytest.raises(InvalidRecord) as caught:
        toy().encode([good, good, {"age": 9, "dose": 1}])
    assert caught.value.field == "age"
    assert "record 3" in str(caught.value)


@given(schemas())
def test_the_digest_survives_writing_and_reading(schema: InputSchema) -> None:
    assert InputSchema.model_validate_json(schema.model_dump_json()).digest == schema.digest


def test_the_digest_changes_with_a_bin_edge() -> None:
    feature = toy().features[0]
    moved = feature.model_copy(update={"edges": (1.0, math.nextafter(2.0, 3.0))})
    assert toy(features=(moved, toy().features[1])).digest != toy().digest
    assert toy().digest == toy().digest


def test_the_shipped_schemas_are_these_and_unchanged() -> None:
    assert {name: schema.digest for name, schema in shipped_schemas().items()} == SHIPPED
    assert {name: schema.bits for name, schema in shipped_schemas().items()} == {
        "breast-cancer/v1": 90,
        "breast-cancer/v2": 930,
        "diabetes/v1": 1702,
        "faces/v1": 7500,
        "mnist/v1": 2352,
    }


BAD_FEATURES: list[dict[str, Any]] = [
    {"edges": ()},
    {"edges": (2.0, 1.0)},
    {"edges": (1.0, 1.0)},
    {"edges": (0.0,)},
    {"edges": (4.0,)},
    {"minimum": 5.0},
    {"maximum": math.inf},
    {"minimum": -math.inf},
    {"edges": (math.nan,)},
    {"name": ""},
    {"kind": "raw"},
    {"extra": 1},
]


@pytest.mark.parametrize("change", BAD_FEATURES)
def test_a_feature_whose_bins_make_no_sense_is_none(change: dict[str, Any]) -> None:
    good = {"name": "age", "edges": (1.0, 2.0), "minimum": 0.0, "maximum": 4.0}
    NumberFeature.model_validate(good)
    with pytest.raises(ValidationError):
        NumberFeature.model_validate({**good, **change})


def test_names_of_features_and_target_are_distinct() -> None:
    feature = toy().features[0]
    with pytest.raises(ValidationError, match="distinct"):
        toy(features=(feature, feature))
    with pytest.raises(ValidationError, match="distinct"):
        toy(target="age")

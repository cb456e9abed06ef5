"""Features of a record: numbers, categories and pictures, against their definition in plain Python."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from epaas_shared import schema as schema_module
from epaas_shared.errors import InvalidRecord
from epaas_shared.features import CategoryFeature, Encoding, Feature, ImageFeature, NumberFeature
from epaas_shared.layers import ConvolutionLayer
from epaas_shared.schema import InputSchema

COLOUR = CategoryFeature(name="colour", values=("red", "3", "None"))
OPEN = COLOUR.model_copy(update={"other": True})
AGE = NumberFeature(name="age", edges=(1.0, 2.0), minimum=0.0, maximum=4.0)
GREY = ImageFeature(name="scan", height=2, width=3, thresholds=(1.0, 128.0, 255.0), framing="whole")
STANDARDISED = ImageFeature(
    name="scan", height=2, width=3, thresholds=(-0.5, 0.0, 0.5), standardised=True, framing="digit"
)
LEVELS = st.integers(0, 255) | st.floats(0, 255)
PICTURES = st.lists(st.lists(LEVELS, min_size=3, max_size=3), min_size=2, max_size=2)


def schema_of(*features: Feature) -> InputSchema:
    return InputSchema(task="toy", version=1, title="toy", target="label", classes=("no", "yes"), features=features)


def slow_bits(feature: ImageFeature, picture: Sequence[Sequence[float]]) -> list[int]:
    levels = [float(level) for row in picture for level in row]
    if feature.standardised:
        mean = math.fsum(levels) / len(levels)
        deviation = math.sqrt(math.fsum((level - mean) ** 2 for level in levels) / len(levels))
        levels = [0.0 if len(set(levels)) == 1 else (level - mean) / deviation for level in levels]
    return [int(level >= threshold) for threshold in feature.thresholds for level in levels]


@pytest.mark.parametrize(
    ("raw", "place"),
    [("red", 0), (" red ", 0), ("3", 1), (3, 1), (3.0, 1), (np.int64(3), 1), (np.float64(3), 1), ("None", 2)],
)
@pytest.mark.parametrize("feature", [COLOUR, OPEN])
def test_a_category_is_one_bit(feature: CategoryFeature, raw: Any, place: int) -> None:
    bits = schema_of(feature).encode([{"colour": raw}])
    assert bits.tolist() == [[int(bit == place) for bit in range(feature.bits)]]


@pytest.mark.parametrize("raw", ["green", "", "  ", None, "Red", 3.5, "3.0", 4, True, math.nan])
def test_any_other_category_is_the_last_bit_or_refused_by_name(raw: Any) -> None:
    assert schema_of(OPEN).encode([{"colour": raw}]).tolist() == [[0, 0, 0, 1]]
    with pytest.raises(InvalidRecord) as caught:
        schema_of(COLOUR).encode([{"colour": raw}])
    assert caught.value.field == "colour"
    assert caught.value.hint == "give one of red, 3, None"
    assert ("missing" in caught.value.detail) == (raw is None or str(raw).strip() == "")


@pytest.mark.parametrize(
    "raw", [["red"], {"red": 1}, b"red", pytest.param(10**5000, id="5001 digits"), 1e300, object()]
)
@pytest.mark.parametrize("feature", [COLOUR, OPEN])
def test_what_is_no_single_value_is_no_category(feature: CategoryFeature, raw: Any) -> None:
    with pytest.raises(InvalidRecord, match="is not a category") as caught:
        feature.value(raw)
    assert caught.value.field == "colour"
    assert len(caught.value.detail) < 100


def test_an_error_lists_ten_values_at_most() -> None:
    many = CategoryFeature(name="code", values=tuple(f"v{number}" for number in range(12)))
    with pytest.raises(InvalidRecord) as caught:
        many.value("x" * 500)
    assert caught.value.hint == "give one of v0, v1, v2, v3, v4, v5, v6, v7, v8, v9, ..."
    assert len(caught.value.detail) < 100


@given(PICTURES)
def test_a_picture_is_a_bit_a_pixel_and_threshold(picture: list[list[float]]) -> None:
    assert schema_of(GREY).encode([{"scan": picture}]).tolist() == [slow_bits(GREY, picture)]


@given(st.lists(st.lists(st.integers(0, 255), min_size=6, max_size=6), max_size=4))
def test_a_standardised_picture_is_compared_in_its_own_units(pictures: list[list[int]]) -> None:
    """Thresholds so far from round numbers that rounding decides nothing; zero itself is in another test."""
    feature = STANDARDISED.model_copy(update={"thresholds": (-math.pi / 4, -0.01 / math.pi, math.pi / 4)})
    grids = [[levels[:3], levels[3:]] for levels in pictures]
    bits = schema_of(feature).encode([{"scan": grid} for grid in grids])
    assert bits.tolist() == [slow_bits(feature, grid) for grid in grids]


@given(LEVELS)
def test_a_picture_of_one_colour_is_all_zeros(level: float) -> None:
    bits = schema_of(STANDARDISED).encode([{"scan": [[level] * 3] * 2}])
    assert bits.tolist() == [[1] * 12 + [0] * 6]


@given(st.lists(PICTURES, min_size=1, max_size=5), st.booleans())
def test_a_picture_alone_and_among_others_has_the_same_bits(pictures: list[list[list[float]]], standard: bool) -> None:
    schema = schema_of(STANDARDISED if standard else GREY)
    together = schema.encode([{"scan": picture} for picture in pictures])
    assert together.tolist() == [schema.encode([{"scan": picture}])[0].tolist() for picture in pictures]


def test_standardised_bits_do_not_change_with_light_and_contrast() -> None:
    picture = np.array([[0, 10, 20], [30, 90, 100]])
    schema = schema_of(STANDARDISED)
    assert (schema.encode([{"scan": picture}]) == schema.encode([{"scan": 2 * picture + 55}])).all()
    assert not (
        schema_of(GREY).encode([{"scan": picture}]) == schema_of(GREY).encode([{"scan": 2 * picture + 55}])
    ).all()


BAD_PICTURES: list[tuple[Any, str]] = [
    ([[1, 2, 3]], "1 x 3, not 2 x 3"),
    ([[1, 2], [3, 4], [5, 6]], "3 x 2, not 2 x 3"),
    ([1, 2, 3, 4, 5, 6], "6, not 2 x 3"),
    (7, "a single number, not 2 x 3"),
    (np.zeros((2, 3, 1)), "2 x 3 x 1"),
    ([[1, 2, 3], [4, 5]], "not alike"),
    ([["1", "2", "3"], ["4", "5", "6"]], "not made of numbers"),
    ([[True] * 3] * 2, "not made of numbers"),
    ([[None] * 3] * 2, "not made of numbers"),
    ([[1j] * 3] * 2, "not made of numbers"),
    ([[10**400] * 3] * 2, "not made of numbers"),
    (None, "not made of numbers"),
    ("", "not made of numbers"),
    ({"pixels": []}, "not made of numbers"),
    ([[1, 2, math.nan], [4, 5, 6]], "not within 0 to 255"),
    ([[1, 2, 3], [4, 5, -1]], "not within 0 to 255"),
    ([[1, 2, 3], [4, 5, 255.5]], "not within 0 to 255"),
    ([[1, 2, 3], [4, 5, math.inf]], "not within 0 to 255"),
]


@pytest.mark.parametrize(("raw", "words"), BAD_PICTURES)
def test_what_is_no_picture_of_this_size_is_refused_by_name(raw: Any, words: str) -> None:
    with pytest.raises(InvalidRecord) as caught:
        schema_of(GREY).encode([{"scan": raw}])
    assert caught.value.field == "scan"
    assert words in caught.value.detail
    assert caught.value.hint == "give 2 rows of 3 grey levels each, from 0 (black) to 255 (white)"


def columns_of(rows: int) -> dict[str, NDArray[Any]]:
    random = np.random.default_rng(rows)
    return {
        "age": random.integers(0, 9, rows) / 2,
        "colour": random.choice(np.array(["red", "3", "None", "blue", ""], dtype=object), rows),
        "scan": random.integers(0, 256, (rows, 2, 3), dtype=np.uint8),
    }


@pytest.mark.parametrize("rows", [0, 1, 4, 5, 11])
def test_columns_and_records_have_the_same_bits_in_any_slices(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema_module, "_RECORDS_AT_ONCE", 5)
    schema, columns = schema_of(STANDARDISED, AGE, OPEN), columns_of(rows)
    records = [{name: column[row] for name, column in columns.items()} for row in range(rows)]
    bits = schema.encode_columns(columns)
    assert bits.dtype == np.uint8
    assert bits.shape == (rows, 18 + 3 + 4)
    assert (bits == schema.encode(records)).all()


def test_columns_must_be_those_of_the_schema_and_of_one_length() -> None:
    schema, columns = schema_of(GREY, AGE, OPEN), columns_of(3)
    for changed, name in (
        ({"age": columns["age"], "scan": columns["scan"]}, "colour"),
        (columns | {"x": columns["age"]}, "x"),
    ):
        with pytest.raises(InvalidRecord) as caught:
            schema.encode_columns(changed)
        assert caught.value.field == name
    with pytest.raises(ValueError, match="too many values"):
        schema.encode_columns(columns | {"age": columns["age"][:1]})


def test_encodings_cover_every_bit_once_and_hold_every_record() -> None:
    schema = schema_of(AGE, GREY, OPEN)
    bits, covered = schema.encode_columns(columns_of(50)), np.zeros(schema.bits, dtype=int)
    for encoding in schema.encodings:
        assert {tuple(row) for row in bits[:, encoding.bits].tolist()} <= set(map(tuple, encoding.patterns.tolist()))
        covered[encoding.bits] += 1
    assert (covered == 1).all()
    assert len(schema.encodings) == 1 + 6 + 1
    assert schema.encodings[1].bits == slice(3, 16, 6)
    assert schema.encodings[1].patterns.tolist() == [[0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 1]]


def test_bounds_of_a_convolution_over_pixels_are_reached_and_not_passed() -> None:
    """Two thresholds: the channels of a pixel occur as 00, 10 and 11 only."""
    feature = GREY.model_copy(update={"thresholds": (1.0, 128.0)})
    random = np.random.default_rng(5)
    layer = ConvolutionLayer(random.integers(-3, 4, (4, 2, 2, 2)), random.integers(-2, 3, 4), 2, 3, padding=(1, 0))
    every = np.array(list(np.ndindex(*[3] * 6))).reshape(-1, 2, 3) * 127.5
    sums = layer.sums(feature.encode(every))
    low, high = layer.sum_bounds(feature.encodings)
    assert low.tolist() == sums.min(axis=0).tolist()
    assert high.tolist() == sums.max(axis=0).tolist()
    free_low, free_high = layer.sum_bounds(None)
    assert (free_low < low).any()
    assert (free_high > high).any()


def test_an_encoding_moves_with_its_step() -> None:
    assert Encoding(slice(1, 8, 3), np.eye(3, dtype=np.uint8)).moved(10).bits == slice(11, 18, 3)


@pytest.mark.parametrize("feature", [AGE, COLOUR, OPEN, GREY, STANDARDISED])
def test_a_feature_is_told_by_its_kind(feature: Feature) -> None:
    schema = schema_of(feature)
    again = InputSchema.model_validate_json(schema.model_dump_json())
    assert again == schema
    assert type(again.features[0]) is type(feature)
    assert again.digest == schema.digest


BAD_FEATURES: list[tuple[Feature, dict[str, Any]]] = [
    (COLOUR, {"values": ()}),
    (COLOUR, {"values": ("a", "a")}),
    (COLOUR, {"values": ("a", "")}),
    (COLOUR, {"values": ("a", " b")}),
    (COLOUR, {"kind": "image"}),
    (COLOUR, {"kind": "raw"}),
    (COLOUR, {"edges": (1.0,)}),
    (GREY, {"thresholds": ()}),
    (GREY, {"thresholds": (2.0, 1.0)}),
    (GREY, {"thresholds": (1.0, 1.0)}),
    (GREY, {"thresholds": (0.0, 1.0)}),
    (GREY, {"thresholds": (1.0, 255.5)}),
    (GREY, {"thresholds": (math.nan,)}),
    (STANDARDISED, {"thresholds": (0.0, math.inf)}),
    (GREY, {"height": 0}),
    (GREY, {"width": 0}),
    (GREY, {"framing": "photograph"}),
    (GREY, {"name": ""}),
]


@pytest.mark.parametrize(("feature", "change"), BAD_FEATURES)
def test_a_feature_that_makes_no_sense_is_none(feature: Feature, change: dict[str, Any]) -> None:
    document = schema_of(feature).model_dump()
    InputSchema.model_validate(document)
    with pytest.raises(ValidationError):
        InputSchema.model_validate({**document, "features": [{**document["features"][0], **change}]})

"""What small moves of numbers and grey levels can do, against all moves."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from enumerated_making import number_schema, picture_schema, schema_of, table_schema
from hypothesis import assume, example, given
from hypothesis import strategies as st

from epaas_models.reliability.robustness.codes import CodeBook
from epaas_models.reliability.robustness.reachable import reachable
from epaas_shared.features import standardise

levels = st.integers(0, 255)


@given(st.floats(0, 10), st.floats(-3, 3), st.floats(0, 3))
@example(1.0, 0.5, 1.0)
def test_the_codes_of_all_numbers_within_a_distance(first: float, second: float, distance: float) -> None:
    schema = schema_of(*number_schema().features[:2])
    found = reachable(
        schema, {"bins": np.array([first]), "steps": np.array([second])}, {"bins": distance, "steps": distance}
    )
    for group, (value, feature) in enumerate(zip((first, second), schema.features, strict=True)):
        low, high = max(value - distance, feature.minimum), min(value + distance, feature.maximum)
        edges = np.array(feature.edges)
        inside = edges[(low < edges) & (edges <= high)]
        numbers = np.array([low, high, *inside, *np.nextafter(inside, -np.inf)])
        codes = set((numbers[:, None] >= edges).sum(axis=1).tolist())
        assert codes == set(range(found.low[0, group], found.high[0, group] + 1))


def test_categories_and_columns_without_a_distance_stay() -> None:
    columns = {
        "bins": np.array([1.9]),
        "steps": np.array([0.4]),
        "colour": np.array(["green"], dtype=object),
        "bit": np.array([0.4]),
    }
    found = reachable(table_schema(), columns, {"bins": 0.2})
    assert found.low.tolist() == [[0, 1, 1, 0]]
    assert found.high.tolist() == [[1, 1, 1, 0]]
    assert not found.fixed[0]
    assert reachable(table_schema(), columns, {"bins": 0.05}).fixed[0]
    with pytest.raises(ValueError, match="colour"):
        reachable(table_schema(), columns, {"colour": 1.0})


@given(st.lists(levels, min_size=4, max_size=4), st.floats(0, 260))
@example([59, 60, 129, 130], 1.0)
def test_the_codes_of_all_grey_levels_within_a_distance(pixels: list[int], distance: float) -> None:
    picture = np.array(pixels, dtype=np.float64).reshape(1, 2, 2)
    found = reachable(picture_schema(), {"image": picture}, {"image": distance})
    for pixel, value in enumerate(pixels):
        least, most = max(0, value - distance), min(255, value + distance)
        assert found.low[0, pixel] == (least >= 60) + (least >= 130)
        assert found.high[0, pixel] == (most >= 60) + (most >= 130)


@given(
    st.lists(levels, min_size=4, max_size=4),
    st.sampled_from([0.0, 0.4, 2.0, 10.0, 40.0, 300.0]),
    st.lists(st.sampled_from([-2.0, -0.6, -0.1, 0.0, 0.3, 1.0, 1.7]), min_size=1, max_size=3, unique=True),
)
@example([100, 100, 100, 100], 0.4, [-0.6, 0.0, 0.3])
@example([100, 101, 100, 100], 2.0, [0.0, 0.3])
@example([0, 0, 0, 255], 10.0, [-0.6, 1.7])
def test_no_code_of_a_standardised_picture_is_missing(
    pixels: list[int], distance: float, thresholds: list[float]
) -> None:
    schema = picture_schema(thresholds=tuple(sorted(thresholds)), standardised=True)
    picture = np.array(pixels, dtype=np.float64)
    found = reachable(schema, {"image": picture.reshape(1, 2, 2)}, {"image": distance})
    ends = np.clip(np.linspace(picture - distance, picture + distance, 7), 0, 255)
    moved = np.array(list(product(*ends.T))).reshape(-1, 2, 2)
    codes = CodeBook.of(schema).codes_of(schema.encode_columns({"image": moved}))
    assert (found.low[0] <= codes.min(axis=0)).all()
    assert (codes.max(axis=0) <= found.high[0]).all()


@given(st.lists(levels, min_size=4, max_size=4), st.lists(st.floats(-30, 30), min_size=4, max_size=4))
def test_a_standardised_picture_at_rest_has_its_own_codes(pixels: list[int], moves: list[float]) -> None:
    schema = picture_schema(thresholds=(-0.5, 0.7), standardised=True)
    picture = np.array(pixels, dtype=np.float64).reshape(1, 2, 2)
    book = CodeBook.of(schema)
    found = reachable(schema, {"image": picture}, {})
    codes = book.codes_of(schema.encode_columns({"image": picture}))
    assert np.array_equal(found.low, codes)
    assert np.array_equal(found.high, codes)
    # Bounds say something: far from its thresholds a picture cannot change.
    assume(picture.std() > 20)
    moved = np.clip(picture + np.array(moves).reshape(1, 2, 2), 0, 255)
    near = reachable(schema, {"image": picture}, {"image": 1e-3})
    distance = np.abs((picture - picture.mean()) / picture.std() - np.array([[[-0.5]], [[0.7]]])).min()
    assert near.fixed[0] or distance < 1e-3
    wide = reachable(schema, {"image": picture}, {"image": float(np.abs(moved - picture).max())})
    after = book.codes_of(schema.encode_columns({"image": moved}))
    assert ((wide.low <= after) & (after <= wide.high)).all()


@given(st.lists(levels, min_size=9, max_size=9), st.floats(0.5, 30), st.integers(0, 8))
@example([20, 20, 20, 20, 20, 20, 20, 20, 200], 20.0, 8)
@example([120, 100, 180, 180, 180, 180, 180, 180, 180], 8.0, 0)
def test_thresholds_at_the_ends_of_what_a_standardised_pixel_can_be(
    pixels: list[int], distance: float, pixel: int
) -> None:
    """A threshold just where the pixel can still get, from either side."""
    picture = np.array(pixels, dtype=np.float64)
    corners = np.clip(picture + distance * np.array(list(product([-1.0, 1.0], repeat=9))), 0, 255)
    values = standardise(corners)[:, pixel]
    for end in (float(values.max()), float(np.nextafter(values.min(), np.inf))):
        schema = picture_schema(3, 3, (end,), standardised=True)
        found = reachable(schema, {"image": picture.reshape(1, 3, 3)}, {"image": distance})
        codes = schema.encode_columns({"image": corners.reshape(-1, 3, 3)})[:, pixel]
        if codes.min() < codes.max():
            assert (found.low[0, pixel], found.high[0, pixel]) == (0, 1)

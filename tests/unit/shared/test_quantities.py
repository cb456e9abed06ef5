from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epaas_shared.quantities import between, count, decimal, duration, percent, points, size, span


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.9777, "97.8 %"),
        (0.0, "0 %"),
        (1.0, "100 %"),
        (0.99996, "over 99.9 %"),
        (0.00001, "under 0.1 %"),
        (0.5, "50.0 %"),
        (0.9994, "99.9 %"),
    ],
)
def test_percent(share: float, text: str) -> None:
    assert percent(share) == text


@given(st.floats(0, 1))
def test_only_all_is_all_and_only_nothing_is_nothing(share: float) -> None:
    assert (percent(share) == "100 %") == (share == 1)
    assert (percent(share) == "0 %") == (share == 0)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (0.012345, "0.0123"),
        (1.0, "1"),
        (-2.5, "-2.5"),
        (123.4, "123"),
        (999.7, "1,000"),
        (12345.0, "12,300"),
        (1.234e-6, "1.23e-06"),
        (3.2e12, "3.20e+12"),
    ],
)
def test_decimal(number: float, text: str) -> None:
    assert decimal(number) == text


@given(st.floats(-1e12, 1e12, allow_nan=False).filter(lambda number: abs(number) > 1e-12))
def test_three_digits_are_right(number: float) -> None:
    assert float(decimal(number).replace(",", "")) == pytest.approx(number, rel=5.1e-3)


def test_intervals_say_their_unit_once() -> None:
    assert between(0.9777, (0.9746, 0.9805)) == "97.8 % (97.5 to 98.0 %)"
    assert between(0.0049, (0.003, 0.008), decimal) == "0.0049 (0.003 to 0.008)"
    assert between(0.5, None) == "50.0 %"
    assert span((0.0, 1.0)) == "0 to 100 %"
    assert span((0.9, 0.99999)) == "90.0 to over 99.9 %"


def test_other_quantities() -> None:
    assert points(-0.0123) == "-1.2 points"
    assert points(0.5) == "+50.0 points"
    assert count(1234567) == "1,234,567"
    assert [duration(seconds) for seconds in (0.44, 35.2, 200, 7500)] == ["0.4 s", "35 s", "3 min 20 s", "2 h 5 min"]
    assert [size(number) for number in (999, 2500, 16392000)] == ["999 B", "2.5 kB", "16.4 MB"]

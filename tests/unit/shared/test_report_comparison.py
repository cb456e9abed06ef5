"""Reports side by side: every model in its column, and none better by chance."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epaas_shared.report import Report
from epaas_shared.report.comparison import Compared, Value, as_document, as_lines, compare

REPORTS = Path(__file__).parents[3] / "docs" / "reports"


def kept(name: str, **changes: Any) -> Report:
    """A kept report with a few values changed, by their path with dots."""
    document = json.loads((REPORTS / f"{name}.json").read_text())
    for path, value in changes.items():
        *way, last = path.split("__")
        part = document
        for step in way:
            part = part[step]
        part[last] = value
    return Report.model_validate(document)


def rows(*reports: Report) -> dict[str, Compared]:
    return {row.measure: row for row in compare(reports)}


def test_each_model_has_its_column() -> None:
    found = rows(kept("mnist-binary"), kept("mnist"))
    assert found["accuracy"].shown[0].startswith("97.8 % (")
    assert found["accuracy"].shown[1].startswith("99.0 % (")
    assert found["accuracy"].best == 1
    assert {len(row.values) for row in found.values()} == {2}
    assert any(row.chapter == "Robustness" and "0.1 of the range" in row.measure for row in found.values())


def test_overlapping_intervals_decide_nothing() -> None:
    close = kept("mnist", accuracy__accuracy__value=0.9910, accuracy__accuracy__interval=[0.9890, 0.9925])
    assert rows(kept("mnist"), close)["accuracy"].best is None


def test_of_a_model_and_itself_none_is_better() -> None:
    assert not [row.measure for row in compare([kept("diabetes"), kept("diabetes")]) if row.best is not None]


def test_lower_errors_are_better() -> None:
    worse = kept(
        "mnist",
        calibration__before__expected_calibration_error__value=0.2,
        calibration__before__expected_calibration_error__interval=[0.19, 0.21],
    )
    assert rows(worse, kept("mnist"))["ECE before scaling"].best == 1


def test_budgets_that_only_one_was_tried_with_are_left_out() -> None:
    document = json.loads((REPORTS / "mnist.json").read_text())
    for evaluation in document["robustness"]["evaluations"]:
        evaluation["worst"] = evaluation["worst"][:1]
    fewer = rows(kept("mnist-binary"), Report.model_validate(document))
    robustness = [name for name, row in fewer.items() if row.chapter == "Robustness"]
    assert len(robustness) == len(document["robustness"]["evaluations"])


def test_tasks_are_not_compared_with_one_another() -> None:
    with pytest.raises(ValueError, match="same task"):
        compare([kept("mnist"), kept("diabetes")])


VALUES = st.one_of(st.none(), st.tuples(st.floats(-1, 1), st.floats(0, 0.5)))


@given(st.lists(VALUES, min_size=1, max_size=4), st.sampled_from(["higher", "lower"]))
def test_the_best_is_apart_from_all_others(drawn: list[tuple[float, float] | None], better: str) -> None:
    values: list[Value] = [None if one is None else (one[0], (one[0] - one[1], one[0] + one[1])) for one in drawn]
    row = Compared("c", "m", better, tuple(values), ("",) * len(values))  # type: ignore[arg-type]

    def apart(own: Value, other: Value) -> bool:
        assert own is not None
        assert own[1] is not None
        if other is None:
            return True
        assert other[1] is not None
        return own[1][0] > other[1][1] if better == "higher" else own[1][1] < other[1][0]

    measured = [index for index, value in enumerate(values) if value is not None]
    expected = [
        index
        for index in measured
        if all(apart(values[index], other) for place, other in enumerate(values) if place != index)
    ]
    assert row.best == (expected[0] if len(measured) > 1 and expected else None)


def test_lines_mark_the_better_one() -> None:
    lines = as_lines(("plain", "better"), compare([kept("mnist-binary"), kept("mnist")]))
    place = lines.index("accuracy")
    assert lines[place - 1] == "ACCURACY"
    assert lines[place + 1].startswith("    plain   97.8 %")
    assert lines[place + 2].startswith("  * better  99.0 %")


def test_a_document_has_a_value_a_model() -> None:
    reports = [kept("mnist-binary"), kept("mnist")]
    document = as_document(("plain", "better"), compare(reports))
    assert json.loads(json.dumps(document, allow_nan=False))["models"] == ["plain", "better"]
    (accuracy,) = [row for row in document["measures"] if row["measure"] == "accuracy"]
    assert accuracy["values"] == [report.accuracy.accuracy.value for report in reports]
    assert accuracy["best"] == "better"

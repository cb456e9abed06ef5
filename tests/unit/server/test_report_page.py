"""The report's page: its diagrams show the report's numbers, and its texts are text, whoever wrote them."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from api_making import Page
from hypothesis import given
from hypothesis import strategies as st
from server_making import toy_schema
from tests.full_report_making import distribution, full_report, rate
from tests.report_making import least_report

from epaas_server.pages import Listed, listing_page, report_page
from epaas_shared.profile import default_profile
from epaas_shared.protocol import Cost, ModelVersion
from epaas_shared.report import Report
from epaas_shared.report.accuracy import ClassAccuracy
from epaas_shared.report.words import family
from epaas_web.pages.diagrams.boxes import boxes
from epaas_web.pages.diagrams.canvas import Axis, Diagram, covering
from epaas_web.pages.diagrams.intervals import Estimate, intervals

EVIL = '<script>alert("1")</script><img src=x onerror=alert(1)>'


def model(title: str = "Test digits (made up)", seconds: float | None = 31.7) -> ModelVersion:
    return ModelVersion(
        name="digits",
        version=3,
        title=title,
        digest="01" * 32,
        task="digits/v1",
        input_schema="23" * 32,
        profile=default_profile().digest,
        profile_name=default_profile().name,
        security_bits=128,
        log2_p_error=-64,
        output="label",
        cost=Cost(bootstraps=4210, depth=15, seconds=seconds, memory_bytes=None, record_bytes=18816, result_bytes=None),
        published_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


@pytest.fixture(scope="module")
def report() -> Report:
    return full_report()


@pytest.fixture(scope="module")
def page(report: Report) -> Page:
    return Page(report_page(report, model()))


def numbers(page: Page, tag: str, style: str, *names: str) -> list[tuple[float, ...]]:
    """What the marks of a class stand for."""
    return [
        tuple(float(attributes[f"data-{name}"]) for name in names)
        for attributes in page.all(tag, style)
        if f"data-{names[0]}" in attributes
    ]


def test_reliability_bars_are_the_bins(report: Report, page: Page) -> None:
    bins = [*report.calibration.before.bins, *report.calibration.after.bins]
    with_rows = [found for found in bins if found.rows]
    assert 0 < len(with_rows) < len(bins)
    assert numbers(page, "rect", "bar", "accuracy", "confidence", "rows") == [
        (found.accuracy, found.confidence, found.rows) for found in with_rows
    ]
    assert numbers(page, "rect", "rows", "rows") == [(found.rows,) for found in with_rows]
    pale = [attributes for attributes in page.all("rect", "few") if "data-accuracy" in attributes]
    assert len(pale) == sum(found.rows < 20 for found in with_rows)


def test_bars_are_as_high_as_their_accuracy(page: Page) -> None:
    """Two bars of known accuracy fix the scale; all others must keep to it."""
    bars = [
        (float(bar["data-accuracy"]), float(bar["height"]))
        for bar in page.all("rect", "bar")
        if "height" in bar and "data-accuracy" in bar
    ]
    scale = bars[-1][1] / bars[-1][0]
    assert scale > 100
    for accuracy, height in bars:
        assert height == pytest.approx(accuracy * scale, abs=0.02)


def test_curves_are_the_attacks(report: Report, page: Page) -> None:
    evaluation = report.robustness.evaluations[0]
    for style, name in (
        ("naive", "naive gradients"),
        ("straight", "straight-through gradients"),
        ("noise", "random noise"),
        ("transfer", "transfer from another model"),
    ):
        attacks = [attack for attack in evaluation.attacks if family(attack) == name]
        least = [
            (point.budget, min(attack.points[index].accuracy.value for attack in attacks))
            for index, point in enumerate(evaluation.worst)
        ]
        assert numbers(page, "circle", style, "x", "y")[: len(least)] == least
    worst = [(point.budget, point.accuracy.value) for each in report.robustness.evaluations for point in each.worst]
    shown = numbers(page, "circle", "worst", "x", "y")
    assert set(worst) <= set(shown)
    proofs = [
        (point.budget, point.accuracy.value)
        for each in report.robustness.evaluations
        for certificate in each.certificates
        for point in certificate.points
    ]
    assert numbers(page, "circle", "proof", "x", "y") == proofs


def test_the_null_band_and_temperatures_are_the_reports(report: Report, page: Page) -> None:
    found = report.calibration
    sets = (found.before, found.after, found.after_by_ece)
    assert numbers(page, "rect", "expected", "low", "high") == [each.null_band for each in sets]
    dots = {value for (value,) in numbers(page, "circle", "dot", "value")}
    assert {each.expected_calibration_error.value for each in sets} <= dots
    assert {found.temperature_by_nll, found.temperature_by_ece} <= dots


def test_margins_are_boxes(report: Report, page: Page) -> None:
    margins = (report.generalisation.train_margin, report.generalisation.test_margin)
    names = ("p5", "p25", "median", "p75", "p95")
    assert numbers(page, "rect", "box", *names) == [tuple(getattr(each, name) for name in names) for each in margins]


def test_every_number_of_a_diagram_is_in_a_table(page: Page) -> None:
    values = {float(each["value"]) for each in page.all("data")}
    marks = [
        float(value)
        for _, attributes in page.elements
        for name, value in attributes.items()
        if name.startswith("data-")
    ]
    assert len(marks) > 200
    # x of a curve is the name of its row
    named = {float(attributes["data-x"]) for _, attributes in page.elements if "data-x" in attributes}
    assert set(marks) <= values | named


def test_the_confusion_matrix_is_whole(report: Report, page: Page) -> None:
    cells = [*page.all("td", "right"), *page.all("td", "wrong")]
    assert len(cells) == 100
    shades = {cell["class"] for cell in page.all("td", "right")}
    assert all("shade-9" in shade for shade in shades), "nearly all of each class is right"


def test_many_classes_show_their_confusions_instead(report: Report) -> None:
    names = tuple(f"class {index}" for index in range(13))
    confusion = tuple(tuple(90 if row == column else 0 for column in range(13)) for row in range(13))
    confusion = ((90, 0, 7, *(0,) * 10), *confusion[1:])
    accuracy = report.accuracy.model_copy(
        update={
            "classes": tuple(ClassAccuracy(label=name, recall=rate(0.9, 100), precision=None) for name in names),
            "confusion": confusion,
        }
    )
    page = Page(report_page(report.model_copy(update={"classes": names, "accuracy": accuracy}), model()))
    assert page.all("td", "wrong") == []
    assert "The most frequent confusions Truth Predicted Test rows class 0 class 2 7" in page.text


def test_each_diagram_can_be_read_without_seeing_it(page: Page) -> None:
    diagrams = [attributes for attributes in page.all("svg") if attributes.get("role") == "img"]
    assert len(diagrams) >= 10
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for attributes in diagrams:
        title, description = attributes["aria-labelledby"].split()
        assert {title, description} <= set(ids)


def test_chapters_come_in_order_with_a_takeaway_each(page: Page) -> None:
    chapters = [attributes["id"] for attributes in page.all("section", "chapter")]
    assert chapters == [
        "accuracy",
        "calibration",
        "robustness",
        "generalisation",
        "agreement",
        "claims",
        "provenance",
        "reading",
    ]
    assert len(page.all("p", "takeaway")) >= len(chapters)
    assert {f"#{chapter}" for chapter in chapters} <= {attributes.get("href") for attributes in page.all("a")}


@pytest.mark.parametrize(
    "words",
    [
        "Clearly better than the best baseline, logistic regression (92.5 %).",
        "FAILED naive attacks only 100 % of the naive gradients are zero",
        "Checks FAILED: the true curve may be lower than this one.",
        "35 s 32 s",
        "1 of 2 claims fail.",
        "epaas-train report bundles/digits --seed 7",
        "Whoever may change pixels can choose the answer.",
    ],
)
def test_what_a_reader_must_not_miss(page: Page, words: str) -> None:
    assert words in page.text


def test_texts_of_a_report_are_only_text(report: Report) -> None:
    classes = (EVIL, *report.classes[1:])
    rows = report.accuracy.classes
    evil = report.model_copy(
        update={
            "title": EVIL,
            "intended_use": EVIL,
            "limits": (EVIL,),
            "classes": classes,
            "accuracy": report.accuracy.model_copy(
                update={
                    "classes": (rows[0].model_copy(update={"label": EVIL}), *rows[1:]),
                    "baselines": tuple(each.model_copy(update={"name": EVIL}) for each in report.accuracy.baselines),
                    "subgroups": tuple(each.model_copy(update={"column": EVIL}) for each in report.accuracy.subgroups),
                }
            ),
            "made": report.made.model_copy(update={"command": EVIL, "versions": {EVIL: EVIL}}),
            "robustness": report.robustness.model_copy(update={"verdict": EVIL, "warnings": (EVIL,)}),
        }
    )
    for html in (report_page(evil, model(EVIL)), listing_page([Listed(model(EVIL), evil), Listed(model(EVIL), None)])):
        assert "<script" not in html
        assert "<img" not in html
        page = Page(html)
        assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
        assert 'alert("1")' in page.text


def test_a_report_of_little_still_has_a_page(report: Report) -> None:
    nothing = {"evaluations": (), "warnings": ()}
    poor = report.model_copy(
        update={
            "accuracy": report.accuracy.model_copy(update={"baselines": (), "subgroups": (), "random_splits": None}),
            "robustness": report.robustness.model_copy(update=nothing),
            "agreement": report.agreement.model_copy(update={"torch": None, "encrypted": None}),
            "claims": (),
        }
    )
    text = Page(report_page(poor, model(seconds=None))).text
    for words in (
        "No baseline was measured",
        "Not yet measured on encrypted records.",
        "Nothing was claimed",
        "4,210 bootstraps",
    ):
        assert words in text


def test_the_least_report_has_a_page() -> None:
    least = least_report(toy_schema(2, 3), "ab" * 32)
    page = Page(report_page(least, model()))
    assert "A toy model" in page.text
    assert numbers(page, "rect", "bar", "rows") == [], "it has no bins"


finite = st.floats(-1e6, 1e6, allow_nan=False)


@given(finite, finite)
def test_an_axis_covers_its_values_with_round_ends(one: float, other: float) -> None:
    axis = covering([one, other], 0, 100)
    slack = 1e-6 * max(1.0, abs(one), abs(other))
    assert axis.low - slack <= min(one, other) <= max(one, other) <= axis.high + slack
    assert axis.low < axis.high
    assert 2 <= len(axis.ticks()) <= 12
    assert -1e-6 <= axis.at(one) <= 100 + 1e-6


@given(st.floats(0, 1), st.floats(0, 1))
def test_an_axis_of_shares_stays_within_them(one: float, other: float) -> None:
    axis = covering([one, other], 0, 100, shares=True)
    assert 0 <= axis.low < axis.high <= 1


def test_an_axis_places_values_evenly() -> None:
    axis = Axis(0, 4, 10, 50)
    assert [axis.at(value) for value in range(5)] == [10, 20, 30, 40, 50]
    assert all(later > earlier for earlier, later in pairwise(axis.ticks()))


@pytest.mark.parametrize(
    "diagram",
    [
        intervals("one", "", [Estimate("only", 0.5)]),
        intervals("equal", "", [Estimate("a", 0.0, (0.0, 0.0)), Estimate("b", 0.0, (0.0, 0.0))]),
        boxes("flat", "", {"same": distribution(0.0, spread=0.0)}),
    ],
    ids=lambda diagram: diagram.title,
)
def test_diagrams_of_one_value_have_a_place_for_it(diagram: Diagram) -> None:
    for mark in diagram.marks:
        for name in ("x", "x1", "x2", "cx"):
            assert -1 <= float(mark.attributes.get(name, 0)) <= diagram.width + 1

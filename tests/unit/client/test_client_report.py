"""``epaas models report``: the report in the terminal, its JSON, and the address of its page."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from epaas_client.cli import main
from epaas_client.cli.report import known_report, report_lines
from epaas_shared.report import Report
from epaas_shared.schema import InputSchema
from tests.full_report_making import full_report
from tests.report_making import least_report

from .fake_server import FakeService

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def report() -> Report:
    return full_report()


@pytest.fixture
def run(url: str, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: str) -> tuple[int, str, str]:
        code = main(["models", "report", "toy", "-s", url, *arguments])
        written = capsys.readouterr()
        return code, written.out, written.err

    return call


def test_a_report_is_shown_in_the_order_of_its_page(run: Run, service: FakeService, url: str, report: Report) -> None:
    service.report = report.model_dump(mode="json")
    code, out, err = run()
    assert code == 0
    headings = [line for line in out.splitlines() if line and line == line.upper() and line[0].isalpha()]
    assert [heading for heading in headings if "  " not in heading] == [
        "IN SHORT",
        "ACCURACY",
        "CALIBRATION",
        "ROBUSTNESS",
        "GENERALISATION",
        "AGREEMENT AND COST",
        "CLAIMED AND MEASURED",
        "PROVENANCE",
    ]
    for words in (
        "Accuracy: 97.8 % (97.5 to 98.0 %)",
        "Clearly better than the best baseline, logistic regression (92.5 %).",
        "Checks of the attacks FAILED",
        "check FAILED (naive attacks only): gradients are not all zero",
        "writer: unknown  12 ",
        "50 of 50 records equal to plain",
        "configuration      30       35.2      FAILS",
        "--seed 7",
    ):
        assert words in out
    assert err == f"epaas: see the page at {url}/v1/models/toy/versions/3/report.html\n"


def test_no_line_is_wider_than_a_terminal(report: Report) -> None:
    long = "a very long name of something that goes on and on, " * 3
    accuracy = report.accuracy
    wide = report.model_copy(
        update={
            "title": long,
            "limits": (long, "x" * 200),
            "accuracy": accuracy.model_copy(
                update={
                    "baselines": tuple(each.model_copy(update={"name": long}) for each in accuracy.baselines),
                    "subgroups": tuple(each.model_copy(update={"value": long}) for each in accuracy.subgroups),
                }
            ),
            "claims": tuple(each.model_copy(update={"claim": long, "by": long}) for each in report.claims),
        }
    )
    for shown in (report, wide):
        assert max(map(len, report_lines(shown))) <= 80


def test_the_least_report_is_shown(schema: InputSchema) -> None:
    lines = report_lines(least_report(schema, "ab" * 32))
    assert lines[0] == "A toy model"
    assert "nothing was claimed beforehand" in lines


def test_bars_are_the_bins(report: Report) -> None:
    lines = report_lines(report)
    start = next(index for index, line in enumerate(lines) if line.startswith("after scaling: #"))
    bins = [found for found in report.calibration.after.bins if found.rows]
    for line, found in zip(lines[start + 1 :], bins, strict=False):
        bar = line.split()[1]
        assert len(bar) == 24
        assert bar.index("|") == min(23, int(24 * found.confidence))
        assert abs(bar.count("#") + (bar.index("|") < round(24 * found.accuracy)) - 24 * found.accuracy) <= 0.5
        assert line.endswith(f"{found.rows:,} rows")


def test_robustness_is_the_strongest_of_each_family(report: Report) -> None:
    lines = report_lines(report)
    (naive,) = [line for line in lines if line.startswith("naive gradients ")]
    assert naive.split()[2:] == ["97.8", "97.8", "97.6", "97.5", "97.3", "97.0"]
    (straight,) = [line for line in lines if line.startswith("straight-through gradients ")]
    assert straight.split()[2:] == ["97.8", "95.8", "77.5", "38.5", "1.4", "0"]


def test_json_is_the_whole_document(run: Run, service: FakeService, report: Report) -> None:
    service.report = report.model_dump(mode="json")
    code, out, err = run("--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == service.report


@pytest.mark.parametrize("older", [{}, {"title": "a report"}, {"format": "epaas-report/1", "limits": []}, []])
def test_a_report_of_another_format_is_shown_as_it_is(run: Run, service: FakeService, older: Any) -> None:
    service.report = older
    assert known_report(older) is None
    code, out, err = run()
    assert code == 0
    assert json.loads(out) == older
    assert err.startswith("epaas: this report has another format")


def test_the_page_is_an_address(run: Run, service: FakeService, url: str) -> None:
    address = f"{url}/v1/models/toy/versions/3/report.html"
    assert run("--page") == (0, f"{address}\n", "")
    assert json.loads(run("--page", "--json")[1]) == {"page": address}
    assert run("--page", "--version", "2")[1] == f"{url}/v1/models/toy/versions/2/report.html\n"
    assert not any(request.path.endswith("report") for request in service.requests), "the report is not fetched"


def test_a_report_cannot_drive_the_terminal(run: Run, service: FakeService, report: Report) -> None:
    """Escape, its eight-bit sister and what turns text around, in texts, names and older reports."""
    evil = "\x1b[2J\x9b31m\u202etxt\x07\r\n"
    document = report.model_copy(
        update={
            "title": evil,
            "limits": (evil,),
            "intended_use": evil,
            "robustness": report.robustness.model_copy(update={"verdict": evil, "warnings": (evil,)}),
            "claims": tuple(each.model_copy(update={"claim": evil, "by": evil}) for each in report.claims),
            "made": report.made.model_copy(update={"command": evil, "machine": evil}),
        }
    ).model_dump(mode="json")
    tag = "\U000e0041"
    for given, options in ((document, ()), (document, ("--json",)), ({"older": evil + tag}, ())):
        service.report = given
        _, out, err = run(*options)
        assert not set(out + err) & {"\x1b", "\x9b", "\u202e", "\x07", "\r", tag}
    assert json.loads(out) == {"older": evil + tag}, "as JSON it is escaped, not lost"


Compare = Callable[..., tuple[int, str, str]]


@pytest.fixture
def compare(url: str, capsys: pytest.CaptureFixture[str]) -> Compare:
    def call(*arguments: str) -> tuple[int, str, str]:
        code = main([*arguments[:-2], "models", "compare", *arguments[-2:], "-s", url])
        written = capsys.readouterr()
        return code, written.out, written.err

    return call


def test_models_are_compared_measure_by_measure(compare: Compare, service: FakeService, report: Report) -> None:
    service.report = report.model_dump(mode="json")
    code, out, _ = compare("toy@3", "toy")
    assert code == 0
    lines = out.splitlines()
    place = lines.index("accuracy")
    assert [line.split() for line in lines[place + 1 : place + 3]] == [
        ["toy@3", *["97.8", "%", "(97.5", "to", "98.0", "%)"]],
        ["toy@3", *["97.8", "%", "(97.5", "to", "98.0", "%)"]],
    ]
    code, out, _ = compare("--json", "toy@3", "toy")
    assert code == 0
    assert json.loads(out)["models"] == ["toy@3", "toy@3"]


@pytest.mark.parametrize(("model", "words"), [("toy@x", "no version"), ("toy@0", "no version"), ("toy@", "no version")])
def test_what_is_no_version_is_refused(compare: Compare, model: str, words: str) -> None:
    code, out, err = compare("toy", model)
    assert (code, out) == (2, "")
    assert words in err


def test_a_report_of_another_format_is_not_compared(compare: Compare, service: FakeService) -> None:
    service.report = {"format": "epaas-report/1"}
    code, out, err = compare("toy", "toy")
    assert (code, out) == (2, "")
    assert "another format" in err

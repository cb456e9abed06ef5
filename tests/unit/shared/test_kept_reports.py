"""The reports in docs/reports are complete, by the published schema, and keep what they promise."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema_rs
import pytest

from epaas_shared.report import Report, read_report

DOCS = Path(__file__).parents[3] / "docs"
REPORTS = sorted((DOCS / "reports").glob("*.json"))


@pytest.fixture(params=REPORTS, ids=lambda path: path.stem)
def file(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


@pytest.fixture
def report(file: Path) -> Report:
    return read_report(file.read_bytes())


def test_every_task_has_one() -> None:
    tasks = {read_report(path.read_bytes()).task.partition("/")[0] for path in REPORTS}
    assert tasks == {"breast-cancer", "diabetes", "faces", "mnist"}


def test_it_passes_the_published_schema(file: Path) -> None:
    schema = json.loads((DOCS / "reference" / "report.schema.json").read_text())
    jsonschema_rs.validator_for(schema).validate(json.loads(file.read_text()))


def test_it_can_be_made_again(report: Report) -> None:
    assert report.made.command.startswith("epaas-train ")
    assert report.made.thoroughness == "full"
    assert {"epaas", "torch", "foolbox", "pyautoattack"} <= set(report.made.versions)


def test_what_is_served_is_what_was_measured(report: Report) -> None:
    torch, encrypted = report.agreement.torch, report.agreement.encrypted
    assert torch is None or torch.agree == torch.rows == report.data.test_rows
    assert encrypted is None or encrypted.agree == encrypted.rows


def test_naive_gradients_miss_what_others_find_and_are_flagged(report: Report) -> None:
    for evaluation in report.robustness.evaluations:
        if evaluation.threat.norm != "linf-pixels":
            continue
        naive = [attack for attack in evaluation.attacks if attack.gradient == "naive"]
        assert naive
        for index, point in enumerate(evaluation.worst[:-1]):
            assert min(attack.points[index].accuracy.value for attack in naive) > point.accuracy.value
        assert not all(check.passed for check in evaluation.checks if check.subject == "naive gradients")


def test_no_certificate_proves_a_row_that_an_attack_altered(report: Report) -> None:
    """On the rows that both had: an attack that was stronger than a proof would be a mistake of one of them."""
    for evaluation in report.robustness.evaluations:
        worst = {point.budget: point.accuracy for point in evaluation.worst}
        for certificate in evaluation.certificates:
            for point in certificate.points:
                if point.budget in worst:
                    assert point.accuracy.value <= worst[point.budget].interval[1]

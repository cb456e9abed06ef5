"""The published JSON schema of reports: current, valid, and met by reports."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import jsonschema_rs
import pytest
from tests.full_report_making import full_report

from epaas_server.cli import main
from epaas_shared.report import report_bytes, report_json_schema

PUBLISHED = Path(__file__).parents[3] / "docs" / "reference" / "report.schema.json"


def test_the_committed_schema_is_the_reports() -> None:
    assert json.loads(PUBLISHED.read_text("utf-8")) == report_json_schema(), "run `make docs` and look at what changed"


def test_the_command_writes_the_file(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["epaas-server", "report-schema"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 0
    assert capsys.readouterr().out == PUBLISHED.read_text("utf-8")


def test_a_report_passes_the_schema_by_another_implementation() -> None:
    schema = json.loads(PUBLISHED.read_text("utf-8"))
    jsonschema_rs.meta.validate(schema)
    validator = jsonschema_rs.validator_for(schema)
    document = json.loads(report_bytes(full_report()))
    validator.validate(document)
    for broken in ({**document, "format": "epaas-report/1"}, {**document, "extra": 1}, {**document, "classes": "0"}):
        assert not validator.is_valid(broken)
    document["accuracy"]["accuracy"]["value"] = 1.5
    assert not validator.is_valid(document)

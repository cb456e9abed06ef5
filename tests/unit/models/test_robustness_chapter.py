"""The chapter on robustness: which threats a task has, and its sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from training_making import fresh_network, picture_dataset, picture_schema, table_dataset, table_schema

from epaas_models.architecture import Architecture
from epaas_models.datasets import split
from epaas_models.reliability.evidence import Evidence
from epaas_models.reliability.robustness.chapter import Effort, measure_robustness, one_thread, verdict
from epaas_models.reliability.subject import Subject
from epaas_shared.report.measures import Rate
from epaas_shared.report.robustness import Check, Norm, Point, Threat, ThreatEvaluation
from epaas_shared.schema import shipped_schemas


def silent(_what: str, _done: int, _total: int) -> None:
    pass


def test_pictures_are_attacked_by_pixels_and_by_bits(tmp_path: Path) -> None:
    schema, dataset = picture_schema(), picture_dataset(120)
    subject = Subject(fresh_network(schema, Architecture()).eval().export(), schema, 1.0)
    evidence = Evidence.of(dataset, schema, split(dataset, 0), 0.1)
    found = measure_robustness(subject, evidence, thoroughness="quick", seed=0, progress=silent, surrogates=tmp_path)
    pixels, bits = found.evaluations
    assert (pixels.threat.norm, bits.threat.norm) == ("linf-pixels", "bits")
    assert len(pixels.certificates) == 2
    assert {attack.gradient for attack in pixels.attacks} >= {"naive", "straight-through", "surrogate", "none"}
    assert all(said in found.verdict for said in (verdict(pixels), verdict(bits)))


def test_tables_are_attacked_by_numbers_and_by_columns(tmp_path: Path) -> None:
    schema, dataset = table_schema(10), table_dataset(120)
    subject = Subject(fresh_network(schema, Architecture()).eval().export(), schema, 1.0)
    evidence = Evidence.of(dataset, schema, split(dataset, 0), 0.0)
    found = measure_robustness(subject, evidence, thoroughness="quick", seed=0, progress=silent, surrogates=tmp_path)
    assert [evaluation.threat.norm for evaluation in found.evaluations] == ["linf-numbers", "columns"]
    assert not list(tmp_path.iterdir()), "nothing is transferred to a table"


def test_large_records_are_tried_on_fewer_rows() -> None:
    schemas = shipped_schemas()
    small, large = (Effort.of(schemas[name], "full") for name in ("mnist/v1", "faces/v1"))
    assert large.pictures.thorough_rows < small.pictures.thorough_rows
    assert large.changes.rows < small.changes.rows
    assert Effort.of(schemas["mnist/v1"], "quick").pictures.rows < large.pictures.rows


def test_the_threads_of_torch_are_given_back() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)


def evaluation(norm: Norm, shares: dict[float, float], *, passed: bool) -> ThreatEvaluation:
    points = tuple(
        Point(budget=budget, accuracy=Rate(value=share, interval=(0, 1), rows=100)) for budget, share in shares.items()
    )
    checks = (
        Check(name="there are gradients", subject="naive gradients", passed=False, detail=""),
        Check(name="noise is weakest", subject="evaluation", passed=passed, detail="it is not"),
    )
    threat = Threat(norm=norm, description="", budgets=tuple(shares))
    return ThreatEvaluation(threat=threat, rows=100, attacks=(), worst=points, checks=checks)


@pytest.mark.parametrize("passed", [True, False])
def test_the_sentence_names_the_least_budget_that_leaves_less_than_half(passed: bool) -> None:
    said = verdict(evaluation("linf-pixels", {0.1: 0.8, 0.2: 0.31, 0.3: 0.0}, passed=passed))
    assert "within 0.2 of the range leave 31.0 % right" in said
    assert ("FAILED" in said) is not passed


def test_where_half_survive_everything_the_most_that_was_tried_is_named() -> None:
    said = verdict(evaluation("columns", {1: 0.9, 2: 0.7}, passed=True))
    assert "within 2 columns leave 70.0 % right" in said

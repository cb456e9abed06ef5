"""What an operator requires of reports: everything that falls short is listed, and a wrong file names its entry."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from acceptance_making import EVERYTHING, bundle_with, encrypted, report_with
from cost_making import RATES
from hypothesis import given
from hypothesis import strategies as st
from server_making import BundleParts

from epaas_server.acceptance import Acceptance, Thresholds, read_acceptance
from epaas_server.registry import Registry
from epaas_server.services import Services
from epaas_server.settings import Settings
from epaas_shared.errors import BundleFallsShort, ConfigurationError, InvalidBundle, Shortfall
from epaas_shared.profile import default_profile
from epaas_shared.protocol import Alias, Problem

PARTS = BundleParts()
NAMES = list(Thresholds.model_fields)
SHARES = st.floats(0, 1)


def acceptance(text: str, folder: Path) -> Acceptance:
    file = folder / "acceptance.toml"
    file.write_text(text)
    return read_acceptance(file)


def shortfalls(required: Acceptance, seconds: float | None = None, **measured: Any) -> tuple[Shortfall, ...]:
    try:
        required.check(report_with(PARTS, **measured), seconds)
    except BundleFallsShort as short:
        return short.shortfalls
    return ()


@pytest.fixture
def everything(tmp_path: Path) -> Acceptance:
    return acceptance(EVERYTHING, tmp_path)


def test_what_reaches_every_threshold_exactly_is_accepted(everything: Acceptance) -> None:
    assert shortfalls(everything, accuracy=0.97, error=0.05, served=encrypted(5, 5, 120.0)) == ()


def test_everything_that_falls_short_is_listed_with_its_numbers(everything: Acceptance) -> None:
    found = shortfalls(everything, accuracy=0.9699, error=0.0501, served=encrypted(4, 3, 120.5))
    assert found == (
        Shortfall("accuracy", 0.97, "at least", 0.9699),
        Shortfall("expected_calibration_error", 0.05, "at most", 0.0501),
        Shortfall("encrypted_agreement", 1.0, "at least", 0.75),
        Shortfall("encrypted_rows", 5, "at least", 4),
        Shortfall("seconds", 120, "at most", 120.5),
    )
    assert [found.measure for found in found] == NAMES


def test_what_was_not_measured_falls_short(everything: Acceptance) -> None:
    for served in (None, encrypted(0, 0, None)):
        assert shortfalls(everything, served=served) == (
            Shortfall("encrypted_agreement", 1.0, "at least"),
            Shortfall("encrypted_rows", 5, "at least", 0),
            Shortfall("seconds", 120, "at most"),
        )


def test_the_seconds_of_this_server_go_before_those_of_the_report(everything: Acceptance) -> None:
    assert shortfalls(everything, 121.0, served=encrypted(5, 5, 1.0)) == (Shortfall("seconds", 120, "at most", 121.0),)
    assert shortfalls(everything, 119.0, served=encrypted(5, 5, 500.0)) == ()


@given(accuracy=SHARES, error=SHARES, wanted_accuracy=SHARES | st.none(), wanted_error=SHARES | st.none())
def test_a_threshold_that_is_not_set_requires_nothing(
    accuracy: float, error: float, wanted_accuracy: float | None, wanted_error: float | None
) -> None:
    required = Thresholds(accuracy=wanted_accuracy, expected_calibration_error=wanted_error)
    found = {short.measure for short in shortfalls(Acceptance({"toy/v1": required}), accuracy=accuracy, error=error)}
    expected = set()
    if wanted_accuracy is not None and accuracy < wanted_accuracy:
        expected.add("accuracy")
    if wanted_error is not None and error > wanted_error:
        expected.add("expected_calibration_error")
    assert found == expected


def test_other_tasks_and_empty_files_require_nothing(tmp_path: Path) -> None:
    for text in ("", '["toy/v2"]\naccuracy = 1.0', '["toy/v1"]'):
        assert shortfalls(acceptance(text, tmp_path), accuracy=0.0, error=1.0) == ()


@pytest.mark.parametrize(
    ("text", "entry"),
    [
        ('["toy/v1"]\naccuracy = 1.5', '"toy/v1".accuracy'),
        ('["toy/v1"]\naccuracy = "0.9"', '"toy/v1".accuracy'),
        ('["toy/v1"]\naccuracy = nan', '"toy/v1".accuracy'),
        ('["toy/v1"]\naccuracy = true', '"toy/v1".accuracy'),
        ('["toy/v1"]\nexpected_calibration_error = -0.1', '"toy/v1".expected_calibration_error'),
        ('["toy/v1"]\nencrypted_rows = 0', '"toy/v1".encrypted_rows'),
        ('["toy/v1"]\nencrypted_rows = 5.5', '"toy/v1".encrypted_rows'),
        ('["toy/v1"]\nseconds = 0', '"toy/v1".seconds'),
        ('["toy/v1"]\nseconds = inf', '"toy/v1".seconds'),
        ('["toy/v1"]\nacuracy = 0.9', '"toy/v1".acuracy'),
        ('["mnist/v1"]\naccuracy = 0.9\n["toy/v1"]\nseconds = -1', '"toy/v1".seconds'),
        ("[toy]\naccuracy = 0.9", '"toy"'),
        ('["toy/v0"]\naccuracy = 0.9', '"toy/v0"'),
        ('"toy/v1" = 0.9', '"toy/v1"'),
    ],
)
def test_a_wrong_file_names_its_entry(tmp_path: Path, text: str, entry: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        acceptance(text, tmp_path)
    assert caught.value.field == f"{tmp_path / 'acceptance.toml'}: {entry}"


@pytest.mark.parametrize("content", [b"[toy/v1]\naccuracy = 1", b"\xff\xfe", b'["toy/v1"]\n["toy/v1"]'])
def test_what_is_no_toml_says_so(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "acceptance.toml").write_bytes(content)
    with pytest.raises(ConfigurationError, match="is not TOML"):
        read_acceptance(tmp_path / "acceptance.toml")


def test_a_server_does_not_start_with_a_wrong_or_missing_file(tmp_path: Path) -> None:
    for file in (tmp_path / "missing.toml", tmp_path):
        with pytest.raises(ConfigurationError) as caught:
            Services.open(Settings(data_dir=tmp_path / "data", acceptance_file=str(file)))
        assert caught.value.field == str(file)
    assert not (tmp_path / "data").exists()


def test_a_bundle_that_falls_short_is_not_published_under_any_alias(
    registry: Registry, everything: Acceptance, tmp_path: Path
) -> None:
    strict = replace(registry, acceptance=everything)
    short = bundle_with(accuracy=0.9).write(tmp_path / "short")
    for alias in Alias:
        with pytest.raises(BundleFallsShort) as caught:
            strict.publish(short, alias=alias)
    assert isinstance(caught.value, InvalidBundle)
    assert "toy/v1" in caught.value.detail
    assert "accuracy is 0.9, required at least 0.97" in caught.value.detail
    assert "seconds is not measured, required at most 120" in caught.value.detail
    assert strict.versions() == []
    assert not strict.bundles.local.exists()
    good = bundle_with(served=encrypted(5, 5, 60.0)).write(tmp_path / "good")
    assert strict.publish(good).version == 1
    assert registry.publish(short).version == 2, "nothing is required where nothing is set"


def test_the_cost_is_that_of_the_plan_on_a_machine_that_is_known(registry: Registry, tmp_path: Path) -> None:
    """The same bundle by a cheap and by a dear strategy; rates of a slow machine."""
    bundle = bundle_with(served=encrypted(5, 5, 0.001)).write(tmp_path / "bundle")
    registry.calibration.measured(default_profile().digest, RATES)
    cheap = registry.publish(bundle).cost.seconds
    dear = registry.publish(bundle, ["sorting-network"]).cost.seconds
    assert cheap is not None
    assert dear is not None
    assert cheap < dear
    strict = replace(registry, acceptance=Acceptance({"toy/v1": Thresholds(seconds=(cheap + dear) / 2)}))
    assert strict.publish(bundle).cost.seconds == cheap
    with pytest.raises(BundleFallsShort) as caught:
        strict.publish(bundle, ["sorting-network"])
    assert caught.value.shortfalls == (Shortfall("seconds", (cheap + dear) / 2, "at most", dear),)
    assert strict.version("toy").cost.seconds == cheap, "the plan stays as it was"


def test_a_problem_document_carries_the_list(everything: Acceptance) -> None:
    with pytest.raises(BundleFallsShort) as caught:
        everything.check(report_with(PARTS, accuracy=0.5), 1.0)
    rebuilt = Problem.model_validate_json(Problem.of(caught.value).model_dump_json()).error()
    assert isinstance(rebuilt, BundleFallsShort)
    assert rebuilt.shortfalls == caught.value.shortfalls
    assert len(rebuilt.shortfalls) == 3

"""Settings from the environment and from options."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from epaas_server.jobs.processes import as_variables
from epaas_server.services import Services
from epaas_server.settings import Settings
from epaas_server.tenants import Quotas


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("EPAAS_SERVER_"):
            monkeypatch.delenv(name)


def test_the_defaults_serve_this_machine_alone() -> None:
    settings = Settings()
    assert (settings.host, settings.port, settings.workers) == ("127.0.0.1", 8000, 1)
    assert settings.threads == os.cpu_count()


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("host", "0.0.0.0", "0.0.0.0"),
        ("port", "9000", 9000),
        ("data_dir", "/srv/épaas data", Path("/srv/épaas data")),
        ("cache_dir", "/var/cache/x", Path("/var/cache/x")),
        ("database_url", "postgresql://a:b%40@c/d", "postgresql://a:b%40@c/d"),
        ("acceptance_file", "/etc/epaas/acceptance.toml", "/etc/epaas/acceptance.toml"),
        ("max_bundle_bytes", "1000", 1000),
        ("workers", "0", 0),
        ("threads", "3", 3),
        ("keyset_cache_bytes", "0", 0),
        ("max_records_per_prediction", "7", 7),
        ("lease_seconds", "2.5", 2.5),
        ("max_attempts", "9", 9),
    ],
)
def test_a_variable_sets_its_setting(monkeypatch: pytest.MonkeyPatch, name: str, text: str, value: object) -> None:
    monkeypatch.setenv(f"EPAAS_SERVER_{name.upper()}", text)
    assert getattr(Settings(), name) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("port", "65536"),
        ("port", "-1"),
        ("port", "http"),
        ("workers", "-1"),
        ("workers", "65"),
        ("threads", "0"),
        ("child_memory_bytes", "2500000000"),
        ("lease_seconds", "0"),
        ("heartbeat_seconds", "0"),
        ("poll_seconds", "-1"),
        ("max_attempts", "0"),
        ("max_records_per_prediction", "0"),
        ("max_wait_seconds", "-1"),
    ],
)
def test_an_impossible_value_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    monkeypatch.setenv(f"EPAAS_SERVER_{name.upper()}", text)
    with pytest.raises(ValidationError) as caught:
        Settings()
    assert [error["loc"] for error in caught.value.errors()] == [(name,)]


def test_an_option_goes_before_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EPAAS_SERVER_PORT", "9000")
    assert Settings(port=9001).port == 9001


def test_variables_of_other_programs_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "1")
    monkeypatch.setenv("EPAAS_PORT", "2")
    monkeypatch.setenv("EPAAS_SERVER_UNKNOWN", "3")
    assert Settings().port == 8000


def test_settings_survive_their_way_to_a_worker_as_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, cache_dir=tmp_path / "c", port=1, threads=2, lease_seconds=0.25, workers=5)
    settings = settings.model_copy(update={"quotas": Quotas(keysets=3, seconds_a_day=7.5)})
    for name, text in as_variables(settings).items():
        monkeypatch.setenv(name, text)
    assert Settings() == settings


def test_the_database_is_in_the_data_directory_unless_named(tmp_path: Path) -> None:
    assert Settings(data_dir=tmp_path).resolved_database_url == f"sqlite:///{tmp_path}/epaas.db"
    assert Settings(data_dir=tmp_path, database_url="sqlite:///x").resolved_database_url == "sqlite:///x"


def test_services_open_in_an_empty_folder_and_stay_in_it(tmp_path: Path) -> None:
    data = tmp_path / "deep" / "data"
    services = Services.open(Settings(data_dir=data))
    try:
        assert services.registry.versions() == []
        assert services.jobs.claim("worker", 1.0) is None
    finally:
        services.close()
    assert [path.name for path in tmp_path.iterdir()] == ["deep"]
    assert {path.name for path in data.iterdir()} >= {"blobs", "epaas.db"}


@pytest.mark.parametrize(
    ("name", "text"), [("EPAAS_SERVER_PORT", "70000"), ("EPAAS_SERVER_THREADS", "many"), ("EPAAS_SERVER_QUOTAS", "few")]
)
def test_the_command_names_the_wrong_setting(name: str, text: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "epaas_server", "models", "--data-dir", str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, name: text})
    assert run.returncode == 2
    assert run.stdout == ""
    assert run.stderr.startswith(f"epaas-server: error: {name.removeprefix('EPAAS_SERVER_').lower()}: ")

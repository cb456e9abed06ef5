"""What docker-compose.yml and the files beside it promise, without starting anything."""

from __future__ import annotations

import json
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from epaas_server.observability.catalogue import CATALOGUE, Kind, Metric
from epaas_shared import __version__
from tests.deploy.image_building import ROOT
from tests.deploy.pod import compose_configuration

FILE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = FILE["services"]
OURS = "${EPAAS_REGISTRY:-localhost}/epaas/"
ONE_SHOT = {"migrate"}
ALWAYS = {"proxy", "database", "migrate", "api", "worker"}
PROFILES = {
    "training": {"training"},
    "observability": {"prometheus", "grafana", "jaeger"},
    "ray": {"ray-head", "ray-node", "ray-worker"},
}
OBSERVABILITY = ROOT / "deploy" / "observability"

needs_compose = pytest.mark.skipif(shutil.which("docker-compose") is None, reason="apt-get install docker-compose")
needs_caddy = pytest.mark.skipif(shutil.which("caddy") is None, reason="apt-get install caddy")
each_service = pytest.mark.parametrize("name", SERVICES)


@needs_compose
@pytest.mark.parametrize("profile", [None, *PROFILES])
def test_the_file_is_valid_in_every_profile(profile: str | None) -> None:
    """``docker-compose config`` lists the services of all profiles, so that they are told apart by the file."""
    resolved = compose_configuration(*([profile] if profile else []))
    assert set(resolved["services"]) >= ALWAYS | PROFILES.get(profile or "", set())
    enabled = {name for name, service in SERVICES.items() if set(service.get("profiles", [profile])) & {profile}}
    assert enabled == ALWAYS | PROFILES.get(profile or "", set())


@each_service
def test_no_service_has_more_rights_than_it_needs(name: str) -> None:
    service = SERVICES[name]
    user, _, group = service["user"].partition(":")
    assert int(user) > 0
    assert group.isdigit()
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert not {"cap_add", "privileged", "pid", "devices", "userns_mode"} & set(service)
    assert "/var/run/docker.sock" not in json.dumps(service)


@each_service
def test_every_service_is_watched_and_bounded(name: str) -> None:
    service = SERVICES[name]
    limits = service["deploy"]["resources"]["limits"]
    assert limits["cpus"]
    assert limits["memory"]
    assert service["pids_limit"] > 0
    assert service["logging"]["options"]["max-size"]
    if name in ONE_SHOT:
        assert service["restart"] == "no"
        return
    assert service["restart"] == "unless-stopped"
    if "healthcheck" in service:
        assert service["healthcheck"]["test"][0] == "CMD"
    else:
        assert _image_has_health_check(service["image"].removeprefix(OURS).partition(":")[0])


def _image_has_health_check(stage: str) -> bool:
    """Whether a stage of the Dockerfile, or one that it is made from, has one."""
    stages = re.split(r"^(?=FROM )", (ROOT / "deploy/Dockerfile").read_text(), flags=re.MULTILINE)
    for text in stages:
        parts = re.match(rf"FROM (\S+) AS {stage}$", text, flags=re.MULTILINE)
        if parts is not None:
            return "\nHEALTHCHECK" in text or _image_has_health_check(parts[1])
    return False


@each_service
def test_images_are_pinned(name: str) -> None:
    image = SERVICES[name]["image"]
    if image.startswith(OURS):
        assert image.endswith(f":${{EPAAS_VERSION:-{__version__}}}")
        assert SERVICES[name]["build"]["dockerfile"] == "deploy/Dockerfile"  # else it would be sought in a registry
    else:
        assert re.search(r":v?\d+\.\d+", image), image


@each_service
def test_secrets_are_files(name: str) -> None:
    for variable, value in (SERVICES[name].get("environment") or {}).items():
        if re.search("PASSWORD|TOKEN|SECRET", variable):
            assert variable.endswith(("_FILE", "_PATH")), variable
            assert value.removeprefix("/run/secrets/") in SERVICES[name]["secrets"]


def test_the_database_is_out_of_reach_for_the_proxy() -> None:
    networks = {name: set(service["networks"]) for name, service in SERVICES.items()}
    assert not networks["proxy"] & networks["database"]
    for name, network in FILE["networks"].items():
        assert network.get("internal", False) is (name not in ("edge", "operators"))
    assert networks["database"] == {"data"}
    assert {name for name, found in networks.items() if "edge" in found} == {"proxy"}


def test_only_the_proxy_listens_beyond_this_machine() -> None:
    for name, service in SERVICES.items():
        for port in service.get("ports", []):
            assert name == "proxy" or port.startswith("127.0.0.1:"), name


def test_secrets_are_made_once_and_are_nobodys_but_the_operators(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    subprocess.run([ROOT / "deploy/make-secrets", folder], check=True, capture_output=True)
    made = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".gitignore"}
    assert set(made) == set(FILE["secrets"])
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE((folder / name).stat().st_mode) for name in made} == {0o644}
    random = [text for name, text in made.items() if name != "publish_token"]
    assert len(set(random)) == len(random)
    assert all(re.fullmatch(rb"[0-9a-f]{64}", text) for text in random)
    (folder / "grafana_password").unlink()
    subprocess.run([ROOT / "deploy/make-secrets", folder], check=True, capture_output=True)
    again = {name: (folder / name).read_bytes() for name in made}
    assert again.pop("grafana_password") != made.pop("grafana_password")
    assert again == made


def test_the_pinned_packages_are_those_that_the_images_need() -> None:
    """As deploy/pins.py writes them from pyproject.toml and the constraints."""
    program = "import json, pins; print(json.dumps({str(path): text for path, text in pins.texts().items()}))"
    printed = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT / "deploy", capture_output=True, text=True, check=True
    )
    for path, text in json.loads(printed.stdout).items():
        assert Path(path).read_text() == text, "run deploy/pins.py"


def test_what_is_sent_to_a_build_has_no_secrets() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert lines[0] == "*"
    allowed = {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert "deploy" not in allowed
    assert not any("secret" in line for line in allowed)


@needs_caddy
@pytest.mark.parametrize("tls", ["internal", "operator@example.org"])
def test_the_proxy_takes_its_configuration(tls: str, tmp_path: Path) -> None:
    command = ["caddy", "validate", "--adapter", "caddyfile", "--config", str(ROOT / "deploy/Caddyfile")]
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        "EPAAS_DOMAIN": "epaas.example.org",
        "EPAAS_TLS": tls,
    }
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def test_the_dashboard_asks_sources_that_are_there() -> None:
    sources = yaml.safe_load((OBSERVABILITY / "grafana/datasources/sources.yml").read_text())["datasources"]
    known = {source["uid"] for source in sources}
    assert {re.sub(r"http://(\w+):.*", r"\1", source["url"]) for source in sources} <= set(SERVICES)
    dashboard = json.loads((OBSERVABILITY / "grafana/dashboards/epaas.json").read_text())
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    for panel in panels:
        assert {target["datasource"]["uid"] for target in panel["targets"]} <= known
    taken = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]
    assert len(set(taken)) == len(taken)


def test_dashboard_and_alerts_ask_for_metrics_that_there_are() -> None:
    series = {name for metric in CATALOGUE for name in _series(metric)}
    rules = yaml.safe_load((OBSERVABILITY / "alerts.yml").read_text())["groups"][0]["rules"]
    panels = json.loads((OBSERVABILITY / "grafana/dashboards/epaas.json").read_text())["panels"]
    targets = [target for panel in panels for target in panel.get("targets", [])]
    for asked in [*rules, *targets]:
        names = set(re.findall(r"\bepaas_\w+", asked["expr"]))
        assert names <= series, names - series
        assert names or "up{" in asked["expr"]


def _series(metric: Metric) -> list[str]:
    if metric.kind is Kind.HISTOGRAM:
        return [f"{metric.name}_{part}" for part in ("bucket", "count", "sum")]
    return [metric.name]

"""``epaas-server doctor``: each fault of a machine or a setting is made, found, and told with its remedy."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.collector import collecting
from tests.unit.server.command_making import Operator
from tests.unit.server.patient_making import healthy, installation, look, the_only

from epaas_server.circuits.library import ensure_library, library_folder
from epaas_server.doctor.examination import CHECKS
from epaas_server.doctor.patient import Verdict
from epaas_server.settings import Settings
from epaas_shared.profile import default_profile

GB = 10**9


@pytest.fixture
def operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Operator:
    monkeypatch.setenv("EPAAS_SERVER_THREADS", "1")
    return Operator(tmp_path, monkeypatch, capsys)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """One that everybody on this machine can look into; pytest's own are closed."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


# the command


@pytest.mark.slow
def test_a_good_installation_has_no_errors(operator: Operator) -> None:
    operator.succeed("publish", operator.bundle)
    document = operator.json("doctor")
    checks = {check["check"]: check for check in document["checks"]}
    assert set(checks) == {"settings", *(check.name for check in CHECKS)}
    wrong = [check for check in document["checks"] if check["verdict"] != "ok"]
    assert [check["check"] for check in wrong] == ["workers"], wrong
    assert document["verdict"] == "warning"
    text = operator.succeed("doctor").stdout
    assert "warning  workers      no worker is there\n" in text
    assert "→ start `epaas-server serve`" in text
    assert text.endswith("0 errors, 1 warnings\n")


def test_settings_that_cannot_be_read_are_an_error_and_the_code_is_three(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EPAAS_SERVER_PORT", "eighty")
    run = operator.run("doctor", "--json")
    assert run.returncode == 3
    document = json.loads(run.stdout)
    (only,) = document["checks"]
    assert document["verdict"] == only["verdict"] == "error"
    assert only["detail"].startswith("port: ")


def test_before_the_first_start_nothing_is_wrong_and_nothing_is_made(operator: Operator, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    checks = {check["check"]: check["verdict"] for check in operator.json("doctor")["checks"]}
    assert checks["database"] == checks["blobs"] == checks["workers"] == "skipped"
    assert "error" not in checks.values()
    assert sorted(tmp_path.rglob("*")) == before


def test_the_checks_in_the_documentation_are_those_that_are_made() -> None:
    text = (Path(__file__).parents[3] / "docs" / "observability.md").read_text()
    table = text.partition("| check | finds |")[2]
    assert re.findall(r"^\| `([a-z ]+)` \|", table, re.MULTILINE) == ["settings", *(check.name for check in CHECKS)]


# variables and folders


def test_a_variable_that_is_misspelt(tmp_path: Path) -> None:
    settings = installation(tmp_path)
    assert healthy(look("variables", settings, {"EPAAS_SERVER_QUOTAS__KEYSETS": "3", "EPAAS_SERVER_PORT": "1"}))
    found = the_only(look("variables", settings, {"EPAAS_SERVER_THREDS": "3"}))
    assert found.verdict is Verdict.WARNING
    assert found.remedy == "did you mean EPAAS_SERVER_THREADS?"


def test_a_data_folder_that_is_none(tmp_path: Path) -> None:
    assert healthy(look("data folder", installation(tmp_path)))
    file = tmp_path / "file"
    file.write_text("")
    for folder in (file, file / "below"):
        found = the_only(look("data folder", Settings(data_dir=folder)))
        assert found.verdict is Verdict.ERROR
        assert "EPAAS_SERVER_DATA_DIR" in str(found.remedy)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_data_folder_of_another_user(tmp_path: Path) -> None:
    settings = installation(tmp_path)
    os.chown(settings.data_dir, 12345, 12345)
    found = the_only(look("data folder", settings))
    assert found.verdict is Verdict.WARNING
    assert "belongs to user 12345" in found.detail


@pytest.mark.parametrize("which", ["data_dir", "cache_dir"])
def test_folders_that_anybody_may_write_to(tmp_path: Path, which: str) -> None:
    settings = installation(tmp_path, cache_dir=tmp_path / "cache")
    settings.cache_dir.mkdir()
    assert healthy(look("strangers", settings))
    folder: Path = getattr(settings, which)
    folder.chmod(0o777)
    found = the_only(look("strangers", settings))
    assert found.verdict is Verdict.ERROR
    assert str(found.remedy).startswith(f"chmod o-w {folder}")


# the machine


def test_a_disk_that_is_nearly_full(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    full = the_only(look("disk", installation(tmp_path, max_evaluation_keys_bytes=2 * free)))
    assert full.verdict is Verdict.ERROR
    assert "epaas-server sweep" in str(full.remedy)
    nearly = the_only(look("disk", installation(tmp_path, max_evaluation_keys_bytes=free // 5)))
    assert nearly.verdict is Verdict.WARNING


def test_more_memory_than_there_is(tmp_path: Path) -> None:
    assert healthy(look("memory", installation(tmp_path)))
    found = the_only(look("memory", installation(tmp_path, workers=4, memory_bytes=1000 * GB)))
    assert found.verdict is Verdict.ERROR
    assert "EPAAS_SERVER_MEMORY_BYTES" in str(found.remedy)


def test_a_keyset_cache_that_is_cut_or_too_small(tmp_path: Path) -> None:
    cut = the_only(look("memory", installation(tmp_path, keyset_cache_bytes=3 * GB, memory_bytes=4 * GB)))
    assert cut.verdict is Verdict.WARNING
    assert "3.0 GB" in cut.detail
    assert "1.0 GB" in cut.detail
    small = the_only(look("memory", installation(tmp_path, keyset_cache_bytes=10**8)))
    assert small.verdict is Verdict.WARNING
    assert "EPAAS_SERVER_KEYSET_CACHE_BYTES" in str(small.remedy)


def test_more_threads_than_cores(tmp_path: Path) -> None:
    assert healthy(look("threads", installation(tmp_path)))
    found = the_only(look("threads", installation(tmp_path, threads=1000)))
    assert found.verdict is Verdict.WARNING
    assert "EPAAS_SERVER_THREADS" in str(found.remedy)


@contextmanager
def limited(kind: int, amount: int) -> Iterator[None]:
    before = resource.getrlimit(kind)
    resource.setrlimit(kind, (amount, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(kind, before)


def test_limits_of_the_shell_that_are_too_low(tmp_path: Path) -> None:
    settings = installation(tmp_path)
    with limited(resource.RLIMIT_AS, 9 * GB):
        space = the_only(look("limits", settings))
    assert space.verdict is Verdict.ERROR
    assert "ulimit -v unlimited" in str(space.remedy)
    with limited(resource.RLIMIT_NOFILE, 500):
        files = the_only(look("limits", settings))
    assert files.verdict is Verdict.WARNING
    assert "ulimit -n" in str(files.remedy)
    with limited(resource.RLIMIT_NOFILE, 4096):
        assert healthy(look("limits", settings))


# secrets and exposure


def test_a_password_in_the_address_of_the_database(tmp_path: Path) -> None:
    url = "postgresql+psycopg://epaas:tree@db/epaas"
    found = the_only(look("secrets", Settings(data_dir=tmp_path, database_url=url)))
    assert found.verdict is Verdict.WARNING
    assert "EPAAS_SERVER_DATABASE_PASSWORD_FILE" in str(found.remedy)
    assert "tree" not in found.detail


def test_files_of_secrets(open_folder: Path) -> None:
    secret = open_folder / "password"
    settings = Settings(data_dir=open_folder, database_password_file=str(secret))
    missing = the_only(look("secrets", settings))
    assert missing.verdict is Verdict.ERROR
    assert "is no file" in missing.detail
    secret.write_text("tree")
    secret.chmod(0o644)
    readable = the_only(look("secrets", settings))
    assert readable.verdict is Verdict.ERROR
    assert str(readable.remedy).startswith(f"chmod 600 {secret}")
    other = the_only(look("secrets", Settings(data_dir=open_folder), {"AWS_SHARED_CREDENTIALS_FILE": str(secret)}))
    assert other.verdict is Verdict.ERROR
    secret.chmod(0o600)
    assert healthy(look("secrets", settings))
    secret.chmod(0o444)
    open_folder.chmod(0o700)  # as deploy/make-secrets has it
    assert healthy(look("secrets", settings))


def test_a_server_that_everybody_reaches(tmp_path: Path) -> None:
    assert healthy(look("exposure", installation(tmp_path)))
    exposed = the_only(look("exposure", installation(tmp_path, host="0.0.0.0", authentication="none")))
    assert exposed.verdict is Verdict.ERROR
    assert "EPAAS_SERVER_AUTHENTICATION" in str(exposed.remedy)
    unlimited = the_only(look("exposure", installation(tmp_path, host="0.0.0.0")))
    assert unlimited.verdict is Verdict.WARNING
    assert "EPAAS_SERVER_RATE_LIMIT" in str(unlimited.remedy)
    assert healthy(look("exposure", installation(tmp_path, host="0.0.0.0", rate_limit="1200/minute")))


def test_tokens_that_are_missing_or_expire(operator: Operator, tmp_path: Path) -> None:
    settings = installation(tmp_path, authentication="tokens")
    none = the_only(look("tokens", settings))
    assert none.verdict is Verdict.WARNING
    assert "epaas-server token create" in str(none.remedy)
    operator.succeed("token", "create", "soon", "--scope", "predict", "--days", "3")
    soon = the_only(look("tokens", settings))
    assert "(soon) expires on" in soon.detail
    token = operator.json("token", "create", "old", "--scope", "publish", "--days", "0")["id"]
    assert f"`epaas-server token revoke {token}`" in str([finding.remedy for finding in look("tokens", settings)])
    operator.succeed("token", "revoke", token)
    operator.succeed("token", "create", "new", "--scope", "predict", "--days", "300")
    for line in operator.succeed("token", "list").stdout.splitlines():
        if line.endswith(" soon"):
            operator.succeed("token", "revoke", line.split()[0])
    assert healthy(look("tokens", settings))


# what is elsewhere


def test_a_collector_that_does_not_take_traces(tmp_path: Path) -> None:
    settings = installation(tmp_path)
    assert healthy(look("tracing", settings))
    with collecting() as good:
        assert healthy(look("tracing", settings, {"OTEL_EXPORTER_OTLP_ENDPOINT": good.url}))
        whole = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{good.url}/v1/traces"}
        assert healthy(look("tracing", settings, whole))
        assert good.bodies == [b"", b""]
    with collecting(status=404) as wrong:
        refused = the_only(look("tracing", settings, {"OTEL_EXPORTER_OTLP_ENDPOINT": wrong.url}))
    assert "answers with status 404" in refused.detail
    for address in (wrong.url, "collector:4318", "nonsense"):
        away = the_only(look("tracing", settings, {"OTEL_EXPORTER_OTLP_ENDPOINT": address}))
        assert away.verdict is Verdict.WARNING
        assert "OTEL_EXPORTER_OTLP_ENDPOINT" in str(away.remedy)


def test_a_cluster_that_cannot_be_joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "nothing"))
    no_address = the_only(look("evaluation", installation(tmp_path, engine="ray")))
    assert no_address.verdict is Verdict.ERROR
    assert "HOST:PORT" in str(no_address.remedy)
    no_token = the_only(look("evaluation", installation(tmp_path, engine="ray", ray_address="127.0.0.1:9")))
    assert "ray get-auth-token" in str(no_token.remedy)
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    away = the_only(look("evaluation", installation(tmp_path, engine="ray", ray_address="127.0.0.1:9")))
    assert away.verdict is Verdict.ERROR
    assert "127.0.0.1:9 cannot be joined" in away.detail


# circuits


def test_circuits_that_are_not_compiled(tmp_path: Path) -> None:
    found = the_only(look("evaluation", installation(tmp_path, cache_dir=tmp_path / "cache")))
    assert found.verdict is Verdict.WARNING
    assert found.remedy == "`epaas-server circuits build`"
    assert healthy(look("evaluation", installation(tmp_path, cache_dir=tmp_path / "cache", workers=0)))
    assert not (tmp_path / "cache").exists()


@pytest.mark.slow
def test_circuits_that_are_damaged(tmp_path: Path) -> None:
    profile = default_profile()
    copy = library_folder(tmp_path / "cache", profile)
    shutil.copytree(ensure_library(Settings().cache_dir, profile), copy)
    settings = installation(tmp_path, cache_dir=tmp_path / "cache")
    assert healthy(look("evaluation", settings))
    for file in copy.rglob("*"):
        if file.is_file():
            file.write_bytes(b"")
    found = the_only(look("evaluation", settings))
    assert found.verdict is Verdict.ERROR
    assert str(found.remedy).startswith(f"remove {copy} and run `epaas-server circuits build`")
    assert not (settings.data_dir / "blobs" / "jobs").exists()

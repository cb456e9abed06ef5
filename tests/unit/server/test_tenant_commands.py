"""Tenants, tokens, quotas, audit and sweep as an operator's commands."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_making import Operator


@pytest.fixture
def operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Operator:
    return Operator(tmp_path, monkeypatch, capsys)


def test_a_tenant_from_its_beginning_to_its_end(operator: Operator) -> None:
    assert operator.json("tenant", "create", "st-mary")["quotas"]["keysets"] == 100
    made = operator.json("token", "create", "ward 7", "--scope", "predict", "--tenant", "st-mary", "--days", "90")
    assert (made["tenant"], made["scope"]) == ("st-mary", "predict")
    assert made["expires_at"] is not None
    changed = operator.json("tenant", "quota", "st-mary", "keysets=5", "seconds_a_day=1.5", "stored_bytes=none")
    assert changed["quotas"] == {
        "keysets": 5,
        "stored_bytes": None,
        "unfinished_predictions": 1000,
        "seconds_a_day": 1.5,
    }
    assert [tenant["name"] for tenant in operator.json("tenant", "list")["tenants"]] == ["default", "st-mary"]
    assert "st-mary: keysets 0/5, stored_bytes 0/any" in operator.succeed("tenant", "list").stdout
    operator.succeed("tenant", "erase", "st-mary")
    assert [tenant["name"] for tenant in operator.json("tenant", "list")["tenants"]] == ["default"]
    assert operator.json("token", "list")["tokens"] == []
    actions = [event["action"] for event in operator.json("audit", "--tenant", "st-mary")["events"]]
    assert actions == ["tenant.created", "token.created", "quotas.changed", "tenant.erased"]
    assert made["token"] not in operator.succeed("audit").stdout


def test_a_tenant_may_be_emptied_and_kept(operator: Operator) -> None:
    operator.succeed("tenant", "create", "st-mary")
    made = operator.json("token", "create", "x", "--scope", "predict", "--scope", "publish", "--tenant", "st-mary")
    assert operator.json("tenant", "erase", "st-mary", "--keep")["kept"] is True
    assert [token["id"] for token in operator.json("token", "list")["tokens"]] == [made["id"]]
    operator.succeed("token", "revoke", made["id"])
    assert operator.json("token", "list")["tokens"] == []


@pytest.mark.parametrize(
    ("command", "code", "told"),
    [
        (("tenant", "create", "St Mary"), 2, "name: is not a tenant's name"),
        (("tenant", "create", "default"), 5, "there is a tenant default already"),
        (("tenant", "quota", "nobody", "keysets=1"), 5, "there is no tenant 'nobody'"),
        (("tenant", "quota", "default", "moons=1"), 2, "there is no quota 'moons'"),
        (("tenant", "quota", "default", "keysets=-1"), 2, "keysets: '-1' is no amount"),
        (("tenant", "quota", "default", "keysets=few"), 2, "keysets: 'few' is no amount"),
        (("tenant", "quota", "default", "keysets"), 2, "is no amount"),
        (("tenant", "erase", "nobody"), 5, "there is no tenant 'nobody'"),
        (("tenant", "erase", "default"), 5, "is always there"),
        (("token", "create", "x", "--scope", "predict", "--tenant", "nobody"), 5, "there is no tenant 'nobody'"),
        (("token", "revoke", "nothing"), 5, "there is no token"),
    ],
)
def test_what_cannot_be_done_is_said(operator: Operator, command: tuple[str, ...], code: int, told: str) -> None:
    run = operator.run(*command)
    assert (run.returncode, run.stdout) == (code, "")
    assert told in run.stderr
    assert "Traceback" not in run.stderr


def test_nothing_is_erased_of_the_tenant_that_cannot_go(operator: Operator) -> None:
    operator.run("tenant", "erase", "default")
    assert operator.json("audit")["events"] == []


def test_publishing_by_command_is_noted(operator: Operator) -> None:
    operator.succeed("publish", operator.bundle)
    (event,) = operator.json("audit")["events"]
    assert (event["actor"], event["action"], event["subject"]) == ("command", "model.published", "toy 1 stable")


def test_sweeping_an_empty_server_erases_nothing(operator: Operator) -> None:
    assert set(operator.json("sweep").values()) == {0}


def test_an_sqlite_database_needs_no_migration_by_command(operator: Operator) -> None:
    assert operator.json("database", "migrate") == operator.json("database", "migrate")

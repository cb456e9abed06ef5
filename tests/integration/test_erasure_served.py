"""What is erased is gone, by age and by tenant; secrets are nowhere; the audit log says who did what."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from epaas_server.scopes import Scope
from epaas_server.tables import metadata
from tests.conftest import ClientKeys
from tests.integration.processes import wait_until
from tests.integration.tenant_making import Office, Tenant, connect, open_office, record_of

KEPT_TABLES = {"audit_events", "usage"}
"""They say what was done and how much was used, also by who is gone; neither has payloads."""


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with open_office(tmp_path_factory.mktemp("erasing"), authentication="tokens") as opened:
        yield opened


def rows(office: Office) -> dict[str, str]:
    """All that the database has, as text, by table."""
    with office.services.database.connect() as connection:
        return {
            name: "\n".join(str(row._mapping) for row in connection.execute(select(table)))
            for name, table in metadata.tables.items()
        }


def files_with(folder: Path, *parts: bytes) -> list[Path]:
    """The files whose name or content has any of these."""
    return [
        path
        for path in folder.rglob("*")
        if path.is_file() and any(part in str(path).encode() or part in path.read_bytes() for part in parts)
    ]


def audited(office: Office, tenant: str) -> list[tuple[str, str, str]]:
    return [(event.actor, event.action, event.subject) for event in office.services.audit.read(tenant=tenant)]


def test_what_is_over_its_time_is_swept_away(office: Office, keys: ClientKeys) -> None:
    ann = office.tenant("ann")
    ann.have_keys(keys)
    frame = record_of(keys)
    job = ann.finished(frame)
    result = ann.http.get(f"/v1/predictions/{job}/result").content
    blobs = office.server.data_dir / "blobs"
    assert files_with(blobs, result[-1000:])
    assert office.command("sweep") == {"predictions": 0, "keysets": 0, "orphaned_blobs": 0, "audit_events": 0}
    # it finished less than a tenth of a second ago, or longer
    soon = {"keep_finished_days": "1e-9", "keep_unused_keys_days": "1e-9"}
    impatient = Office(replace(office.server, options={**office.server.options, **soon}))
    erased = impatient.command("sweep")
    assert (erased["predictions"], erased["keysets"]) == (1, 1)
    assert files_with(blobs, result[-1000:], keys.frame[-1000:], frame[-1000:], job.encode()) == []
    left = {name for name, text in rows(office).items() if job in text or keys.digest in text}
    assert left == {"audit_events"}
    assert ann.http.get(f"/v1/predictions/{job}").status_code == 404
    assert ann.http.get(f"/v1/evaluation-keys/{keys.digest}").status_code == 404
    assert {("retention", "prediction.erased", job), ("retention", "keys.erased", keys.digest)} <= set(
        audited(office, "ann")
    )
    forgetful = Office(replace(office.server, options={**office.server.options, "keep_audit_days": "1e-9"}))
    assert forgetful.command("sweep")["audit_events"] > 0
    assert job not in rows(office)["audit_events"]


@pytest.mark.parametrize("by", ["command", "HTTP"])
def test_an_erased_tenant_leaves_nothing(office: Office, keys: ClientKeys, by: str) -> None:
    gone, stays = office.tenant(f"gone-{by.lower()}"), office.tenant("stays")
    frame = record_of(keys)
    jobs = {}
    for tenant in (gone, stays):
        tenant.have_keys(keys)
        jobs[tenant.name] = [tenant.finished(frame)]
    results = {
        tenant.name: tenant.http.get(f"/v1/predictions/{jobs[tenant.name][0]}/result").content[-1000:]
        for tenant in (gone, stays)
    }
    blobs = office.server.data_dir / "blobs"
    assert files_with(blobs, results[gone.name])
    jobs[gone.name].append(gone.asked(frame))  # that runs, or is about to
    if by == "command":
        erased = office.command("tenant", "erase", gone.name)
    else:
        admin = office.token("default", [Scope.ADMIN])[1]
        with connect(office.server, admin) as http:
            erased = http.delete(f"/v1/tenants/{gone.name}/data").raise_for_status().json()
    assert (erased["predictions"], erased["keysets"]) == (2, 1)
    assert files_with(blobs, results[gone.name], gone.name.encode(), *(job.encode() for job in jobs[gone.name])) == []
    wait_until(lambda: not any(job in rows(office)["workers"] for job in jobs[gone.name]))  # which it was about
    texts = rows(office)
    for job in jobs[gone.name]:
        assert {name for name, text in texts.items() if job in text} == {"audit_events"}
    with_name = {name for name, text in texts.items() if gone.name in text}
    if by == "command":
        assert with_name <= KEPT_TABLES
        assert gone.http.get("/v1/usage").status_code == 401, "its tokens went too"
    else:
        assert with_name <= KEPT_TABLES | {"tenants", "tokens"}
        assert gone.used()["keysets"] == 0
    assert [event for event in audited(office, gone.name) if event[1] == "tenant.erased"]
    # and nobody else noticed
    assert stays.state(jobs["stays"][0]) == "succeeded"
    assert files_with(blobs, results["stays"])
    stays.finished(frame)


def test_the_audit_log_says_who_did_what(office: Office, keys: ClientKeys) -> None:
    eve = office.tenant("eve")
    eve.have_keys(keys)
    frame = record_of(keys)
    path = f"/v1/evaluation-keys/{keys.digest}"
    done, cancelled = eve.finished(frame), eve.asked(frame)
    eve.http.get(f"/v1/predictions/{done}/result").raise_for_status()
    eve.http.post(f"/v1/predictions/{cancelled}/cancel").raise_for_status()
    eve.http.delete(f"/v1/predictions/{done}").raise_for_status()
    eve.http.delete(path).raise_for_status()
    assert eve.http.delete(path).status_code == 404  # nothing was done
    actor = eve.token.split("_")[1]
    expected = [
        (actor, "keys.uploaded", keys.digest),
        (actor, "prediction.asked", done),
        (actor, "prediction.asked", cancelled),
        (actor, "result.fetched", done),
        (actor, "prediction.cancelled", cancelled),
        (actor, "prediction.erased", done),
        (actor, "keys.erased", keys.digest),
    ]
    found = audited(office, "eve")
    if ("prediction.cancelled") not in {action for _, action, _ in found}:  # it was faster
        expected = [event for event in expected if event[1] != "prediction.cancelled"]
    assert found == expected
    with connect(office.server, office.token("default", [Scope.ADMIN])[1]) as http:
        events = http.get("/v1/audit", params={"tenant": "eve"}).raise_for_status().json()["events"]
        assert [(event["actor"], event["action"], event["subject"]) for event in events] == expected
        assert [event["tenant"] for event in events] == ["eve"] * len(expected)
    assert audited(office, "default")[-1][1:] == ("audit.read", "eve")


def test_secrets_are_in_no_file_and_no_answer(office: Office, keys: ClientKeys) -> None:
    """Whatever is done with a token, and wherever a careless client puts it: not in logs, database, blobs, errors."""
    fay = office.tenant("fay")
    scopes = office.token("fay", list(Scope))[1]
    expired_id, revoked = office.token("fay", list(Scope))
    office.services.tokens.revoke(expired_id)
    made = office.command("token", "create", "by command", "--scope", "predict", "--tenant", "fay")["token"]
    answers = []
    for token in (fay.token, scopes, revoked, made):
        answers += careless(Tenant(office, "fay"), token, keys)
    for listing in (("token", "list"), ("tenant", "list"), ("audit",)):
        answers.append(str(office.command(*listing)))
    secrets = [token.split("_")[2].encode() for token in (fay.token, scopes, revoked, made)]
    assert files_with(office.server.data_dir, *secrets) == []
    assert not [text for text in rows(office).values() if any(secret.decode() in text for secret in secrets)]
    assert not [text for text in answers if any(secret.decode() in text for secret in secrets)]
    log = office.server.log_file.read_text()
    assert fay.token.split("_")[1] in log, "the id is no secret, and says who asked"
    assert keys.frame[-16:].hex() not in log


def careless(tenant: Tenant, token: str, keys: ClientKeys) -> list[str]:
    """What the server says to a client that sends its token right, and then everywhere."""
    said = []
    with connect(tenant.office.server, token) as http:
        asks = [
            http.get("/v1/usage"),
            http.get("/v1/predictions/nothing"),
            http.put(f"/v1/evaluation-keys/{keys.digest}", content=b"nothing"),
            http.post("/v1/predictions", params={"model": "toy"}, content=b"nothing"),
            http.post("/v1/models/toy/versions", content=b"nothing"),
            http.get("/v1/audit"),
            http.get("/v1/tenants"),
        ]
    with connect(tenant.office.server) as http:
        asks += [
            http.get("/v1/usage", headers={"Authorization": f"Bearer {token} {token}"}),
            http.get("/v1/usage", headers={"Authorization": f"Basic {token}"}),
            http.get("/v1/usage", headers={"Authorization": token}),
            http.get("/v1/usage", headers={"X-Request-ID": token, "Cookie": token, "User-Agent": token}),
            http.get("/v1/models", params={"token": token}),
        ]
    for answer in asks:
        said.append(f"{answer.headers} {answer.text}")
    # what a path says is said back to who asked, since errors name what was not found, but kept nowhere
    with connect(tenant.office.server, token) as http:
        http.get(f"/v1/predictions/{token}")
        http.get(f"/v1/models/{token}")
        http.get(f"/{token}")
        http.request(token[:40], "/v1/models")
        http.get("/v1/models", headers={"traceparent": token, "tracestate": token, "Referer": token})
        http.put(f"/v1/models/{token}/aliases/stable", json={"version": token})
    return said

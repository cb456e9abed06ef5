"""A server with tenants, and what each of them does there over HTTP."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx

from epaas_server.scopes import Scope
from epaas_server.services import Services
from epaas_server.settings import Settings
from epaas_shared.errors import Conflict
from epaas_shared.frame import RecordHeader, decode_frame_start, encode_frame_start
from tests.conftest import TOY_NETWORK, TOY_SCHEMA, ClientKeys, Server, random_records, write_bundle
from tests.integration.processes import wait_until

BITS = TOY_SCHEMA.encode(random_records(TOY_SCHEMA, 1, seed=81))


@contextmanager
def open_office(folder: Path, **options: str) -> Iterator[Office]:
    """A server with these options and a model, and its operator."""
    server = Server(folder / "server", options).start()
    try:
        office = Office(server)
        office.publish_toy(folder / "bundle")
        yield office
        office.close()
    finally:
        server.stop()


@dataclass(frozen=True)
class Office:
    """The operator of a server: makes tenants and tokens in its database, as the commands do."""

    server: Server
    connections: list[httpx.Client] = field(default_factory=list)
    """Those of its tenants."""

    @cached_property
    def services(self) -> Services:
        return Services.open(settings_of(self.server))

    def close(self) -> None:
        for connection in self.connections:
            connection.close()
        self.services.close()

    def tenant(self, name: str, **quotas: float | None) -> Tenant:
        """A tenant, new or known."""
        with suppress(Conflict):
            self.services.tenants.create(name)
        if quotas:
            self.services.tenants.set_quotas(name, quotas)
        return Tenant(self, name)

    def token(self, tenant: str, scopes: Collection[Scope], lifetime: timedelta | None = None) -> tuple[str, str]:
        """The id and the text of a new one."""
        token, text = self.services.tokens.create("a test", scopes, tenant, lifetime)
        return token.id, text

    def publish_toy(self, folder: Path) -> None:
        write_bundle(folder, TOY_NETWORK, TOY_SCHEMA)
        published = self.server.publish(folder)
        assert published.returncode == 0, published.stderr

    def command(self, *arguments: str) -> dict[str, Any]:
        """What a command says with ``--json``."""
        done = self.server.command(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        return document


@dataclass(frozen=True)
class Tenant:
    office: Office
    name: str

    @cached_property
    def token(self) -> str:
        """With the scope ``predict``."""
        return self.office.token(self.name, [Scope.PREDICT])[1]

    @cached_property
    def http(self) -> httpx.Client:
        connection = connect(self.office.server, self.token)
        self.office.connections.append(connection)
        return connection

    def put_keys(self, keys: ClientKeys) -> httpx.Response:
        return self.http.put(f"/v1/evaluation-keys/{keys.digest}", content=keys.frame)

    def have_keys(self, keys: ClientKeys) -> None:
        """Upload evaluation keys and wait for their trial run."""
        path = f"/v1/evaluation-keys/{keys.digest}"
        self.put_keys(keys).raise_for_status()
        wait_until(lambda: self.http.get(path).json()["state"] == "ready", 180)

    def ask(self, frame: bytes, **headers: str) -> httpx.Response:
        return self.http.post("/v1/predictions", params={"model": "toy"}, content=frame, headers=headers)

    def asked(self, frame: bytes, **headers: str) -> str:
        """The id of a prediction."""
        answer = self.ask(frame, **headers)
        assert answer.status_code == 202, answer.text
        job: str = answer.json()["id"]
        return job

    def state(self, job: str) -> str:
        state: str = self.http.get(f"/v1/predictions/{job}").json()["state"]
        return state

    def finished(self, frame: bytes) -> str:
        """The id of a prediction that has succeeded."""
        job = self.asked(frame)
        wait_until(lambda: self.state(job) == "succeeded", 180)
        return job

    def used(self) -> dict[str, Any]:
        used: dict[str, Any] = self.http.get("/v1/usage").raise_for_status().json()["used"]
        return used


def settings_of(server: Server) -> Settings:
    """Those of a server that runs, its database and folders among them."""
    prefix = "EPAAS_SERVER_"
    options = {name.removeprefix(prefix).lower(): value for name, value in server.environment.items() if prefix in name}
    return Settings.model_validate(options)


def connect(server: Server, token: str | None = None) -> httpx.Client:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return httpx.Client(base_url=server.url, timeout=120, headers=headers)


def record_of(keys: ClientKeys) -> bytes:
    return keys.secret.encrypt_records(BITS, TOY_SCHEMA)


def under(frame: bytes, digest: str) -> bytes:
    """The frame of a record that says it is under other evaluation keys."""
    start = decode_frame_start(frame, RecordHeader)
    header = start.header.model_copy(update={"evaluation_keys": digest})
    return encode_frame_start(header) + frame[start.payload_offset :]

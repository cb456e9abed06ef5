"""A whole deployment in a pod, and what its operator, its provider and a client do with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.deploy.container import Container
from tests.deploy.pod import Pod

_BIN = Path(sys.executable).parent
_ADDRESS = "https://localhost:8443"


@dataclass
class Deployment:
    pod: Pod
    services: dict[str, Container] = field(default_factory=dict)

    @classmethod
    def start(cls, made: Pod) -> Deployment:
        """Start the services in the order of their dependencies, and let a client and the training service in."""
        migrated = made.start("migrate")
        assert migrated.wait() == 0, migrated.words()
        deployment = cls(made)
        for name in ("api", "worker", "proxy"):
            deployment.start_again(name)
        deployment.secret("publish_token").write_text(deployment.token("publish"))
        deployment.start_again("training")
        return deployment

    def start_again(self, name: str) -> None:
        self.services[name] = self.pod.start(name).wait_until_healthy()

    def stop(self, *names: str) -> None:
        for name in names:
            self.services[name].stop()

    def secret(self, name: str) -> Path:
        return Path(self.pod.configuration["secrets"][name]["file"])

    def volume(self, name: str) -> Path:
        return self.pod.folder / f"volume-{name}"

    def token(self, scope: str) -> str:
        """A new one, made by the operator in the container of the API."""
        made = self.services["api"].run(["epaas-server", "token", "create", "a test", "--scope", scope, "--json"])
        assert made.returncode == 0, made.stderr
        token: str = json.loads(made.stdout)["token"]
        return token

    @property
    def authority(self) -> Path:
        """The certificate of the proxy's own authority, as an operator hands it out."""
        return self.volume("certificates") / "caddy/pki/authorities/local/root.crt"

    @cached_property
    def _client_environment(self) -> dict[str, str]:
        """With a token, and with keys that have been made and uploaded."""
        files = {"token": self.token("predict"), "passphrase": "correct horse battery staple"}
        for name, text in files.items():
            (self.pod.folder / name).write_text(text)
            (self.pod.folder / name).chmod(0o600)
        environment = {
            **os.environ,
            "EPAAS_URL": _ADDRESS,
            "EPAAS_CA_FILE": str(self.authority),
            "EPAAS_KEYSTORE": str(self.pod.folder / "keystore"),
            "EPAAS_TOKEN_FILE": str(self.pod.folder / "token"),
        }
        for command in ("generate", "upload"):
            options = (
                ["--passphrase-file", str(self.pod.folder / "passphrase")] if command == "generate" else ["--wait"]
            )
            run = self.pod.inside([_BIN / "epaas", "--json", "keys", command, *options], env=environment)
            assert run.returncode == 0, run.stderr
        return environment

    def client_run(self, *arguments: str, token: bool = True) -> subprocess.CompletedProcess[str]:
        """The client's command, on the other side of the proxy."""
        environment = dict(self._client_environment)
        if not token:
            del environment["EPAAS_TOKEN_FILE"]
        if arguments[0] != "jobs":
            arguments = (*arguments, "--passphrase-file", str(self.pod.folder / "passphrase"))
        return self.pod.inside([_BIN / "epaas", "--json", "--quiet", *arguments], env=environment)

    def client(self, *arguments: str) -> dict[str, Any]:
        run = self.client_run(*arguments)
        assert run.returncode == 0, run.stderr + self.services["worker"].words()[-2000:]
        document: dict[str, Any] = json.loads(run.stdout)
        return document

    @contextmanager
    def events(self, job: str) -> Iterator[Iterator[dict[str, Any]]]:
        """The server-sent events of a prediction, as they come through the proxy."""
        token = Path(self._client_environment["EPAAS_TOKEN_FILE"]).read_text()
        command = [
            *self._curl("--no-buffer", "--header", f"Authorization: Bearer {token}"),
            f"{_ADDRESS}/v1/predictions/{job}/events",
        ]
        inside = ["nsenter", f"--net={self.pod.network}", "--", *command]
        with subprocess.Popen(inside, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            data = (line.removeprefix("data:") for line in process.stdout if line.startswith("data:"))
            yield (json.loads(line) for line in data)
            process.kill()

    def status(self, path: str) -> int:
        """Of an answer of the proxy."""
        written = self._curled("--output", "/dev/null", "--write-out", "%{http_code}", f"{_ADDRESS}{path}")
        return int(written)

    def redirection(self, path: str) -> str:
        return self._curled("--output", "/dev/null", "--write-out", "%{redirect_url}", f"http://localhost:8080{path}")

    def training_request(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """To the training service, with its token."""
        given = [] if body is None else ["--json", json.dumps(body)]
        bearer = f"Authorization: Bearer {self.secret('training_token').read_text()}"
        address = f"http://localhost:8001{path}"
        document: dict[str, Any] = json.loads(self._curled("--request", method, "--header", bearer, *given, address))
        return document

    def _curled(self, *arguments: str) -> str:
        run = self.pod.inside(self._curl(*arguments))
        assert run.returncode == 0, run.stderr
        return run.stdout

    def _curl(self, *arguments: str) -> list[str]:
        return ["curl", "--silent", "--show-error", "--path-as-is", "--cacert", str(self.authority), *arguments]

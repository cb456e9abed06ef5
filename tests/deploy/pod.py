"""Services of docker-compose.yml in one network namespace with nothing but a loopback, under their names.

What the file says of them holds as an engine would have it (:mod:`tests.deploy.container`), but for its networks:
here all are one.
"""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.container import ENDS_WITH_TESTS, Container
from tests.deploy.image_building import POSTGRESQL, ROOT

_LOOPBACK_UP = """
import fcntl, socket, struct, time
fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sh", b"lo", 0x41))
print("up", flush=True)
time.sleep(1e6)
"""


def compose_configuration(*profiles: str, **variables: str) -> dict[str, Any]:
    """What ``docker-compose config`` makes of the file, for these profiles and variables."""
    options = [word for profile in profiles for word in ("--profile", profile)]
    command = ["docker-compose", "--file", "docker-compose.yml", *options, "config"]
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **variables}
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    configuration: dict[str, Any] = yaml.safe_load(run.stdout)
    return configuration


@dataclass
class Pod:
    folder: Path
    configuration: Mapping[str, Any]
    storage: Mapping[str, str]
    network: Path
    ends: ExitStack
    """What is undone when the pod ends."""
    started: int = 0

    def start(self, name: str) -> Container:
        """Start a service of the file."""
        service = self.configuration["services"][name]
        number = self.started
        self.started += 1
        volumes = {volume: self.folder / f"volume-{volume}" for volume in self.configuration["volumes"]}
        secrets = {secret: Path(found["file"]) for secret, found in self.configuration["secrets"].items()}
        with (self.folder / "hosts").open("a") as hosts:  # an engine lets a container know its own name, too
            hosts.write(f"127.0.0.1 {name}-{number}\n")
        container = Container(
            name=f"{self.folder.name}-{number}-{name}",
            hostname=f"{name}-{number}",
            service=service,
            volumes=volumes,
            secrets=secrets,
            hosts=self.folder / "hosts",
            network=self.network,
            log=self.folder / f"{number}-{name}.log",
            storage=self.storage,
        )
        self.ends.callback(container.remove)
        return container.start()

    def inside(self, command: Sequence[str | Path], **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a command of this machine in the pod's network."""
        words = ["nsenter", f"--net={self.network}", "--", *map(str, command)]
        return subprocess.run(words, capture_output=True, text=True, check=False, **options)


@contextmanager
def pod(configuration: Mapping[str, Any], storage: Mapping[str, str]) -> Iterator[Pod]:
    """Everything is stopped and removed at the end, but not the images."""
    with tempfile.TemporaryDirectory(prefix="epaas-pod-") as name:
        folder = Path(name)
        folder.chmod(0o711)  # the database's user passes through
        names = " ".join(["localhost", *configuration["services"]])
        (folder / "hosts").write_text(f"127.0.0.1 {names}\n")
        command = [*ENDS_WITH_TESTS, "unshare", "--net", "python3", "-c", _LOOPBACK_UP]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as holder, ExitStack() as ends:
            ends.callback(holder.kill)
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"up\n"
            yield Pod(folder, configuration, storage, Path(f"/proc/{holder.pid}/ns/net"), ends)


@contextmanager
def database(made: Pod) -> Iterator[None]:
    """PostgreSQL of this machine in place of the service ``database``, with its settings, until the end."""
    service = made.configuration["services"]["database"]
    environment = service["environment"]
    secret = Path(made.configuration["secrets"]["database_password"]["file"])
    folder = made.folder / "postgresql"
    folder.mkdir(mode=0o700)
    account = pwd.getpwnam("postgres")
    os.chown(folder, account.pw_uid, account.pw_gid)
    password = folder / "password"
    password.write_bytes(secret.read_bytes())
    os.chown(password, account.pw_uid, account.pw_gid)
    as_owner = ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]
    programs, user = POSTGRESQL[-1], environment["POSTGRES_USER"]
    options = [*environment["POSTGRES_INITDB_ARGS"].split(), "--auth-local=trust", f"--pwfile={password}"]
    initialised = made.inside(
        [*as_owner, programs / "initdb", f"--username={user}", "--no-sync", *options, folder / "data"]
    )
    assert initialised.returncode == 0, initialised.stderr
    command = [*as_owner, programs / service["command"][0], *service["command"][1:]]
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *ENDS_WITH_TESTS,
                "nsenter",
                f"--net={made.network}",
                "--",
                *map(str, command),
                "-D",
                folder / "data",
                "-k",
                folder,
            ],
            stdout=output,
            stderr=output,
        )
    try:
        deadline = time.monotonic() + 60
        create = [programs / "createdb", f"--host={folder}", f"--username={user}", environment["POSTGRES_DB"]]
        while made.inside([*as_owner, *create]).returncode != 0:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        yield
    finally:
        process.send_signal(signal.SIGINT)  # a fast shutdown: clients are not waited for
        process.wait(30)

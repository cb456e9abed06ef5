"""The service under test as a supervisor keeps it: two ``epaas-server serve`` over one data folder and one database.

What dies is started again, at the same port. Each serving process has a worker, and that an evaluation child. Knows
who the processes are; neither what is asked of them nor why they die.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from epaas_server.services import Services
from epaas_server.settings import Settings
from tests.postgresql import Cluster

START_SECONDS = 240.0
_LOOK_SECONDS = 0.1
_PAUSE_SECONDS = 0.5
SETTINGS = {
    "authentication": "tokens",
    "workers": "1",
    "threads": "1",
    "memory_bytes": "4_000_000_000",
    "lease_seconds": "4",
    "heartbeat_seconds": "0.5",
    # children are killed far more often than they would ever crash, and a job that is hit often is to go on
    "max_attempts": "1000",
}


@dataclass
class Instance:
    """One ``epaas-server serve`` and what it has started."""

    port: int
    process: subprocess.Popen[bytes] | None = None
    tried: float = 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def processes(self) -> list[psutil.Process]:
        """The serving process, if it lives."""
        if self.process is None or self.process.poll() is not None:
            return []
        with suppress(psutil.NoSuchProcess):
            return [psutil.Process(self.process.pid)]
        return []

    def workers(self) -> list[psutil.Process]:
        return [child for each in self.processes() for child in _children(each, "worker")]

    def evaluation_children(self) -> list[psutil.Process]:
        return [child for each in self.workers() for child in _children(each, "spawn_main")]


@dataclass
class Service:
    """``start`` it once; ``stop`` ends it in good order."""

    data_dir: Path
    options: dict[str, str] = field(default_factory=dict)
    postgresql: Cluster | None = None
    variables: dict[str, str] = field(default_factory=dict)
    """More of the environment, for processes that are started from now on."""
    instances: list[Instance] = field(default_factory=list)
    restarts: int = 0
    _ending: threading.Event = field(default_factory=threading.Event)
    _supervisor: threading.Thread | None = None

    @classmethod
    def prepared(cls, folder: Path, postgresql: Cluster | None = None, instances: int = 2, **options: str) -> Service:
        """A service over a new data folder and, with ``postgresql``, a new database of that cluster."""
        service = cls(folder / "data", {**SETTINGS, **options}, postgresql)
        service.data_dir.mkdir(parents=True)
        service.instances = [Instance(_free_port()) for _ in range(instances)]
        if postgresql is not None:
            url = postgresql.url(postgresql.new_database(), with_password=False)
            service.options["database_url"] = url.render_as_string(hide_password=False)
            service.options["database_password_file"] = str(postgresql.password_file())
        return service

    @property
    def environment(self) -> dict[str, str]:
        prefixed = {f"EPAAS_SERVER_{name.upper()}": value for name, value in self.options.items()}
        return {**os.environ, "EPAAS_SERVER_DATA_DIR": str(self.data_dir), **prefixed, **self.variables}

    @property
    def log_file(self) -> Path:
        return self.data_dir.parent / "server.log"

    def start(self) -> Service:
        self._supervisor = threading.Thread(target=self._supervise, daemon=True)
        self._supervisor.start()
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if all(self.answers(each) for each in self.instances):
                return self
            time.sleep(_LOOK_SECONDS)
        raise RuntimeError(f"the service does not start:\n{self.log_file.read_text()[-5000:]}")

    def answers(self, instance: Instance) -> bool:
        """Whether it is ready to serve."""
        with suppress(httpx.HTTPError):
            return httpx.get(f"{instance.url}/readyz", timeout=30).status_code == 200
        return False

    def stop(self) -> None:
        self._ending.set()
        if self._supervisor is not None:
            self._supervisor.join()
        for instance in self.instances:
            if instance.process is not None:
                instance.process.terminate()
        for instance in self.instances:
            if instance.process is not None:
                try:
                    instance.process.wait(60)
                except subprocess.TimeoutExpired:
                    instance.process.kill()
                    instance.process.wait()

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """``epaas-server`` beside those that serve."""
        command = [sys.executable, "-m", "epaas_server", *arguments]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)

    @contextmanager
    def opened(self) -> Iterator[Services]:
        """Its database and blobs, in this process."""
        settings = Settings.model_validate({"data_dir": self.data_dir, **self.options})
        services = Services.open(settings)
        try:
            yield services
        finally:
            services.close()

    def leftover_processes(self) -> list[str]:
        """Processes over this data folder, whoever has started them."""
        marker = f"EPAAS_SERVER_DATA_DIR={self.data_dir}"
        return [" ".join(each) for each in _command_lines(marker)]

    def restart(self) -> None:
        """Have all instances end in good order, to be started again with the environment as it is now."""
        for instance in self.instances:
            for process in instance.processes():
                process.send_signal(signal.SIGTERM)

    def _supervise(self) -> None:
        while not self._ending.wait(_LOOK_SECONDS):
            for instance in self.instances:
                dead = instance.process is None or instance.process.poll() is not None
                if dead and time.monotonic() - instance.tried >= _PAUSE_SECONDS:
                    self.restarts += instance.process is not None
                    instance.tried = time.monotonic()
                    command = [sys.executable, "-m", "epaas_server", "serve", "--port", str(instance.port)]
                    with self.log_file.open("ab") as log:
                        instance.process = subprocess.Popen(
                            command, env=self.environment, stderr=log, start_new_session=True
                        )


def _children(process: psutil.Process, word: str) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return [child for child in process.children() if any(word in part for part in _command_line(child))]
    return []


def _command_line(process: psutil.Process) -> list[str]:
    with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
        return process.cmdline()
    return []


def _command_lines(marker: str) -> Iterator[list[str]]:
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if marker.encode() in path.read_bytes().split(b"\0"):
                words = path.with_name("cmdline").read_bytes().split(b"\0")
                if any(words):
                    yield [word.decode() for word in words]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port

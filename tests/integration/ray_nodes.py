"""A real Ray cluster on loopback: machines are processes of ``epaas-server ray-node``, which may be killed."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

OBJECT_STORE_MEGABYTES = 400


@dataclass
class Node:
    """A machine of the cluster. Its actors are processes below it."""

    process: subprocess.Popen[bytes]

    def kill(self) -> None:
        """``kill -9`` of everything that runs on it, as when a machine loses power."""
        for process in self._processes():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait()

    def stop(self) -> None:
        running = self._processes()
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(20)
        for process in running:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait()

    def actors(self) -> list[psutil.Process]:
        return [process for process in self._processes() if "MachineActor" in _command(process)]

    def _processes(self) -> list[psutil.Process]:
        try:
            top = psutil.Process(self.process.pid)
            return [top, *top.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


@dataclass
class RayCluster:
    """A head that evaluates nothing, and machines of one thread. ``environment`` is what a driver needs."""

    folder: Path
    address: str
    environment: dict[str, str]
    nodes: list[Node] = field(default_factory=list)

    @property
    def running(self) -> list[Node]:
        """The head first."""
        return [node for node in self.nodes if node.process.poll() is None]

    def add(self, threads: int = 1, **variables: str) -> Node:
        return self._node(self.address, "--threads", str(threads), **variables)

    def _node(self, *arguments: str, **variables: str) -> Node:
        size = ["--object-store-megabytes", str(OBJECT_STORE_MEGABYTES)]
        ending_with_us = ["setpriv", "--pdeathsig", "TERM"]  # also where the tests are killed and stop nothing
        command = [*ending_with_us, sys.executable, "-m", "epaas_server", "ray-node", *arguments, *size]
        log_file = self.folder / f"node-{len(self.nodes)}.log"
        with log_file.open("wb") as log:
            process = subprocess.Popen(
                command,
                env={**os.environ, **self.environment, **variables},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.nodes.append(Node(process))
        while "Ray runtime started" not in log_file.read_text():  # two at once on one machine get into each other's way
            if process.poll() is not None:
                raise RuntimeError(log_file.read_text())
            time.sleep(0.1)
        return self.nodes[-1]

    def start_head(self) -> None:
        self._node("--port", self.address.partition(":")[2], "--threads", "0")

    def stop(self) -> None:
        for node in reversed(self.nodes):
            node.stop()


@contextmanager
def ray_cluster() -> Iterator[RayCluster]:
    """A cluster of its own token, ports and folder, which has a short path: sockets lie in it."""
    folder = Path(tempfile.mkdtemp(prefix="epaas-ray-"))
    token = folder / "token"
    token.write_text(secrets.token_hex(32))
    environment = {
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_TMPDIR": str(folder),
        "RAY_worker_niceness": "10",  # as an evaluation child of the local engine; Ray's own is 15
    }
    cluster = RayCluster(folder, f"127.0.0.1:{_free_port()}", environment)
    try:
        cluster.start_head()
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port

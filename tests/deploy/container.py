"""One container without an engine: an image's file system, isolated as a service of docker-compose.yml asks for.

Namespaces of its own for mounts, processes and messages; the root read-only with the service's volumes, secrets and
tmpfs over it; the service's user, without capabilities and without a way to new ones. The network is the pod's. Needs
to be root, like an engine.
"""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

HEALTHY_SECONDS = 300.0
"""Patience with a busy machine."""

ENDS_WITH_TESTS = ("setpriv", "--pdeathsig=KILL")
"""Before a command: it does not outlive the tests, however they end."""
_DEVICES = ("full", "null", "random", "urandom", "zero")


@dataclass
class Container:
    """``service`` as ``docker-compose config`` prints it; ``volumes`` are the host's folders of named volumes."""

    name: str
    hostname: str
    service: Mapping[str, Any]
    volumes: Mapping[str, Path]
    secrets: Mapping[str, Path]
    hosts: Path
    network: Path
    log: Path
    storage: Mapping[str, str]
    """The environment in which buildah finds the images."""
    process: subprocess.Popen[bytes] | None = None

    @cached_property
    def image(self) -> dict[str, Any]:
        """The image's configuration, in Docker's format."""
        inspected: dict[str, Any] = json.loads(self._buildah("inspect", "--type", "image", self.service["image"]))
        configuration: dict[str, Any] = inspected["Docker"]["config"]
        return configuration

    @cached_property
    def root(self) -> Path:
        """The file system, made for this container."""
        self._buildah("from", "--pull-never", "--name", self.name, self.service["image"])
        return Path(self._buildah("mount", self.name))

    @property
    def environment(self) -> dict[str, str]:
        given = self.service.get("environment") or {}
        return {
            **dict(line.split("=", 1) for line in self.image["Env"]),
            **{name: str(value) for name, value in given.items() if value is not None},
        }

    @property
    def user(self) -> tuple[int, int]:
        user, group = self.service["user"].split(":")
        return int(user), int(group)

    @property
    def command(self) -> list[str]:
        entrypoint, command = self.service.get("entrypoint"), self.service.get("command")
        if entrypoint:  # an image's command is meant for its own
            return [*entrypoint, *(command or [])]
        return [*self.image["Entrypoint"], *(command or self.image["Cmd"])]

    def start(self) -> Container:
        script = self.log.with_suffix(".sh")
        script.write_text("\n".join([*self._mounts(), self._enter()]) + "\n")
        script.chmod(0o700)
        isolated = ["unshare", "--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child=KILL", "sh", str(script)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*ENDS_WITH_TESTS, "nsenter", f"--net={self.network}", "--", *isolated],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return self

    def _mounts(self) -> list[str]:
        """What makes the root the container's. Mount points are made while it can be written."""
        root, user = self.root, self.user
        lines = ["set -eu", f"hostname {self.hostname}", "mount --make-rprivate /", f"mount --bind {root} {root}"]

        def mount(target: str, options: str, source: Path | None = None) -> None:
            point = root / target.lstrip("/")
            if source is not None and source.is_file():
                point.parent.mkdir(parents=True, exist_ok=True)
                point.touch()
            else:
                point.mkdir(parents=True, exist_ok=True)
            lines.append(f"mount {options} {source or 'none'} {point}")

        mount("/proc", "-t proc -o nosuid,nodev,noexec")
        mount("/sys", "-t sysfs -o ro,nosuid,nodev,noexec")
        mount("/dev", "-t tmpfs -o nosuid,noexec,mode=755,size=64k")
        for device in _DEVICES:
            lines.append(f"touch {root}/dev/{device} && mount --bind /dev/{device} {root}/dev/{device}")
        shared = self.service.get("shm_size", "64m")
        lines.append(f"mkdir {root}/dev/shm && mount -t tmpfs -o nosuid,nodev,size={shared} none {root}/dev/shm")
        mount("/etc/hosts", "--bind", self.hosts)
        for each in self.service.get("tmpfs", []):
            target, _, options = each.partition(":")
            mount(target, f"-t tmpfs -o nosuid,nodev,noexec,{options}")
        for secret in self.service.get("secrets", []):
            mount(f"/run/secrets/{secret['source']}", "--bind", self.secrets[secret["source"]])
        for each in self.service.get("volumes", []):
            source, target, mode = each.split(":")
            folder = self.volumes.get(source, Path(source))
            if source in self.volumes and not folder.exists():  # a new volume is as the image has the folder
                folder.mkdir(mode=0o700)
                made = (root / target.lstrip("/")).stat()
                lines.append(f"chown {made.st_uid}:{made.st_gid} {folder}")
            mount(target, "--bind", folder)
            if mode == "ro":
                lines.append(f"mount -o remount,bind,ro {root}{target}")
        if self.service["read_only"]:
            lines.append(f"mount -o remount,bind,ro {root}")
        assert user[0] != 0
        return lines

    def _enter(self) -> str:
        return shlex.join(["exec", "chroot", str(self.root), *self._as_user(self.command)])

    def _as_user(self, command: Sequence[str]) -> list[str]:
        user, group = self.user
        bounds = ["--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"]
        variables = [f"{name}={value}" for name, value in self.environment.items()]
        identity = [f"--reuid={user}", f"--regid={group}", "--clear-groups"]
        return ["/usr/bin/setpriv", *identity, *bounds, "/usr/bin/env", "-i", *variables, *command]

    @property
    def first_process(self) -> int:
        """Of the container, by its number outside."""
        assert self.process is not None
        tasks = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        deadline = time.monotonic() + HEALTHY_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            children = tasks.read_text().split()
            if children:
                return int(children[0])
            time.sleep(0.02)
        raise RuntimeError(f"{self.name} has ended:\n{self.words()}")

    def run(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """A command inside the running container, as its user."""
        inside = [
            "nsenter",
            f"--target={self.first_process}",
            "--mount",
            "--pid",
            "--ipc",
            "--uts",
            "--net",
            "--root",
            "--wd",
        ]
        return subprocess.run([*inside, "--", *self._as_user(command)], capture_output=True, text=True, check=False)

    @property
    def health_check(self) -> list[str] | None:
        """The command; None where the service has none."""
        check = self.service.get("healthcheck") or {}
        if check.get("disable"):
            return None
        test: list[str] = check.get("test") or self.image["Healthcheck"]["Test"]
        assert test[0] == "CMD"
        return test[1:]

    @property
    def healthy(self) -> bool:
        assert self.health_check is not None
        return self.run(self.health_check).returncode == 0

    def wait_until_healthy(self) -> Container:
        deadline = time.monotonic() + HEALTHY_SECONDS
        while time.monotonic() < deadline:
            if self.healthy:
                return self
            time.sleep(0.3)
        raise RuntimeError(f"{self.name} does not become healthy:\n{self.words()}")

    def wait(self) -> int:
        """Until the command ends; its exit status."""
        assert self.process is not None
        return self.process.wait(HEALTHY_SECONDS)

    def words(self) -> str:
        """What it wrote."""
        return self.log.read_text(errors="replace")

    def stop(self) -> None:
        """As an engine stops it: asked first, then killed."""
        if self.process is not None and self.process.poll() is None:
            try:
                subprocess.run(["kill", f"-{signal.SIGTERM}", str(self.first_process)], check=False)
                self.process.wait(20)
            except (RuntimeError, subprocess.TimeoutExpired):
                self.process.kill()  # and with it all of the container
                self.process.wait()

    def remove(self) -> None:
        self.stop()
        if "root" in self.__dict__:
            self._buildah("umount", self.name)
            self._buildah("rm", self.name)

    def _buildah(self, *arguments: str) -> str:
        command = ["buildah", *arguments]
        run = subprocess.run(command, env=dict(self.storage), capture_output=True, text=True, check=False)
        if run.returncode != 0:
            raise RuntimeError(f"{shlex.join(command)}: {run.stderr}")
        return run.stdout.strip()

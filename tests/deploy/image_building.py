"""Builds the images with buildah on a Debian base made by debootstrap, where no container engine runs.

Layers are kept in a folder of the user's cache, so that a second run builds only what has changed. The base, and the
program Caddy, come from Debian here; a deployment takes them from their makers' images (deploy/Dockerfile).
"""

from __future__ import annotations

import ast
import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from epaas_shared import __version__

ROOT = Path(__file__).parents[2]
TOOLS = ("buildah", "caddy", "debootstrap", "docker-compose", "nsenter", "setpriv", "unshare")
POSTGRESQL = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
"""Of Debian's versions that are installed, the newest last."""
IMAGES = ("api", "worker", "ray", "training", "proxy")

_CACHE = user_cache_path("epaas-tests")
_BASE = "localhost/epaas-base:bookworm"
_CADDY = "localhost/epaas-caddy:bookworm"
_LIMIT_BYTES = 20_000_000_000
"""Of kept layers; beyond it all are dropped."""
_SLIM = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "var/cache/apt", "var/lib/apt/lists")
"""What Debian's own slim images lack too."""


def missing_tools() -> str:
    """Why the images cannot be built here; empty where they can."""
    if os.geteuid() != 0:
        return "namespaces and mounts need root"
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if not POSTGRESQL:
        missing.append("postgresql")
    return f"apt-get install {' '.join(missing)}" if missing else ""


def storage_environment() -> dict[str, str]:
    """The environment in which buildah uses the kept layers, and neither an engine nor other storage."""
    _CACHE.mkdir(parents=True, exist_ok=True)
    configuration = _CACHE / "storage.conf"
    lines = ["[storage]", 'driver = "overlay"', f'graphroot = "{_CACHE / "layers"}"', f'runroot = "{_CACHE / "run"}"']
    configuration.write_text("\n".join(lines) + "\n")
    return {
        **os.environ,
        "BUILDAH_ISOLATION": "chroot",
        "BUILDER": "buildah",
        "CONTAINERS_STORAGE_CONF": str(configuration),
        "TMPDIR": str(_CACHE),
    }


@contextmanager
def built_images(folder: Path) -> Iterator[dict[str, str]]:
    """Build all images from a clean tree in ``folder``; gives the environment in which they are found.

    One process at a time works with the layers. Containers that are left are removed at the end.
    """
    environment = storage_environment()
    with (_CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _run(["buildah", "rm", "--all"], environment)  # of a run that was killed
        _drop_if_large(environment)
        _make_base(environment)
        tree = clean_tree(folder / "tree")
        options = [*host_volumes(folder), "--build-arg", f"BASE={_BASE}"]
        _make_caddy(folder, environment, options)
        _run([tree / "deploy/build", "--", *options, "--build-arg", f"CADDY={_CADDY}"], environment)
        try:
            yield environment
        finally:
            _run(["buildah", "rm", "--all"], environment)


def image_configuration(image: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """In Docker's format."""
    inspected = json.loads(_run(["buildah", "inspect", "--type", "image", _tag(image)], environment))
    configuration: dict[str, Any] = inspected["Docker"]["config"]
    return configuration


@contextmanager
def file_system(image: str, environment: Mapping[str, str]) -> Iterator[Path]:
    container = _run(["buildah", "from", "--pull-never", _tag(image)], environment)
    try:
        yield Path(_run(["buildah", "mount", container], environment))
    finally:
        _run(["buildah", "rm", container], environment)


def _tag(image: str) -> str:
    return f"localhost/epaas/{image}:{__version__}"


def clean_tree(folder: Path) -> Path:
    """What is in version control or about to be, and nothing else."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    for name in filter(None, names):
        source = ROOT / name
        if source.is_file():  # not one that was removed and is still in the index
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, folder / name)
    return folder


def host_volumes(folder: Path) -> list[str]:
    """Options that carry this machine's settings of pip and apt into a build, without leaving them in an image."""
    lines, volumes = ["[global]"], {Path("/etc/apt/apt.conf.d"): "/etc/apt/apt.conf.d"}
    for name, value in _pip_settings().items():
        words = []
        for word in value.split():
            path = Path(word.removeprefix("file://"))
            if not path.is_absolute() or not path.exists():
                words.append(word)
            elif path.is_file():
                volumes[path] = f"/etc/pip-{name}"
                words.append(volumes[path])
            else:  # an index refers to files beside it
                volumes[path.parent if word.startswith("file://") else path] = ""
                words.append(word)
        lines.append(f"{name} = {' '.join(words)}")
    configuration = folder / "pip.conf"
    configuration.write_text("\n".join(lines) + "\n")
    volumes[configuration] = "/etc/pip.conf"
    return [f"--volume={path}:{target or path}:ro" for path, target in volumes.items() if path.exists()]


def _pip_settings() -> dict[str, str]:
    """By their names, as pip itself resolves files and variables."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    settings = {}
    for line in printed.splitlines():
        name, _, value = line.partition("=")
        settings[name.rpartition(".")[2]] = str(ast.literal_eval(value))
    return settings


def _make_base(environment: Mapping[str, str]) -> None:
    if _exists(_BASE, environment):
        return
    system = _CACHE / "bookworm"
    shutil.rmtree(system, ignore_errors=True)
    _run(["debootstrap", "--variant=minbase", "bookworm", system], environment)
    for name in _SLIM:
        for entry in (system / name).iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    container = _run(["buildah", "from", "scratch"], environment)
    _run(["buildah", "add", "--quiet", container, system, "/"], environment)
    _run(["buildah", "commit", "--quiet", "--rm", container, _BASE], environment)
    shutil.rmtree(system)


def _make_caddy(folder: Path, environment: Mapping[str, str], options: list[str]) -> None:
    if _exists(_CADDY, environment):
        return
    recipe = folder / "caddy.Dockerfile"
    install = "apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends caddy"
    recipe.write_text(f"ARG BASE\nFROM ${{BASE}}\nRUN {install}\n")
    _run(["buildah", "bud", "--tag", _CADDY, "--file", recipe, *options, folder], environment)


def _drop_if_large(environment: Mapping[str, str]) -> None:
    kept = subprocess.run(["du", "--summarize", "--bytes", _CACHE], capture_output=True, text=True, check=True)
    if int(kept.stdout.split()[0]) > _LIMIT_BYTES:
        _run(["buildah", "rmi", "--all", "--force"], environment)


def _exists(image: str, environment: Mapping[str, str]) -> bool:
    run = subprocess.run(
        ["buildah", "inspect", "--type", "image", image], env=dict(environment), capture_output=True, check=False
    )
    return run.returncode == 0


def _run(command: list[str | Path], environment: Mapping[str, str]) -> str:
    words = ["nice", "-n", "5", *map(str, command)]
    run = subprocess.run(words, env=dict(environment), capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise RuntimeError(f"{' '.join(words)}:\n{run.stdout[-4000:]}\n{run.stderr[-8000:]}")
    return run.stdout.strip()

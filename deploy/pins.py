"""Writes ``requirements/images/*.txt``: for each image every package that it needs, and no other.

    .venv/bin/python deploy/pins.py

The names follow from ``pyproject.toml`` and from what the installed packages declare, the versions from
``requirements/constraints.txt``. Images install them with ``pip install --no-deps``: concrete-python declares torch,
which only its compiler uses (docs/light-client.md). ``build.txt`` is written by hand: the build of the wheel is no
package of the environment.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "requirements" / "images"

_CLIENT = {"concrete-python", "cryptography", "httpx", "pillow", "pycapnp", "setuptools"}
"""Declared by the distribution, but for the client or the evaluation of ciphertexts."""

_HEADERS = {
    "api": "The HTTP interface: no TFHE runtime, no torch.",
    "worker": "Evaluation, beside api.txt: the TFHE runtime.",
    "ray": "The ray engine, beside worker.txt.",
    "training": "Training: torch.",
    "compiler": "Compiling the circuits, beside training.txt and worker.txt. Only while the worker's image is built.",
}


def pins() -> dict[str, dict[str, str]]:
    """Package and version of every image."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared, extras = project["dependencies"], project["optional-dependencies"]
    api = _closure([*declared, *extras["server"], *extras["postgres"], *extras["s3"]], without=_CLIENT)
    api |= _closure(["cryptography"])  # of the engine, whose modules the interface imports
    worker = _closure(["concrete-python", "pycapnp", "setuptools"], without={"torch", "scipy", "networkx", "z3-solver"})
    training = _closure([*declared, *extras["train"]], without=_CLIENT - {"httpx", "pillow"})
    compiler = _closure(["concrete-python"])
    ray = _closure(extras["ray"])
    names = {
        "api": api,
        "worker": worker - api,
        "ray": ray - worker - api,
        "training": training,
        "compiler": compiler - training - worker,
    }
    versions = _versions("constraints.txt") | _versions("light-client.txt")
    return {image: {name: versions[name] for name in sorted(found)} for image, found in names.items()}


def texts() -> dict[Path, str]:
    """What the files hold."""
    return {
        FOLDER / f"{image}.txt": f"# {_HEADERS[image]} Written by deploy/pins.py.\n"
        + "".join(f"{name}=={version}\n" for name, version in found.items())
        for image, found in pins().items()
    }


def _closure(roots: list[str], without: Collection[str] = ()) -> set[str]:
    """The packages that ``roots`` need, themselves among them, but for ``without`` and what only those need."""
    found: dict[tuple[str, frozenset[str]], None] = {}
    waiting = [Requirement(root) for root in roots]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        key = (name, frozenset(requirement.extras))
        if name in without or key in found:
            continue
        found[key] = None
        extras = ["", *requirement.extras]
        for line in requires(name) or []:
            needed = Requirement(line)
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append(needed)
    return {name for name, _ in found}


def _versions(file: str) -> dict[str, str]:
    lines = (ROOT / "requirements" / file).read_text().splitlines()
    pinned = [line.split("==") for line in lines if "==" in line]
    return {canonicalize_name(name): version for name, version in pinned}


if __name__ == "__main__":
    for path, text in texts().items():
        path.write_text(text)

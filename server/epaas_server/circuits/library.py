"""Finds the compiled circuit library of a profile on this machine, or has it built. Never loads the compiler itself.

The library is kept in the cache folder under a name made of the profile's digest, the compiler's version and the
digest of the circuits' source, so that none of them can change unnoticed. A library is code: only what this
deployment built is loaded.
"""

from __future__ import annotations

import fcntl
import secrets
import shutil
import subprocess
import sys
from importlib import resources
from importlib.metadata import version
from pathlib import Path

from epaas_shared.digest import digest_bytes
from epaas_shared.errors import Unavailable
from epaas_shared.profile import Profile


def library_folder(cache_dir: Path, profile: Profile) -> Path:
    """Where the library of ``profile`` is or will be."""
    sources = resources.files("epaas_server.circuits")
    recipe = b"".join((sources / name).read_bytes() for name in ("definitions.py", "build.py"))
    name = f"{profile.digest[:16]}-concrete-{version('concrete-python')}-{digest_bytes(recipe)[:16]}"
    return cache_dir / "circuits" / name


def is_built(cache_dir: Path, profile: Profile) -> bool:
    return library_folder(cache_dir, profile).is_dir()


def ensure_library(cache_dir: Path, profile: Profile) -> Path:
    """The folder of the library, built first (some seconds) where this machine does not have it.

    Of several processes that ask at once, one builds and the others wait. Raises :class:`Unavailable` with the
    compiler's words where the build fails.
    """
    folder = library_folder(cache_dir, profile)
    if is_built(cache_dir, profile):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_built(cache_dir, profile):
            _build(folder, profile)
    return folder


def _build(folder: Path, profile: Profile) -> None:
    temporary = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    temporary.mkdir()
    try:
        command = [sys.executable, "-m", "epaas_server.circuits.build", profile.name, str(temporary)]
        run = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        if run.returncode != 0:
            lines = run.stderr.strip().splitlines() or [f"exit status {run.returncode}"]
            raise Unavailable(
                f"the circuit library cannot be built: {lines[-1][:300]}",
                hint="the compiler is needed once: install epaas[server] with its torch, or copy a built library",
            )
        shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)

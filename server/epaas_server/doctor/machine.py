"""The machine: folders, disks, memory, processors, limits of processes."""

from __future__ import annotations

import difflib
import importlib.util
import os
import resource
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from epaas_server.doctor.patient import Finding, Patient, error, gigabytes, ok, variable, warning
from epaas_server.engine.keys import bytes_in_memory
from epaas_server.machine import available_memory_bytes
from epaas_server.settings import Settings
from epaas_shared.profile import default_profile
from epaas_shared.quantities import size

_PREFIX = variable("")
_CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_LOADED_BYTES = 1_500_000_000
"""Address space that a child has once the runtime is loaded, about."""
_FILES = 1024
_UPLOADS = 10
"""So many of the largest uploads should find room."""
_SCARCE = 0.05


def variables(patient: Patient) -> Iterator[Finding]:
    """A variable with a name that is wrong is not read by anybody."""
    known = [variable(name) for name in Settings.model_fields]
    given = [name for name in patient.environment if name.upper().startswith(_PREFIX)]
    unknown = [name for name in given if name.upper().partition("__")[0] not in known]
    for name in sorted(unknown):
        near = difflib.get_close_matches(name.upper(), known, 1)
        yield warning(f"{name} is no setting", f"did you mean {near[0]}?" if near else "remove it")
    if not unknown:
        yield ok(f"{len(given)} set in the environment")


def data_folder(patient: Patient) -> Iterator[Finding]:
    folder = patient.settings.data_dir
    mend = f"make it a folder that the service's user may write to, or set {variable('data_dir')}"
    if not folder.exists():
        parent = next((parent for parent in folder.parents if parent.exists()), None)
        if parent is None or not parent.is_dir() or not os.access(parent, os.W_OK):
            yield error(f"{folder} is not there and cannot be made", mend)
        else:
            yield ok(f"{folder} will be made at the first start")
        return
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as refused:
        yield error(f"{folder} cannot be written to: {(refused.strerror or str(refused)).lower()}", mend)
        return
    owner = folder.stat().st_uid
    if owner != os.geteuid():
        yield warning(
            f"{folder} belongs to user {owner}, and this is user {os.geteuid()}",
            "run epaas-server as the one user of the service: what others make it may not be able to write",
        )
    else:
        yield ok(f"{folder} can be written to")


def strangers(patient: Patient) -> Iterator[Finding]:
    """Whoever may write to the circuit library has the server run their code; to the data folder, use their data."""
    settings = patient.settings
    folders = {settings.data_dir, settings.cache_dir, settings.cache_dir / "circuits", settings.data_dir / "blobs"}
    open_folders = [path for path in folders if path.is_dir() and path.stat().st_mode & stat.S_IWOTH]
    for path in sorted(open_folders):
        yield error(f"anybody on this machine may write to {path}", f"chmod o-w {path}, and look at what is in it")
    if not open_folders:
        yield ok("others may not write to its folders")


def disk(patient: Patient) -> Iterator[Finding]:
    data = patient.settings.data_dir
    folder = next(path for path in (data, *data.parents) if path.is_dir())
    usage = shutil.disk_usage(folder)
    upload = patient.settings.max_evaluation_keys_bytes
    said = f"{gigabytes(usage.free)} of {gigabytes(usage.total)} are free on the disk of {folder}"
    mend = "make room: `epaas-server sweep`, shorter EPAAS_SERVER_KEEP_* times, a larger disk"
    files = os.statvfs(folder)
    if usage.free < upload:
        yield error(f"{said}: less than one upload may have", mend)
    elif usage.free < max(_UPLOADS * upload, _SCARCE * usage.total):
        yield warning(said, mend)
    elif files.f_files and files.f_favail < _SCARCE * files.f_files:
        yield warning(f"{files.f_favail} more files fit on the disk of {folder}", mend)
    else:
        yield ok(said)


def memory(patient: Patient) -> Iterator[Finding]:
    settings = patient.settings
    if not settings.workers and not has_runtime():
        yield ok("nothing is evaluated here")
        return
    available, slots = available_memory_bytes(), max(1, settings.workers)
    keyset = bytes_in_memory(default_profile())
    wrong = False
    if settings.memory_bytes * slots > available:
        wrong = True
        yield error(
            f"{slots} slots may take {gigabytes(settings.memory_bytes * slots)} of {gigabytes(available)}",
            f"set {variable('memory_bytes')} to {available // slots} at most, or leave it out",
        )
    if "keyset_cache_bytes" in settings.model_fields_set and settings.keyset_cache_bytes > settings.slot_keyset_bytes:
        wrong = True
        yield warning(
            f"of the {gigabytes(settings.keyset_cache_bytes)} for evaluation keys a slot uses "
            f"{gigabytes(settings.slot_keyset_bytes)}, a quarter of its memory",
            f"set {variable('keyset_cache_bytes')} lower, or have fewer workers on this machine",
        )
    if settings.slot_keyset_bytes < keyset:
        wrong = True
        yield warning(
            f"a slot's {size(settings.slot_keyset_bytes)} for evaluation keys hold no client's {size(keyset)}",
            f"raise {variable('keyset_cache_bytes')} or the memory of this machine: keys are loaded for every client",
        )
    if not wrong:
        evaluation, keys = gigabytes(settings.slot_evaluation_bytes), gigabytes(settings.slot_keyset_bytes)
        yield ok(f"{slots} times {evaluation} for an evaluation and {keys} for keys")


def has_runtime() -> bool:
    """Whether the TFHE runtime is installed; it is not where only the HTTP interface runs."""
    return importlib.util.find_spec("concrete") is not None


def threads(patient: Patient) -> Iterator[Finding]:
    settings = patient.settings
    wanted, cores = settings.threads * settings.workers, available_cores()
    if wanted > cores:
        yield warning(
            f"{settings.workers} times {settings.threads} threads share {cores:g} cores",
            f"set {variable('threads')} to {max(1, int(cores // max(1, settings.workers)))}: more threads slow one "
            "another",
        )
    else:
        yield ok(f"{settings.workers} times {settings.threads} threads on {cores:g} cores")


def available_cores() -> float:
    """That this process may run on, in a container too."""
    cores = float(len(os.sched_getaffinity(0)))
    try:
        quota, period = _CPU_QUOTA.read_text().split()
    except (OSError, ValueError):
        return cores
    return min(cores, int(quota) / int(period)) if quota.isdigit() else cores


def limits(patient: Patient) -> Iterator[Finding]:
    needed = patient.settings.child_memory_bytes + _LOADED_BYTES
    space, _ = resource.getrlimit(resource.RLIMIT_AS)
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    wrong = False
    if space not in (resource.RLIM_INFINITY, -1) and space < needed:
        wrong = True
        yield error(
            f"processes here may have {gigabytes(space)} of address space, an evaluation child needs "
            f"{gigabytes(needed)}",
            f"`ulimit -v unlimited` where the server is started, or a lower {variable('child_memory_bytes')}",
        )
    if files != resource.RLIM_INFINITY and files < _FILES:
        wrong = True
        yield warning(
            f"processes here may have {files} files open, which are few clients at a time",
            "`ulimit -n 65536` where the server is started",
        )
    if not wrong:
        yield ok("address space and open files")

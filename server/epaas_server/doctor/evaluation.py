"""Whether this machine, or its cluster, can evaluate: tried, not guessed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from epaas_server.circuits.library import is_built, library_folder
from epaas_server.doctor.machine import has_runtime
from epaas_server.doctor.patient import Finding, Patient, error, ok, skipped, variable, warning
from epaas_server.engine.cluster.joining import check_cluster
from epaas_server.jobs.processes import as_variables
from epaas_server.settings import Settings
from epaas_shared.errors import ConfigurationError
from epaas_shared.profile import default_profile

_TRIAL_SECONDS = 120.0


def evaluation(patient: Patient) -> Iterator[Finding]:
    """Have an evaluation child load the circuits, or join the cluster, under the limits that it will have."""
    if patient.settings.engine == "ray":
        yield from _cluster(patient.settings)
    else:
        yield from _machine(patient.settings)


def _machine(settings: Settings) -> Iterator[Finding]:
    if not has_runtime():
        if settings.workers:
            yield error(
                "the TFHE runtime is not installed, and workers need it",
                f"`pip install epaas[server]`, or set {variable('workers')} to 0 and evaluate elsewhere",
            )
        else:
            yield ok("nothing is evaluated here: the TFHE runtime is not installed")
        return
    profile = default_profile()
    if not is_built(settings.cache_dir, profile):
        if settings.workers:
            yield warning(
                "the circuits are not compiled yet; the first start takes some seconds longer, and needs the compiler",
                "`epaas-server circuits build`",
            )
        else:
            yield ok("nothing is evaluated here: no circuits are compiled")
        return
    trial = _trial(settings)
    folder = library_folder(settings.cache_dir, profile)
    if trial is not None and trial.returncode == 0:
        yield ok("a child loads the circuits")
    else:
        yield error(
            f"a child does not load the circuits: {_reason(trial)}",
            f"remove {folder} and run `epaas-server circuits build`; if that does not help, look at what `limits` says",
        )


def _cluster(settings: Settings) -> Iterator[Finding]:
    try:
        check_cluster(settings.ray_address)
    except ConfigurationError as wrong:
        yield error(str(wrong), wrong.hint or f"set {variable('ray_address')}")
        return
    if not settings.workers:
        yield skipped("no worker of this machine uses the cluster")
        return
    trial = _trial(settings)
    if trial is None or trial.returncode:
        yield error(
            f"the cluster {settings.ray_address} does not evaluate: {_reason(trial)}",
            "look whether its head runs and has machines, whether this machine is one of them, and whether all have "
            "the same token (docs/fan-out.md)",
        )
        return
    said = _log_lines(trial.stderr)
    ready = [line for line in said if line.get("event") == "machine ready"]
    if ready:
        yield ok(f"machines of the cluster {settings.ray_address} that load the circuits: {len(ready)}")
    for line in said:
        if line.get("event") == "machine not ready":
            yield (warning if ready else error)(
                f"{line['machine']} (node {line['node']}) of the cluster does not evaluate: {line['reason']}",
                "look at it: all machines need the same release, with the extras server and ray (docs/fan-out.md)",
            )


def _trial(settings: Settings) -> subprocess.CompletedProcess[str] | None:
    """What the process that tries it said; None where it did not end."""
    command = [sys.executable, "-W", "ignore", "-m", "epaas_server.doctor.trial"]
    with tempfile.TemporaryDirectory() as folder:
        elsewhere = settings.model_copy(update={"data_dir": Path(folder), "blob_store": ""})  # where it leaves nothing
        environment = {**os.environ, **as_variables(elsewhere)}
        try:
            return subprocess.run(  # noqa: S603
                command, env=environment, capture_output=True, text=True, check=False, timeout=_TRIAL_SECONDS
            )
        except subprocess.TimeoutExpired:
            return None


def _reason(trial: subprocess.CompletedProcess[str] | None) -> str:
    """The first thing that was said to be wrong: a line of the log, or the end of a traceback."""
    if trial is None:
        return f"it was not ready within {_TRIAL_SECONDS:.0f} seconds"
    for line in _log_lines(trial.stderr):
        return str(line.get("reason", line.get("event", line)))[:300]
    lines = [line for line in trial.stderr.splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith((" ", "Traceback", "Process "))]
    return told[0][:300] if told else "it says nothing"


def _log_lines(words: str) -> list[dict[str, Any]]:
    """Lines of the log among whatever native code says beside them."""
    found = []
    for line in words.splitlines():
        if line.startswith("{"):
            with suppress(json.JSONDecodeError):
                found.append(json.loads(line))
    return found

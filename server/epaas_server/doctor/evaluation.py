"""Whether this machine, or its cluster, can evaluate: tried, not guessed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

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
    reason = _trial(settings)
    folder = library_folder(settings.cache_dir, profile)
    if reason is None:
        yield ok("a child loads the circuits")
    else:
        yield error(
            f"a child does not load the circuits: {reason}",
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
    reason = _trial(settings)
    if reason is None:
        yield ok(f"a machine of the cluster {settings.ray_address} is ready")
    else:
        yield error(
            f"the cluster {settings.ray_address} does not evaluate: {reason}",
            "look whether its head runs and has machines, whether this machine is one of them, and whether all have "
            "the same release and token (docs/fan-out.md)",
        )


def _trial(settings: Settings) -> str | None:
    """Why an evaluation child does not start; None where it does."""
    command = [sys.executable, "-W", "ignore", "-m", "epaas_server.doctor.trial"]
    with tempfile.TemporaryDirectory() as folder:
        elsewhere = settings.model_copy(update={"data_dir": Path(folder), "blob_store": ""})  # where it leaves nothing
        environment = {**os.environ, **as_variables(elsewhere)}
        try:
            run = subprocess.run(  # noqa: S603
                command, env=environment, capture_output=True, text=True, check=False, timeout=_TRIAL_SECONDS
            )
        except subprocess.TimeoutExpired:
            return f"it was not ready within {_TRIAL_SECONDS:.0f} seconds"
    if run.returncode == 0:
        return None
    return _reason(run.stderr)


def _reason(words: str) -> str:
    """The first thing that was said to be wrong: a line of the log, or the end of a traceback."""
    lines = [line for line in words.splitlines() if line.strip()]
    for line in lines:
        if line.startswith("{"):
            said = json.loads(line)
            return str(said.get("reason", said.get("event", line)))[:300]
    told = [line for line in lines if not line.startswith((" ", "Traceback", "Process "))]
    return told[0][:300] if told else "it says nothing"

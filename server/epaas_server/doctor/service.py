"""The running service: workers, the queue, keys, what has failed of late, and where traces go."""

from __future__ import annotations

import http.client
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Row, exists, func, select

from epaas_server.database import clock, reading
from epaas_server.doctor.patient import Finding, Patient, error, gigabytes, ok, warning
from epaas_server.jobs.job import JobKind
from epaas_server.jobs.presence import PRESENT_SECONDS, WorkerPresence
from epaas_server.observability.tracing import collector
from epaas_server.tables import evaluation_keys, jobs
from epaas_server.tables import workers as workers_table
from epaas_shared import __version__
from epaas_shared.protocol import KeysState, PredictionState
from epaas_shared.quantities import duration

_STUCK_SECONDS = 120.0
"""A job that a free worker has not taken for so long will not be taken."""
_LONG_SECONDS = 3600.0
_ABANDONED_SECONDS = 60.0
_LATELY = timedelta(days=1)
_FAILED = 5
_ANSWER_SECONDS = 5.0


def workers(patient: Patient) -> Iterator[Finding]:
    assert patient.database is not None
    present = WorkerPresence(patient.database).present()
    silent = clock(patient.database) - workers_table.c.seen
    with reading(patient.database) as connection:
        gone = connection.execute(select(workers_table.c.name).where(silent >= PRESENT_SECONDS)).scalars().all()
        unfinished = connection.execute(
            select(func.count()).where(jobs.c.state.in_((PredictionState.QUEUED.value, PredictionState.RUNNING.value)))
        ).scalar_one()
    wrong = False
    if not present:
        wrong = True
        mend = "start `epaas-server serve` with workers, or `epaas-server worker`, over this database"
        if unfinished:
            yield error(f"no worker is there, and {unfinished} jobs wait", mend)
        else:
            yield warning("no worker is there", mend)
    for name in gone:
        wrong = True
        yield warning(
            f"worker {name} has fallen silent",
            "look at its log: it was killed, hangs, or cannot reach the database; it is forgotten after an hour",
        )
    releases = {worker.facts.release for worker in present}
    if releases - {__version__}:
        wrong = True
        yield warning(
            f"workers have release {', '.join(sorted(releases))}, this is {__version__}",
            "finish the upgrade: restart the workers of the other release",
        )
    if not wrong:
        yield ok(f"{len(present)} are there, {sum(worker.facts.job is not None for worker in present)} of them at work")


def queue(patient: Patient) -> Iterator[Finding]:
    """A job that could be taken, and is not."""
    assert patient.database is not None
    unchecked = exists(
        select(evaluation_keys.c.digest).where(
            evaluation_keys.c.tenant == jobs.c.tenant,
            evaluation_keys.c.digest == jobs.c.evaluation_keys,
            evaluation_keys.c.state == KeysState.CHECKING.value,
        )
    )
    ready = (jobs.c.kind == JobKind.CHECK_KEYS.value) | ~unchecked
    oldest = (
        select(jobs)
        .where(jobs.c.state == PredictionState.QUEUED.value, ready)
        .order_by(jobs.c.created_at, jobs.c.id)
        .limit(1)
    )
    with reading(patient.database) as connection:
        job = connection.execute(oldest).first()
    if job is None:
        yield ok("nothing waits")
        return
    waited = (datetime.now(UTC) - job.created_at).total_seconds()
    present = WorkerPresence(patient.database).present()
    idle = [worker for worker in present if worker.facts.job is None]
    if idle and waited > _STUCK_SECONDS:
        yield _stuck(job, waited, max(worker.facts.memory_bytes for worker in present))
    elif waited > _LONG_SECONDS:
        yield warning(
            f"job {job.id} has waited for {duration(waited)}, and all workers are busy",
            "more workers, or smaller quotas of seconds_a_day and unfinished_predictions",
        )
    else:
        yield ok(f"the oldest job has waited for {duration(max(0.0, waited))}")


def _stuck(job: Row[Any], waited: float, memory: int) -> Finding:
    said = f"job {job.id} has waited for {duration(waited)} while a worker had nothing to do"
    if job.predicted_memory_bytes is not None and job.predicted_memory_bytes > memory:
        return error(
            f"{said}: it takes {gigabytes(job.predicted_memory_bytes)}, the largest worker has {gigabytes(memory)}",
            "start a worker with more memory, or cancel the job",
        )
    return error(said, "look at the worker's log, and restart it")


def abandoned(patient: Patient) -> Iterator[Finding]:
    """A job whose worker is silent, and which no other has taken over."""
    assert patient.database is not None
    late = jobs.c.lease_until < clock(patient.database) - _ABANDONED_SECONDS
    query = select(jobs.c.id, jobs.c.worker).where(jobs.c.state == PredictionState.RUNNING.value, late)
    with reading(patient.database) as connection:
        found = connection.execute(query.order_by(jobs.c.created_at)).all()
    for job in found:
        yield error(
            f"job {job.id} was left behind by worker {job.worker}, and no other has taken it",
            "start a worker with the memory of that one; the job goes on from its last layer",
        )
    if not found:
        yield ok("every job that runs has a worker")


def keys(patient: Patient) -> Iterator[Finding]:
    assert patient.database is not None
    table = evaluation_keys.c
    with reading(patient.database) as connection:
        rows = connection.execute(select(table.state, table.problem, table.uploaded_at)).all()
    rejected = [row for row in rows if row.state == KeysState.REJECTED.value]
    long_ago = datetime.now(UTC) - timedelta(seconds=_STUCK_SECONDS)
    checking = [row for row in rows if row.state == KeysState.CHECKING.value and row.uploaded_at < long_ago]
    wrong = False
    if rejected:
        wrong = True
        problems = Counter((row.problem or {}).get("detail", "no reason is known") for row in rejected)
        yield warning(
            f"{len(rejected)} evaluation keys were refused, most often: {problems.most_common(1)[0][0]}",
            "their clients have to generate new ones; if many are refused, look at the worker's log and memory",
        )
    if checking:
        wrong = True
        yield warning(
            f"{len(checking)} evaluation keys have waited for their trial run for more than {duration(_STUCK_SECONDS)}",
            "see what `workers` and `queue` say: predictions under these keys wait for it",
        )
    if not wrong:
        yield ok(f"{len(rows)} are kept, none refused")


def failures(patient: Patient) -> Iterator[Finding]:
    assert patient.database is not None
    query = select(jobs.c.problem).where(
        jobs.c.state == PredictionState.FAILED.value,
        jobs.c.created_at > datetime.now(UTC) - _LATELY,
        jobs.c.kind == JobKind.PREDICT.value,
    )
    with reading(patient.database) as connection:
        problems = connection.execute(query).scalars().all()
    codes = Counter((problem or {}).get("code", "unknown") for problem in problems)
    if len(problems) > _FAILED:
        listed = ", ".join(f"{number} {code}" for code, number in codes.most_common())
        yield warning(
            f"{len(problems)} predictions of the last day have failed: {listed}",
            "the log's lines `job failed` and `the evaluation child died` say which and why",
        )
    else:
        yield ok(f"{len(problems)} predictions of the last day have failed")


def tracing(patient: Patient) -> Iterator[Finding]:
    """Send the collector nothing, and see whether it takes it."""
    endpoint = collector(patient.environment)
    if endpoint is None:
        yield ok("off: OTEL_EXPORTER_OTLP_ENDPOINT is not set")
        return
    mend = "mend OTEL_EXPORTER_OTLP_ENDPOINT, or leave it out; spans are lost meanwhile, nothing else is"
    try:
        status = _post_nothing(endpoint, patient.environment.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") == endpoint)
    except (OSError, ValueError, http.client.HTTPException) as failed:
        yield warning(f"the collector {endpoint} does not answer: {failed}", mend)
        return
    if status >= 400:
        yield warning(f"the collector {endpoint} answers with status {status}", mend)
    else:
        yield ok(f"spans go to {endpoint}")


def _post_nothing(endpoint: str, whole: bool) -> int:
    """The status of an empty export; ``whole`` says that the address has its path already."""
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or parts.hostname is None:
        raise ValueError("it is no address that begins with http:// or https://")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    path = parts.path if whole else f"{parts.path.rstrip('/')}/v1/traces"
    connection = kind(parts.hostname, parts.port, timeout=_ANSWER_SECONDS)
    try:
        connection.request("POST", path or "/", body=b"", headers={"Content-Type": "application/x-protobuf"})
        return connection.getresponse().status
    finally:
        connection.close()

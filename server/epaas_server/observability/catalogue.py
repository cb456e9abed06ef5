"""The metrics of the service: names, labels and what they mean. Knows neither where values come from nor Prometheus.

Labels have few values each: states, codes, routes, models. Tenants and ids are no labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

_LATENCIES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_EVALUATIONS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 14400.0)


class Kind(StrEnum):
    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


class Source(StrEnum):
    PROCESS = "this process"
    MACHINE = "this machine"
    SERVICE = "the service"
    """From what all processes share: every API process tells the same."""


@dataclass(frozen=True)
class Metric:
    name: str
    kind: Kind
    source: Source
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    """Upper bounds, of a histogram."""


def _gauge(name: str, help_: str, *labels: str, source: Source = Source.SERVICE) -> Metric:
    return Metric(name, Kind.GAUGE, source, help_, labels)


def _counter(name: str, help_: str, *labels: str) -> Metric:
    return Metric(name, Kind.COUNTER, Source.SERVICE, help_, labels)


HTTP_SECONDS = Metric(
    "epaas_http_request_seconds",
    Kind.HISTOGRAM,
    Source.PROCESS,
    "From a request to the beginning of its answer; receiving its body counts, a long poll does not",
    ("method", "route", "status"),
    _LATENCIES,
)
RELEASE = _gauge("epaas_release_info", "1; the release is in the label", "release", source=Source.PROCESS)
DATABASE_UP = _gauge("epaas_database_up", "Whether the database has answered within seconds", source=Source.PROCESS)
BLOB_STORE_UP = _gauge(
    "epaas_blob_store_up", "Whether the store of blobs worked, within a minute", source=Source.PROCESS
)
DISK_FREE = _gauge("epaas_disk_free_bytes", "Free on the disk of the data folder", source=Source.MACHINE)
DISK_SIZE = _gauge("epaas_disk_size_bytes", "Size of the disk of the data folder", source=Source.MACHINE)

JOBS = _gauge("epaas_jobs", "Jobs that wait and run; finished ones as far as they are kept", "state")
QUEUE_SECONDS = _gauge("epaas_queue_predicted_seconds", "Predicted evaluation of jobs that wait and run")
OLDEST_QUEUED = _gauge("epaas_oldest_queued_seconds", "Age of the job that waits longest; 0 if none waits")
KEYS = _gauge("epaas_evaluation_keys", "Evaluation keys that are kept", "state")
WORKERS = _gauge("epaas_workers", "Workers that are there", "engine")
BUSY_WORKERS = _gauge("epaas_busy_workers", "Workers that are there and have a job", "engine")
HELD_KEYSETS = _gauge("epaas_keyset_cache_keysets", "Evaluation keys that workers have in memory")
BLOBS = _gauge("epaas_blobs", "Blobs that are stored", "folder")
BLOB_BYTES = _gauge("epaas_blob_bytes", "Bytes of stored blobs", "folder")

BOOTSTRAPS = _counter("epaas_bootstraps_total", "Bootstraps that workers have done")
KEYSET_HITS = _counter("epaas_keyset_cache_hits_total", "Predictions whose keys were in the worker's memory")
KEYSET_MISSES = _counter("epaas_keyset_cache_misses_total", "Predictions whose keys had to be loaded")
CHILD_DEATHS = _counter("epaas_child_deaths_total", "Evaluation processes that ended before their task did")
FAILURES = _counter("epaas_failures_total", "Jobs that failed, by the code of the problem", "code")
WAIT_SECONDS = Metric(
    "epaas_wait_seconds",
    Kind.HISTOGRAM,
    Source.SERVICE,
    "From a job's submission to its first claim",
    ("kind",),
    _EVALUATIONS,
)
EVALUATION_SECONDS = Metric(
    "epaas_evaluation_seconds",
    Kind.HISTOGRAM,
    Source.SERVICE,
    "Evaluation of a prediction that succeeded, all its attempts together",
    ("model",),
    _EVALUATIONS,
)

COUNTED = (
    BOOTSTRAPS,
    KEYSET_HITS,
    KEYSET_MISSES,
    CHILD_DEATHS,
    FAILURES,
    WAIT_SECONDS,
    EVALUATION_SECONDS,
)
"""What workers count, in the table ``counters``."""

CATALOGUE = (
    JOBS,
    QUEUE_SECONDS,
    OLDEST_QUEUED,
    WAIT_SECONDS,
    EVALUATION_SECONDS,
    BOOTSTRAPS,
    FAILURES,
    CHILD_DEATHS,
    WORKERS,
    BUSY_WORKERS,
    KEYS,
    HELD_KEYSETS,
    KEYSET_HITS,
    KEYSET_MISSES,
    BLOBS,
    BLOB_BYTES,
    BLOB_STORE_UP,
    DATABASE_UP,
    DISK_FREE,
    DISK_SIZE,
    HTTP_SECONDS,
    RELEASE,
)
"""All of them."""

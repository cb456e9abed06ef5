"""The metrics as Prometheus reads them: what this process has measured, and what all share (``facts``).

A scrape waits for the database at most a moment, and then says that it is away.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import get_args

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from epaas_server.observability import catalogue
from epaas_server.observability.catalogue import Kind, Metric
from epaas_server.observability.facts import KeptFacts, QueueFacts, disk, kept_facts, queue_facts, stored_blobs
from epaas_server.observability.latest import Latest
from epaas_server.observability.tally import Distribution, Labels
from epaas_server.services import Services
from epaas_server.settings import Settings
from epaas_shared import __version__
from epaas_shared.protocol import KeysState
from epaas_web.request_log import Answered

_QUEUE_KEPT_SECONDS = 1.0
_QUEUE_PATIENCE_SECONDS = 4.0
_QUEUE_OLD_SECONDS = 10.0
_KEPT_SECONDS = 60.0
_KEPT_REST = 20.0
_KEPT_PATIENCE_SECONDS = 1.0
_ENGINES: tuple[str, ...] = get_args(Settings.model_fields["engine"].annotation)

Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily


class Metrics:
    """Of one API process. What the service shares is told from :meth:`attach` on."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        metric = catalogue.HTTP_SECONDS
        self._http = Histogram(metric.name, metric.help, metric.labels, buckets=metric.buckets, registry=self._registry)

    def attach(self, services: Services) -> None:
        self._registry.register(_ServiceCollector(services))

    def observe(self, answered: Answered) -> None:
        """A request was answered."""
        self._http.labels(answered.method, answered.route, str(answered.status)).observe(answered.seconds)

    def render(self) -> bytes:
        """In Prometheus's text format. Takes seconds where the database does not answer."""
        return generate_latest(self._registry)


class _ServiceCollector(Collector):
    def __init__(self, services: Services) -> None:
        self._data_dir = services.settings.data_dir
        self._queue = Latest(lambda: queue_facts(services.database), _QUEUE_KEPT_SECONDS)
        self._kept = Latest(lambda: kept_facts(services.database), _KEPT_SECONDS, _KEPT_REST)
        self._blobs = Latest(lambda: stored_blobs(services.blobs), _KEPT_SECONDS, _KEPT_REST)

    def describe(self) -> Iterable[Family]:
        """Nothing, so that being registered asks nobody."""
        return ()

    def collect(self) -> Iterator[Family]:
        yield _gauge(catalogue.RELEASE, {(__version__,): 1.0})
        queue = self._queue.get(_QUEUE_PATIENCE_SECONDS)
        answered = queue is not None and queue.age < _QUEUE_OLD_SECONDS and queue.value is not None
        yield _gauge(catalogue.DATABASE_UP, {(): float(answered)})
        kept = self._kept.get(_KEPT_PATIENCE_SECONDS) if answered else None
        if queue is not None and queue.value is not None and answered:
            yield from _queue_families(queue.value, None if kept is None else kept.value)
        stored = self._blobs.get(_KEPT_PATIENCE_SECONDS)
        if stored is not None:
            folders = stored.value
            yield _gauge(catalogue.BLOB_STORE_UP, {(): float(folders is not None)})
            yield _gauge(catalogue.BLOBS, {(name,): float(found.blobs) for name, found in (folders or {}).items()})
            yield _gauge(catalogue.BLOB_BYTES, {(name,): float(found.bytes) for name, found in (folders or {}).items()})
        space = disk(self._data_dir)
        if space is not None:
            free, size = space
            yield _gauge(catalogue.DISK_FREE, {(): float(free)})
            yield _gauge(catalogue.DISK_SIZE, {(): float(size)})


def _queue_families(queue: QueueFacts, kept: KeptFacts | None) -> Iterator[Family]:
    states = {**queue.jobs, **(kept.jobs if kept else {})}
    yield _gauge(catalogue.JOBS, {(state.value,): float(number) for state, number in states.items()})
    yield _gauge(catalogue.QUEUE_SECONDS, {(): queue.predicted_seconds})
    yield _gauge(catalogue.OLDEST_QUEUED, {(): queue.oldest_queued_seconds})
    if kept is not None:
        yield _gauge(catalogue.KEYS, {(state.value,): float(kept.keys.get(state.value, 0)) for state in KeysState})
    facts = [worker.facts for worker in queue.workers]
    yield _gauge(catalogue.WORKERS, _by_engine(fact.engine for fact in facts))
    yield _gauge(catalogue.BUSY_WORKERS, _by_engine(fact.engine for fact in facts if fact.job is not None))
    yield _gauge(catalogue.HELD_KEYSETS, {(): float(sum(fact.held_keysets for fact in facts))})
    for metric in catalogue.COUNTED:
        if metric.kind is Kind.HISTOGRAM:
            yield _histogram(metric, queue.counted.distributions[metric.name])
        else:
            yield _counter(metric, queue.counted.totals[metric.name])


def _by_engine(engines: Iterable[str]) -> dict[Labels, float]:
    numbers = Counter(engines)
    return {(engine,): float(numbers[engine]) for engine in {*_ENGINES, *numbers}}


def _gauge(metric: Metric, values: Mapping[Labels, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels, value in sorted(values.items()):
        family.add_metric(labels, value)
    return family


def _counter(metric: Metric, values: Mapping[Labels, float]) -> CounterMetricFamily:
    family = CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels, value in sorted(values.items()):
        family.add_metric(labels, value)
    return family


def _histogram(metric: Metric, values: Mapping[Labels, Distribution]) -> HistogramMetricFamily:
    family = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels, distribution in sorted(values.items()):
        family.add_metric(labels, distribution.cumulative(metric.buckets), distribution.sum)
    return family

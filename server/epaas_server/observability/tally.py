"""Counters that outlive the processes that count: each hands over what it has counted to a table of all.

They never go backwards, whichever worker dies and whatever is erased. A process that is killed takes with it what it
has not handed over, a second's worth.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf

from sqlalchemy import Connection, Engine, select
from sqlalchemy.dialects import postgresql, sqlite

from epaas_server.database import reading
from epaas_server.observability.catalogue import Metric
from epaas_server.tables import counters

Labels = tuple[str, ...]
"""Values of a metric's labels, in the order of its catalogue entry."""
_BUCKET, _SUM = "_bucket", "_sum"


class Tally:
    """What one process has counted and not handed over. For one thread."""

    def __init__(self) -> None:
        self._counted: dict[tuple[str, str], float] = defaultdict(float)

    def add(self, metric: Metric, amount: float = 1.0, **labels: str) -> None:
        """Let a counter grow."""
        self._counted[metric.name, _text(metric, labels)] += amount

    def observe(self, metric: Metric, value: float, **labels: str) -> None:
        """Add a value to a histogram."""
        index = bisect_left(metric.buckets, value)
        bound = metric.buckets[index] if index < len(metric.buckets) else inf
        self._counted[metric.name + _BUCKET, _text(metric, labels, le=repr(bound))] += 1.0
        self._counted[metric.name + _SUM, _text(metric, labels)] += value

    def hand_over(self, database: Engine) -> None:
        """Add everything to the table; what the database did not take is kept for the next time."""
        if not self._counted:
            return
        with database.begin() as connection:
            _add(connection, self._counted)
        self._counted.clear()


@dataclass
class Distribution:
    """A histogram's values."""

    buckets: dict[float, float] = field(default_factory=lambda: defaultdict(float))
    """How many were at most so much and above the next bound below."""
    sum: float = 0.0

    def cumulative(self, bounds: tuple[float, ...]) -> list[tuple[str, float]]:
        """Prometheus's buckets: how many were at most so much, whatever the release that counted them."""
        so_far, result = 0.0, list[tuple[str, float]]()
        for bound in sorted({*bounds, *self.buckets, inf}):
            so_far += self.buckets.get(bound, 0.0)
            result.append(("+Inf" if bound == inf else repr(bound), so_far))
        return result


@dataclass
class Counted:
    """What all processes have handed over."""

    totals: dict[str, dict[Labels, float]] = field(default_factory=dict)
    distributions: dict[str, dict[Labels, Distribution]] = field(default_factory=dict)


def read_counted(database: Engine, metrics: tuple[Metric, ...]) -> Counted:
    """The values of these metrics. A counter without labels is 0 before it was ever counted."""
    with reading(database) as connection:
        rows = {(row.name, row.labels): row.value for row in connection.execute(select(counters))}
    counted = Counted()
    for metric in metrics:
        if metric.buckets:
            counted.distributions[metric.name] = _distributions(metric, rows)
            continue
        found = {_values(metric, labels): value for (name, labels), value in rows.items() if name == metric.name}
        counted.totals[metric.name] = found if metric.labels else {(): 0.0, **found}
    return counted


def _distributions(metric: Metric, rows: Mapping[tuple[str, str], float]) -> dict[Labels, Distribution]:
    found: dict[Labels, Distribution] = defaultdict(Distribution)
    for (name, labels), value in rows.items():
        if name == metric.name + _BUCKET:
            found[_values(metric, labels)].buckets[float(json.loads(labels)["le"])] += value
        elif name == metric.name + _SUM:
            found[_values(metric, labels)].sum += value
    return found


def _add(connection: Connection, counted: Mapping[tuple[str, str], float]) -> None:
    """In the order of their names, so that processes wait for one another and none for two."""
    rows = [{"name": name, "labels": labels, "value": value} for (name, labels), value in sorted(counted.items())]
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    statement = insert(counters)
    grown = statement.on_conflict_do_update(
        index_elements=[counters.c.name, counters.c.labels],
        set_={"value": counters.c.value + statement.excluded.value},
    )
    connection.execute(grown, rows)


def _text(metric: Metric, labels: Mapping[str, str], **more: str) -> str:
    assert set(labels) == set(metric.labels), f"{metric.name} has the labels {metric.labels}"
    return json.dumps({**labels, **more}, sort_keys=True)


def _values(metric: Metric, labels: str) -> Labels:
    found = json.loads(labels)
    return tuple(found.get(label, "") for label in metric.labels)

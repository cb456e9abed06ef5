"""Tries whether predictions could be evaluated here, or on the cluster: ``python -m epaas_server.doctor.trial``.

A process of its own, so that whatever goes wrong in native code, or in Ray, goes wrong here. It says what it found in
lines of the log, on stderr; its exit code is 0 where a child, or each machine of a cluster, was tried to the end.
"""

from __future__ import annotations

import sys

import structlog

from epaas_server.engine.cluster.survey import survey
from epaas_server.engine.engine import EngineFailed
from epaas_server.engine.local import ChildDied, EvaluationChild
from epaas_server.engine.tasks import Ready
from epaas_server.jobs.slot_child import START_SECONDS, child_configuration
from epaas_server.settings import Settings
from epaas_shared.errors import ConfigurationError

_log = structlog.get_logger()


def main() -> None:
    settings = Settings()
    if settings.engine == "ray":
        _look_at_cluster(settings)
    else:
        _start_child(settings)


def _start_child(settings: Settings) -> None:
    """As a worker does."""
    child = EvaluationChild(child_configuration(settings))
    try:
        ready = isinstance(child.hear(START_SECONDS), Ready)
    except ChildDied as death:
        sys.exit(f"the evaluation child died: {death}")
    finally:
        child.kill()
    if not ready:
        sys.exit(f"the evaluation child was not ready within {START_SECONDS:.0f} seconds")


def _look_at_cluster(settings: Settings) -> None:
    """At each machine: its processors may all be at work for a worker."""
    configuration = child_configuration(settings)
    try:
        machines = survey(configuration.ray_address, configuration.limits, START_SECONDS)
    except (ConfigurationError, EngineFailed) as failure:
        sys.exit(str(failure))
    for machine in machines:
        if machine.fault is None:
            _log.info("machine ready", machine=machine.host, node=machine.node)
        else:
            _log.warning("machine not ready", machine=machine.host, node=machine.node, reason=machine.fault)
    if not machines:
        sys.exit("it has no machines with processors")


if __name__ == "__main__":
    main()

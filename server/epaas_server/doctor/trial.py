"""Starts an evaluation child as a worker does and says whether it is ready: ``python -m epaas_server.doctor.trial``.

A process of its own, so that whatever goes wrong in native code, or in Ray, goes wrong here.
"""

from __future__ import annotations

import sys

from epaas_server.engine.local import ChildDied, EvaluationChild
from epaas_server.engine.tasks import Ready
from epaas_server.jobs.slot_child import START_SECONDS, child_configuration
from epaas_server.settings import Settings


def main() -> None:
    """Exits with 0 where the child was ready in time; says on stderr what it died of."""
    child = EvaluationChild(child_configuration(Settings()))
    try:
        ready = isinstance(child.hear(START_SECONDS), Ready)
    except ChildDied as death:
        sys.exit(f"the evaluation child died: {death}")
    finally:
        child.kill()
    if not ready:
        sys.exit(f"the evaluation child was not ready within {START_SECONDS:.0f} seconds")


if __name__ == "__main__":
    main()

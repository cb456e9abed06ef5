"""The child of one slot: started where there is none, and which keysets it has in memory."""

from __future__ import annotations

import structlog

from epaas_server.circuits.library import ensure_library
from epaas_server.engine.child import ChildConfiguration
from epaas_server.engine.limits import MachineLimits
from epaas_server.engine.local import ChildDied, EvaluationChild
from epaas_server.engine.tasks import Ready
from epaas_server.settings import Settings
from epaas_shared.profile import default_profile

_log = structlog.get_logger()
START_SECONDS = 60.0
"""Within which a child must be ready."""


def child_configuration(settings: Settings) -> ChildConfiguration:
    """Of a slot's child. Builds the circuit library first where this machine evaluates and does not have it."""
    local = settings.engine == "local"  # else the machines of the cluster have the circuits
    return ChildConfiguration(
        blobs=settings.data_dir / "blobs",
        blob_store=settings.blob_store,
        limits=MachineLimits(settings.threads, settings.slot_keyset_bytes, settings.child_memory_bytes),
        engine=settings.engine,
        circuits=ensure_library(settings.cache_dir, default_profile()) if local else None,
        ray_address=settings.ray_address,
    )


class SlotChild:
    """At most one child at a time; a new one holds no keys."""

    def __init__(self, configuration: ChildConfiguration) -> None:
        self._configuration = configuration
        self._child: EvaluationChild | None = None
        self._digests: dict[str, str] = {}  # of keys that it was given, by their blobs
        self._held: tuple[str, ...] = ()

    @property
    def held_keys(self) -> tuple[str, ...]:
        """Digests of the keys that the child has in memory."""
        return self._held

    def ready(self) -> EvaluationChild | None:
        """A child that takes tasks, started before a job is claimed, so that starting costs no job its lease.

        None where it does not start; the reason is in the log.
        """
        if self._child is not None and self._child.alive:
            return self._child
        self.drop()
        self._child = EvaluationChild(self._configuration)
        try:
            if not isinstance(self._child.hear(START_SECONDS), Ready):
                raise ChildDied("not ready in time")
        except ChildDied as death:
            _log.error("the evaluation child does not start", reason=str(death))
            self.drop()
        return self._child

    def given(self, keys_blob: str, digest: str) -> None:
        """Its task is to be done with these keys."""
        self._digests[keys_blob] = digest

    def holds(self, keys_blobs: tuple[str, ...]) -> None:
        """What the child says that it has in memory after a task."""
        self._digests = {blob: digest for blob, digest in self._digests.items() if blob in keys_blobs}
        self._held = tuple(self._digests.values())

    def drop(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child = None
        self._held = ()
        self._digests = {}

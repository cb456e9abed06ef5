"""A look at every machine of a cluster, while others may evaluate there: whether it could."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from epaas_server.engine.cluster.joining import drive, first_line
from epaas_server.engine.limits import MachineLimits


@dataclass(frozen=True)
class Surveyed:
    node: str
    """Its id, as the log has it."""
    host: str
    fault: str | None
    """Why it does not evaluate; None where it does."""


def survey(address: str, limits: MachineLimits, seconds: float) -> list[Surveyed]:
    """Have each machine of the cluster at ``address`` load the circuits within ``seconds``, beside what it does.

    Raises :class:`ConfigurationError`, and :class:`EngineFailed` where the cluster cannot be joined.
    """
    drive(address)  # before ray is imported: it reads the environment then
    import ray
    from ray.exceptions import RayError, RayTaskError

    from epaas_server.engine.cluster.nodes import evaluating_nodes, start_actor

    actors, starting = [], {}
    for node in evaluating_nodes(limits.threads):
        actor, ref = start_actor(node, limits, processors=0)
        actors.append(actor)  # an actor ends when nobody refers to it
        starting[ref] = node
    ended, _ = ray.wait(list(starting), num_returns=len(starting), timeout=seconds) if starting else ([], [])

    def fault(ref: Any) -> str | None:
        if ref not in ended:
            return f"it was not ready within {seconds:.0f} seconds"
        try:
            ray.get(ref)
        except RayTaskError as error:
            return str(error.cause) if isinstance(error.cause, Exception) else first_line(error)
        except RayError as error:
            return first_line(error)
        return None

    return [Surveyed(node.id, node.host, fault(ref)) for ref, node in starting.items()]

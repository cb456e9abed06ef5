"""The machines of the cluster that this process has joined, and the actor that is started on one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from epaas_server.engine.cluster.actor import MachineActor
from epaas_server.engine.limits import MachineLimits
from epaas_shared import __version__


@dataclass(frozen=True)
class Node:
    id: str
    host: str
    threads: int
    """That an evaluation may have there."""


def evaluating_nodes(threads: int) -> list[Node]:
    """Machines that run and have processors, of which an evaluation has ``threads`` at most."""
    listed: Any = ray.nodes()  # type: ignore[no-untyped-call,unused-ignore]
    found = [
        Node(node["NodeID"], node["NodeManagerHostname"], min(threads, int(node["Resources"].get("CPU", 0))))
        for node in listed
        if node["Alive"]
    ]
    return [node for node in found if node.threads]


def start_actor(node: Node, limits: MachineLimits, *, processors: int) -> tuple[Any, Any]:
    """An actor on ``node``, and the reference to what its ``start`` returns.

    It starts when so many ``processors`` there are nobody else's; none are asked for by what only looks.
    """
    there = NodeAffinitySchedulingStrategy(node.id, soft=False)
    own = MachineLimits(node.threads, limits.keyset_cache_bytes, limits.memory_bytes)
    placed: Any = ray.remote(MachineActor).options(num_cpus=processors, scheduling_strategy=there, max_restarts=0)
    actor = placed.remote(own)
    return actor, actor.start.remote(__version__)

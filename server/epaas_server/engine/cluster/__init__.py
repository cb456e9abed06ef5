"""The engine ``ray``: a layer's neurons on the machines of a Ray cluster. The only user of the package ray.

``joining`` gets processes into a cluster; ``nodes`` are its machines; ``fleet`` keeps an ``actor`` on each and has them
do what ``assignment`` says, in blocks of ``sizes``; ``work`` is what travels; ``engine`` puts it together. ``survey``
looks at all machines, for the doctor.
"""

from __future__ import annotations

from collections.abc import Callable

from epaas_server.engine.engine import Engine
from epaas_server.engine.keys import StoredKeys
from epaas_server.engine.limits import MachineLimits


def connect(address: str, limits: MachineLimits, read: Callable[[StoredKeys], bytes]) -> Engine:
    """The engine on the cluster whose head is at ``address``, when a first machine is ready.

    ``limits`` are of each machine; ``read`` gives the frame of evaluation keys. Raises :class:`ConfigurationError` and
    :class:`EngineFailed`.
    """
    from epaas_server.engine.cluster.joining import drive

    drive(address)  # before ray is imported: it reads the environment then
    from epaas_server.engine.cluster.engine import ClusterEngine
    from epaas_server.engine.cluster.fleet import Fleet

    fleet = Fleet(limits)
    fleet.gather()
    return ClusterEngine(fleet, limits, read)

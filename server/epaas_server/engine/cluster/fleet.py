"""The machines of a Ray cluster that evaluate for one child: one actor on each, found, started, replaced.

Machines come and go at any time. What is lost with one is assigned again; where there is none for a while, the engine
has failed. Knows no layers and no ciphertexts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import ray
import structlog
from ray.exceptions import RayError, RayTaskError

from epaas_server.engine.cluster.assignment import Assignment, Block
from epaas_server.engine.cluster.joining import first_line
from epaas_server.engine.cluster.nodes import evaluating_nodes, start_actor
from epaas_server.engine.engine import EngineFailed
from epaas_server.engine.limits import MachineLimits

_log = structlog.get_logger()

Result = TypeVar("Result", bound=tuple[Any, ...])

PATIENCE_SECONDS = 45.0
"""How long a child waits for a first machine, or for another when the last is gone; a worker waits longer for it."""
_LOOK_SECONDS = 1.0
"""How often new machines are looked for."""
_BARRED_SECONDS = 5.0
"""How long nothing is started on a machine where something has just failed."""


@dataclass
class Member:
    """A machine with an actor. ``name`` is None until it has started."""

    node: str
    actor: Any
    name: str | None = None


class Fleet:
    """Of the cluster that this process has joined."""

    def __init__(self, limits: MachineLimits) -> None:
        self._limits = limits
        self._members: dict[str, Member] = {}
        self._starting: dict[Any, Member] = {}
        self._barred: dict[str, float] = {}
        self._looked = -_LOOK_SECONDS
        self._had_one = time.monotonic()

    @property
    def ready(self) -> list[Member]:
        return [member for member in self._members.values() if member.name is not None]

    def gather(self) -> None:
        """Wait for a machine. Raises :class:`EngineFailed` where none is ready in time."""
        self._had_one = time.monotonic()
        while not self.ready:
            self._look_for_machines()
            self._wait_for({})

    def roll_call(self) -> None:
        """Leave out machines that were lost while there was nothing to do."""
        calls = {member.actor.answer.remote(): member for member in self.ready}
        answered, _ = ray.wait(list(calls), num_returns=len(calls), timeout=_LOOK_SECONDS) if calls else ([], [])
        for ref in answered:
            try:
                ray.get(ref)
            except RayError as error:
                self._lose(calls[ref], error)
        self.gather()

    def spread(self, assignment: Assignment[Result], begin: Callable[[Any, Block], Sequence[Any]]) -> Iterator[Result]:
        """Results in order. ``begin`` has an actor begin a block, and returns references to what a result consists of.

        The first is small and tells that the block has ended; what the others name is fetched when its machine has the
        next block, so that no machine waits for that. Raises what the actors' methods raise, and :class:`EngineFailed`.
        """
        self.roll_call()
        working: dict[Any, tuple[Member, Block, Sequence[Any]]] = {}

        def got(refs: Sequence[Any], member: Member, block: Block) -> list[Any] | None:
            try:
                return list(ray.get(list(refs)))
            except RayError as error:
                if (raised := _raised(error)) is not None:
                    raise raised from None
                self._lose(member, error)
                assignment.lost(block)
                return None

        while not assignment.finished:
            self._look_for_machines()
            self._give_out(assignment, begin, working)
            told = []
            for ref in self._wait_for(working):
                member, block, others = working.pop(ref)
                if (first := got([ref], member, block)) is not None:
                    assignment.ended(block)
                    told.append((member, block, first, others))
            self._give_out(assignment, begin, working)
            for member, block, first, others in told:
                if (rest := got(others, member, block)) is not None:
                    result: Any = (*first, *rest)
                    assignment.done(block, result)
            yield from assignment.results()

    def _give_out(
        self,
        assignment: Assignment[Any],
        begin: Callable[[Any, Block], Sequence[Any]],
        working: dict[Any, tuple[Member, Block, Sequence[Any]]],
    ) -> None:
        """A block to each machine that has none."""
        busy = {member.node for member, _, _ in working.values()}
        ready = [member.node for member in self.ready]
        for member in self.ready:
            block = assignment.next(member.node, ready) if member.node not in busy else None
            if block is not None:
                first, *others = begin(member.actor, block)
                working[first] = (member, block, others)

    def _wait_for(self, working: dict[Any, Any]) -> list[Any]:
        """Which of ``working`` has ended, or nothing after a moment; meanwhile machines become ready."""
        pending = [*working, *self._starting]
        if pending:
            ray.wait(pending, num_returns=1, timeout=_LOOK_SECONDS)
        else:
            time.sleep(_LOOK_SECONDS)
        ended, _ = ray.wait(pending, num_returns=len(pending), timeout=0) if pending else ([], [])
        for ref in [ref for ref in ended if ref in self._starting]:
            self._welcome(self._starting.pop(ref), ref)
        if self.ready:
            self._had_one = time.monotonic()
        elif time.monotonic() - self._had_one > PATIENCE_SECONDS:
            waiting = (
                f"; {len(self._starting)} are there, at work for others or not started yet" if self._starting else ""
            )
            raise EngineFailed(f"no machine of the cluster has been ready for {PATIENCE_SECONDS:.0f} seconds{waiting}")
        return [ref for ref in ended if ref in working]

    def _look_for_machines(self) -> None:
        now = time.monotonic()
        if now - self._looked < _LOOK_SECONDS:
            return
        self._looked = now
        for node in evaluating_nodes(self._limits.threads):
            if node.id not in self._members and self._barred.get(node.id, 0.0) < now:
                actor, started = start_actor(node, self._limits, processors=node.threads)
                self._members[node.id] = self._starting[started] = Member(node.id, actor)

    def _welcome(self, member: Member, ref: Any) -> None:
        try:
            member.name = ray.get(ref)
            _log.info("machine ready", machine=member.name, node=member.node)
        except RayError as error:
            self._lose(member, _raised(error) or error)

    def _lose(self, member: Member, error: Exception) -> None:
        if self._members.get(member.node) is not member:
            return  # with another of its blocks
        event = "machine lost" if member.name else "machine not ready"
        _log.warning(event, machine=member.name, node=member.node, reason=first_line(error))
        self._barred[member.node] = time.monotonic() + _BARRED_SECONDS
        del self._members[member.node]
        ray.kill(member.actor)


def _raised(error: RayError) -> Exception | None:
    """What an actor's method raised; None where the actor is lost, or could not fetch what it was sent."""
    if not isinstance(error, RayTaskError) or isinstance(error.cause, RayError):
        return None
    return error.cause if isinstance(error.cause, Exception) else RuntimeError(str(error).splitlines()[-1][:300])

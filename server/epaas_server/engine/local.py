"""The handle of an evaluation child on this machine: start it, give it a task, hear from it, kill it."""

from __future__ import annotations

import multiprocessing
from contextlib import suppress

from epaas_server.engine.child import ChildConfiguration, main
from epaas_server.engine.tasks import Message, Task, Word


class ChildDied(Exception):
    """The child ended before it had finished its task."""


class EvaluationChild:
    """One child process. It is a fresh interpreter (spawn): the runtime does not survive a fork."""

    def __init__(self, configuration: ChildConfiguration) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=main, args=(theirs, configuration), daemon=True, name="epaas-evaluation")
        self._process.start()
        theirs.close()

    @property
    def pid(self) -> int | None:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.is_alive()

    def give(self, task: Task | Word) -> None:
        """A task, or, after a layer, the word whether to go on. Raises :class:`ChildDied`."""
        try:
            self._pipe.send(task)
        except OSError:
            raise ChildDied(self._exit()) from None

    def hear(self, timeout_seconds: float) -> Message | None:
        """The next message, or None if there is none in time. Raises :class:`ChildDied`."""
        try:
            if not self._pipe.poll(timeout_seconds):
                return None
            message: Message = self._pipe.recv()
        except (EOFError, OSError):
            raise ChildDied(self._exit()) from None
        return message

    def kill(self) -> None:
        """Native code cannot be interrupted, only ended."""
        self._process.kill()
        self._process.join()
        with suppress(OSError):
            self._pipe.close()

    def _exit(self) -> str:
        self._process.join(timeout=5)
        code = self._process.exitcode
        return f"killed by signal {-code}" if code is not None and code < 0 else f"exit status {code}"

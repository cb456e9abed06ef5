"""The worker processes of a serving process: started with it, replaced when they die, ended with it.

Workers are sessions of their own, so that Ctrl-C in a terminal reaches ``serve`` alone, and hold one end of a pipe to
it, so that they end when it does, however it does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading

import structlog

from epaas_server.settings import Settings

_log = structlog.get_logger()
_WATCH_SECONDS = 0.5
_STOP_SECONDS = 10


def as_variables(settings: Settings) -> dict[str, str]:
    """Settings as the environment of a process that is to have the same."""
    values = settings.model_dump(mode="json")
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}
    return {f"EPAAS_SERVER_{name.upper()}": text for name, text in texts.items()}


class WorkerProcesses:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._ending = threading.Event()
        self._processes = [self._start() for _ in range(settings.workers)]
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self._processes]

    def end(self) -> None:
        """Have all workers give their jobs back and end; those that do not are killed."""
        self._ending.set()
        self._watcher.join()
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            try:
                process.wait(timeout=_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdin:
                process.stdin.close()

    def _watch(self) -> None:
        while not self._ending.wait(_WATCH_SECONDS):
            for index, process in enumerate(self._processes):
                if process.poll() is not None:
                    _log.error("a worker died and is replaced", pid=process.pid, exit_status=process.returncode)
                    self._processes[index] = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        environment = {**os.environ, **as_variables(self._settings)}
        command = [sys.executable, "-m", "epaas_server", "worker", "--until-stdin-closes"]
        return subprocess.Popen(command, stdin=subprocess.PIPE, env=environment, start_new_session=True)  # noqa: S603

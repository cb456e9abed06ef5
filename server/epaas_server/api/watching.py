"""Waiting for predictions to change: one look at the database for all requests of this process that wait.

Who waits has been shown to own the prediction, and looks at it again when woken: here are only ids and stages.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import suppress
from typing import Annotated

import structlog
from anyio import to_thread
from fastapi import Depends, Request
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from epaas_server.jobs.progress import Stage, stages_of
from epaas_shared.protocol import Prediction

_log = structlog.get_logger()
_LOOK_SECONDS = 0.05


class Watch:
    """Of one event loop. It looks only while somebody waits."""

    def __init__(self, database: Engine) -> None:
        self._database = database
        self._waiting: defaultdict[str, set[_Waiter]] = defaultdict(set)
        self._looking: asyncio.Task[None] | None = None

    async def changed(self, seen: Prediction, seconds: float | None = None, *, finished: bool = False) -> None:
        """Return when a prediction is no longer as it was seen, or has finished if that is what matters.

        Also after ``seconds``, when it was erased, and when the database does not answer: the caller looks again, and
        is told by that look what is wrong.
        """
        waiter = _Waiter(Stage.of(seen), finished)
        self._waiting[seen.id].add(waiter)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await waiter.woken.wait()
        finally:
            self._waiting[seen.id].discard(waiter)
            if not self._waiting[seen.id]:
                del self._waiting[seen.id]

    async def _look(self) -> None:
        while self._waiting:
            await asyncio.sleep(_LOOK_SECONDS)
            ids = list(self._waiting)
            try:
                stages = await to_thread.run_sync(stages_of, self._database, ids)
            except SQLAlchemyError as error:
                _log.warning("predictions cannot be looked at", error=type(error).__name__)
                stages = {}
            for prediction_id in ids:
                stage = stages.get(prediction_id)
                for waiter in self._waiting.get(prediction_id, ()):
                    if stage is None or waiter.is_for(stage):
                        waiter.woken.set()


class _Waiter:
    def __init__(self, seen: Stage, finished: bool) -> None:
        self._seen = seen
        self._finished = finished
        self.woken = asyncio.Event()

    def is_for(self, stage: Stage) -> bool:
        return stage.state.finished if self._finished else stage != self._seen


async def _watch(request: Request) -> Watch:
    watch: Watch = request.app.state.watch
    return watch


WatchDependency = Annotated[Watch, Depends(_watch)]

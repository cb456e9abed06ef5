"""Waiting for predictions with a progress bar. Interrupting it leaves them running: the client only looks on."""

from __future__ import annotations

import time
from collections.abc import Sequence

import typer

import epaas_client
from epaas_client.cli.context import State
from epaas_shared.errors import PredictionFailed, ServerUnreachable, Unavailable
from epaas_shared.protocol import Prediction


def wait_for_all(state: State, jobs: Sequence[epaas_client.Job]) -> None:
    """Wait until all have succeeded. Raises for the first that did not."""
    begun = time.monotonic()
    before = _done(jobs)
    with state.console.evaluation("evaluating") as update:

        def progress(_: Prediction) -> None:
            done, total = _done(jobs), sum(job.prediction.progress.total for job in jobs)
            if len(jobs) == 1:
                left = jobs[0].prediction.eta_seconds
            else:
                # Each job's own estimate says nothing of the others; their common pace does.
                pace = (done - before) / max(time.monotonic() - begun, 1e-3)
                left = (total - done) / pace if pace else None
            update(done, total, left if done < total else None)

        for job in jobs:
            try:
                job.wait(on_progress=progress)
            except KeyboardInterrupt:
                state.console.urgent(f"still running; see it with `epaas jobs watch {job.id}`")
                raise typer.Exit(130) from None
            except (ServerUnreachable, Unavailable) as error:
                error.hint = f"nothing is lost; once the server is back, run `epaas jobs watch {job.id}`"
                raise
            except PredictionFailed as error:
                error.hint = error.hint or f"`epaas jobs show {job.id}` says more"
                raise


def _done(jobs: Sequence[epaas_client.Job]) -> int:
    return sum(job.prediction.progress.done for job in jobs)

"""A prediction that was asked for: waiting for it, fetching its encrypted result, decrypting it.

A job is a name and the last known state; it can be made again from its id by any later process. It holds no keys: they
are given when a result is to be read.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from epaas_client.transport import Transport
from epaas_shared.errors import (
    DecryptionFailed,
    PredictionCancelled,
    PredictionFailed,
    ResultNotReady,
    ServerUnreachable,
    Unavailable,
)
from epaas_shared.heads import label_digits, labels
from epaas_shared.protocol import RESULT_MEDIA_TYPE, Prediction, PredictionState

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from epaas_client.crypto import SecretKeys
    from epaas_shared.schema import InputSchema
    from epaas_shared.scores import ScoreScale

LONG_POLL_SECONDS = 25
WATCHED_POLL_SECONDS = 2
"""How long the server may hold a poll when somebody watches the progress."""
PATIENCE_SECONDS = 120
"""How long a server may be gone, say for a restart, before waiting for it ends."""
_PAUSE_SECONDS = 0.5


@dataclass(frozen=True)
class Label:
    """The predicted class of one record.

    ``label`` is the class's name, ``index`` its place in the schema's classes. A model whose output is ``label`` tells
    the client the class and nothing else. One whose output is ``scores`` gives ``scores`` too, one a class: the least
    sum of the level that it reached; the label is the first class with the greatest.
    """

    label: str
    index: int
    scores: tuple[int, ...] | None = None


class SchemaSource(Protocol):
    """Who knows the input schema that a prediction was made under (:class:`epaas_client.client.Client`)."""

    def schema_of(self, prediction: Prediction) -> InputSchema: ...


class Job:
    """One prediction on the server. Made by :meth:`Client.submit` or :meth:`Client.job`."""

    def __init__(self, transport: Transport, schemas: SchemaSource, prediction: Prediction) -> None:
        self._transport = transport
        self._schemas = schemas
        self.prediction = prediction

    @property
    def id(self) -> str:
        return self.prediction.id

    def __repr__(self) -> str:
        progress = self.prediction.progress
        return f"<Job {self.id} {self.prediction.state} {progress.done}/{progress.total} {progress.unit}>"

    def refresh(self) -> Prediction:
        """Ask the server for the state now."""
        return self._poll(0)

    def wait(self, timeout: float | None = None, on_progress: Callable[[Prediction], None] | None = None) -> Prediction:
        """Wait until the prediction has succeeded; ``on_progress`` is called with every new state.

        Raises :class:`PredictionFailed` or :class:`PredictionCancelled`, and :class:`ResultNotReady` after ``timeout``
        seconds. A server that is gone for a while, as in a restart, is waited for.
        """
        now = time.monotonic()
        deadline = None if timeout is None else now + timeout
        last_answer = now
        while not self.prediction.state.finished:
            asked = time.monotonic()
            left = LONG_POLL_SECONDS if deadline is None else deadline - asked
            if left <= 0:
                raise ResultNotReady(
                    f"the prediction {self.id} is still {self.prediction.state} after {timeout:g} seconds"
                )
            try:
                self._poll(min(left, WATCHED_POLL_SECONDS if on_progress else LONG_POLL_SECONDS))
                last_answer = time.monotonic()
            except (ServerUnreachable, Unavailable):
                if time.monotonic() - last_answer > PATIENCE_SECONDS:
                    raise
            if on_progress:
                on_progress(self.prediction)
            if not self.prediction.state.finished and time.monotonic() - asked < _PAUSE_SECONDS:
                # The server did not hold the poll.
                time.sleep(_PAUSE_SECONDS)
        self._check_succeeded()
        return self.prediction

    def cancel(self) -> Prediction:
        """Stop the evaluation, if it has not finished."""
        self.prediction = self._transport.document(Prediction, "POST", f"{self._path}/cancel")
        return self.prediction

    def delete(self) -> None:
        """Remove the prediction and its result from the server."""
        self._transport.request("DELETE", self._path)

    def fetch(self) -> bytes:
        """The frame of the encrypted result. Raises :class:`ResultNotReady` while there is none."""
        if not self.prediction.state.finished:
            self.refresh()
        if not self.prediction.state.finished:
            progress = self.prediction.progress
            raise ResultNotReady(
                f"the prediction {self.id} is {self.prediction.state}: {progress.done} of {progress.total} bootstraps",
                hint=f"wait for it with `epaas jobs watch {self.id}`",
            )
        self._check_succeeded()
        return self._transport.request("GET", f"{self._path}/result", headers={"Accept": RESULT_MEDIA_TYPE}).content

    def decrypt(self, result: bytes, secret_keys: SecretKeys, schema: InputSchema | None = None) -> list[Label]:
        """The labels in a fetched result, one a record. Without ``schema``, the server is asked for its name."""
        values, header = secret_keys.decrypt_result(result)
        if header.model != self.prediction.model_digest or header.records != self.prediction.records:
            raise DecryptionFailed(f"the result is not that of the prediction {self.id}")
        schema = schema or self._schemas.schema_of(self.prediction)
        return _read(values, header.scores, schema)

    def result(self, secret_keys: SecretKeys, schema: InputSchema | None = None) -> list[Label]:
        """Fetch and decrypt: the labels, one a record in the order they were sent."""
        return self.decrypt(self.fetch(), secret_keys, schema)

    @property
    def _path(self) -> str:
        return f"/v1/predictions/{self.id}"

    def _poll(self, seconds: float) -> Prediction:
        headers = {"Prefer": f"wait={max(1, round(seconds))}"} if seconds else {}
        self.prediction = self._transport.document(Prediction, "GET", self._path, headers=headers, wait=seconds)
        return self.prediction

    def _check_succeeded(self) -> None:
        state, problem = self.prediction.state, self.prediction.problem
        if state is PredictionState.CANCELLED:
            raise PredictionCancelled(f"the prediction {self.id} was cancelled")
        if state is PredictionState.FAILED:
            detail = problem.detail if problem else "the server does not say why"
            raise PredictionFailed(f"the prediction {self.id} failed: {detail}", hint=problem.hint if problem else None)


def _read(values: NDArray[np.int64], scale: ScoreScale | None, schema: InputSchema) -> list[Label]:
    """The labels that decrypted values, (records, values), say: digits of the label or, with a scale, scores."""
    classes = schema.classes
    due = len(classes) if scale else label_digits(len(classes))
    if values.shape[1] != due:
        raise DecryptionFailed(f"the result has {values.shape[1]} values a record where {schema.name} has {due}")
    if scale:
        best = values.argmax(axis=1).tolist()
        scores = [tuple(map(scale.score, levels)) for levels in values.tolist()]
        return [Label(classes[index], index, given) for index, given in zip(best, scores, strict=True)]
    indices = labels(values)
    if max(indices) >= len(classes):
        raise DecryptionFailed(f"class {max(indices)} is none of the {len(classes)} classes of {schema.name}")
    return [Label(classes[index], index) for index in indices]

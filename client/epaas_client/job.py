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
from epaas_shared.protocol import RESULT_MEDIA_TYPE, ModelVersion, Prediction, PredictionState

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
"""How long a server may be gone, say for a restart, or ask to be left alone, before waiting for it ends."""
MAX_RESULT_BYTES = 64_000_000
"""The largest result that is read; 16 records of scores of 100 classes take 27 MB."""
_PAUSE_SECONDS = 0.5


@dataclass(frozen=True)
class Label:
    """The predicted class of one record.

    ``label`` is the class's name, ``index`` its place in the schema's classes. A model whose output is ``label`` tells
    the client the class and nothing else. One whose output is ``scores`` gives ``scores`` too, one a class: the least
    sum of the level that it reached; the label is the first class with the greatest. If they are calibrated, there are
    ``probabilities``, one a class, which add up to 1.
    """

    label: str
    index: int
    scores: tuple[int, ...] | None = None
    probabilities: tuple[float, ...] | None = None

    @property
    def confidence(self) -> float | None:
        """The probability of the predicted class; None where the model gives none."""
        return None if self.probabilities is None else self.probabilities[self.index]


class Announced(Protocol):
    """What a model was said to take and give: a :class:`ModelVersion`, or the log's entry of a prediction by it."""

    @property
    def input_schema(self) -> str: ...
    @property
    def scores(self) -> ScoreScale | None: ...


class ModelSource(Protocol):
    """Who can ask what a model takes and gives (:class:`epaas_client.client.Client`)."""

    def model(self, name: str, version: int | None = None) -> ModelVersion: ...
    def schema(self, digest: str) -> InputSchema: ...


class Job:
    """One prediction on the server. Made by :meth:`Client.submit` or :meth:`Client.job`."""

    def __init__(
        self, transport: Transport, models: ModelSource, prediction: Prediction, announced: Announced | None = None
    ) -> None:
        self._transport = transport
        self._models = models
        self._announced = announced
        self.prediction = prediction

    @property
    def id(self) -> str:
        return self.prediction.id

    def __repr__(self) -> str:
        progress = self.prediction.progress
        return f"<Job {self.id} {self.prediction.state} {progress.done}/{progress.total} {progress.unit}>"

    def refresh(self) -> Prediction:
        """Ask the server for the state now."""
        return self._poll(0, PATIENCE_SECONDS)

    def wait(self, timeout: float | None = None, on_progress: Callable[[Prediction], None] | None = None) -> Prediction:
        """Wait until the prediction has succeeded; ``on_progress`` is called with every new state.

        Raises :class:`PredictionFailed` or :class:`PredictionCancelled`, and :class:`ResultNotReady` after ``timeout``
        seconds. A server that is gone for a while, as in a restart, or says when to ask again, is waited for.
        """
        now = time.monotonic()
        deadline = None if timeout is None else now + timeout
        last_answer = now
        while not self.prediction.state.finished:
            asked = time.monotonic()
            left = PATIENCE_SECONDS if deadline is None else deadline - asked
            if left <= 0:
                raise ResultNotReady(
                    f"the prediction {self.id} is still {self.prediction.state} after {timeout:g} seconds"
                )
            try:
                held = min(left, WATCHED_POLL_SECONDS if on_progress else LONG_POLL_SECONDS)
                self._poll(held, patience=min(left, PATIENCE_SECONDS))
                last_answer = time.monotonic()
            except (ServerUnreachable, Unavailable) as error:
                if error.retry_after is not None or time.monotonic() - last_answer > PATIENCE_SECONDS:
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
        headers = {"Accept": RESULT_MEDIA_TYPE}
        return self._transport.request(
            "GET", f"{self._path}/result", headers=headers, most_bytes=MAX_RESULT_BYTES
        ).content

    def decrypt(self, result: bytes, secret_keys: SecretKeys, schema: InputSchema | None = None) -> list[Label]:
        """The labels in a fetched result, one a record.

        The result must be on the scale that was announced when the record was sent: a server that changed it later
        would change what the scores seem to say. A job made of its id alone asks the server for the model first.
        """
        values, header = secret_keys.decrypt_result(result)
        if header.model != self.prediction.model_digest or header.records != self.prediction.records:
            raise DecryptionFailed(f"the result is not that of the prediction {self.id}")
        announced = self.announced
        if header.scores != announced.scores:
            raise DecryptionFailed(
                f"the result of the prediction {self.id} has {_scale_in_words(header.scores)}, but the model "
                f"{self.prediction.model} was announced with {_scale_in_words(announced.scores)}",
                field="scores",
            )
        return _read(values, header.scores, schema or self._models.schema(announced.input_schema))

    def result(self, secret_keys: SecretKeys, schema: InputSchema | None = None) -> list[Label]:
        """Fetch and decrypt: the labels, one a record in the order they were sent."""
        return self.decrypt(self.fetch(), secret_keys, schema)

    @property
    def announced(self) -> Announced:
        """What the model takes and gives, as it was announced when the record was sent, or else is now."""
        if self._announced is None:
            self._announced = self._models.model(self.prediction.model, self.prediction.version)
        return self._announced

    @property
    def _path(self) -> str:
        return f"/v1/predictions/{self.id}"

    def _poll(self, seconds: float, patience: float) -> Prediction:
        headers = {"Prefer": f"wait={max(1, round(seconds))}"} if seconds else {}
        self.prediction = self._transport.document(
            Prediction, "GET", self._path, headers=headers, wait=seconds, patience=patience
        )
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
    from epaas_shared.heads import label_digits, labels  # brings numpy, which `epaas --help` does without

    classes = schema.classes
    due = len(classes) if scale else label_digits(len(classes))
    if values.shape[1] != due:
        raise DecryptionFailed(f"the result has {values.shape[1]} values a record where {schema.name} has {due}")
    if scale:
        best = values.argmax(axis=1).tolist()
        return [
            Label(classes[index], index, tuple(map(scale.score, levels)), scale.probabilities(levels))
            for index, levels in zip(best, values.tolist(), strict=True)
        ]
    indices = labels(values)
    if max(indices) >= len(classes):
        raise DecryptionFailed(f"class {max(indices)} is none of the {len(classes)} classes of {schema.name}")
    return [Label(classes[index], index) for index in indices]


def _scale_in_words(scale: ScoreScale | None) -> str:
    return f"scores on the scale {scale}" if scale else "no scores"

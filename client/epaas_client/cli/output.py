"""How predictions are written: CSV, or one JSON object; a single one also in words.

In CSV calibrated scores are written as the probabilities that they stand for, others as they are; JSON has both.
"""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import epaas_client
from epaas_client.cli.context import State
from epaas_shared.errors import ConfigurationError
from epaas_shared.frame import FrameHeader, ResultHeader, decode_frame_start

if TYPE_CHECKING:
    from epaas_shared.schema import InputSchema

_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Row:
    """The prediction of one record; ``record`` is its number in the file, from 1, ``classes`` are all there are."""

    record: int
    label: epaas_client.Label
    prediction_id: str
    classes: tuple[str, ...]
    truth: str | None = None

    @property
    def correct(self) -> bool | None:
        """Whether the prediction agrees with the true label, where there is one."""
        return None if self.truth is None else self.label.label == self.truth

    @property
    def scores(self) -> dict[str, int] | None:
        """By class."""
        return self._by_class(self.label.scores)

    @property
    def probabilities(self) -> dict[str, float] | None:
        """By class."""
        return self._by_class(self.label.probabilities)

    @property
    def in_words(self) -> str:
        """The label and how sure it is."""
        label, confidence = self.label.label, self.label.confidence
        if confidence is not None:
            return f"{label}, with confidence {_in_words(confidence)}"
        if self.label.scores is not None:
            return f"{label}, without a confidence: the scores of this model are not calibrated"
        return f"{label}; label only: this model gives no confidence"

    def _by_class(self, values: tuple[_Value, ...] | None) -> dict[str, _Value] | None:
        return None if values is None else dict(zip(self.classes, values, strict=True))


@dataclass
class Outcome:
    """Decrypted predictions, and what fetching and decrypting them took."""

    rows: list[Row] = field(default_factory=list)
    fetch_seconds: float = 0.0
    decrypt_seconds: float = 0.0
    result_bytes: int = 0

    def fetch(self, job: epaas_client.Job) -> bytes:
        """The encrypted result of a finished job."""
        begun = time.monotonic()
        frame = job.fetch()
        self.fetch_seconds += time.monotonic() - begun
        return frame

    def decrypt(
        self,
        job: epaas_client.Job,
        frame: bytes,
        secret_keys: epaas_client.SecretKeys,
        schema: InputSchema,
        *,
        first: int,
        truth: Sequence[str | None] | None = None,
    ) -> None:
        """Add the predictions of a result, whose records are numbered from ``first`` on."""
        begun = time.monotonic()
        labels = job.decrypt(frame, secret_keys, schema)
        self.decrypt_seconds += time.monotonic() - begun
        self.result_bytes = bytes_of_one(frame, ResultHeader, len(labels))
        for number, label in enumerate(labels, start=first):
            self.rows.append(Row(number, label, job.id, schema.classes, truth[number - 1] if truth else None))

    @property
    def seconds(self) -> dict[str, float]:
        return {"fetch": round(self.fetch_seconds, 4), "decrypt": round(self.decrypt_seconds, 4)}


def bytes_of_one(frame: bytes, header: type[FrameHeader], records: int) -> int:
    """How long the frame would be with one record in it."""
    start = decode_frame_start(frame, header)
    return start.payload_offset + start.header.payload_bytes // records


def check_output(path: Path | None) -> None:
    """Refuse a place that cannot be written, before hours are spent on what should go there."""
    if path is None:
        return
    try:
        path.open("a").close()
    except OSError as error:
        raise ConfigurationError(f"the output {path} cannot be written: {error.strerror}") from None


def write_predictions(
    state: State,
    rows: Sequence[Row],
    output: Path | None,
    *,
    with_truth: bool,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Write the rows, and with ``--json`` the details, to the output file or else the standard output."""
    if state.as_json:
        document = {"predictions": [_describe(row, with_truth) for row in rows], **(details or {})}
        text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    else:
        text = _csv(rows, with_truth)
    if output is None:
        state.console.result(text)
        return
    output.write_text(text, encoding="utf-8", newline="")
    state.console.note(f"wrote {output}")


def _describe(row: Row, with_truth: bool) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "record": row.record,
        "label": row.label.label,
        "index": row.label.index,
        "confidence": row.label.confidence,
        "probabilities": row.probabilities,
        "scores": row.scores,
        "prediction_id": row.prediction_id,
    }
    if with_truth:
        fields |= {"truth": row.truth, "correct": row.correct}
    return fields


def _csv(rows: Sequence[Row], with_truth: bool) -> str:
    cells = [_cells(row, with_truth) for row in rows]
    # Predictions of several models may be written together: the columns of all, empty where a row has no such thing.
    columns = list(dict.fromkeys(name for row in cells for name in row)) or ["record", "label"]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(cells)
    return text.getvalue()


def _cells(row: Row, with_truth: bool) -> dict[str, object]:
    cells: dict[str, object] = {"record": row.record, "label": row.label.label}
    if row.probabilities is not None:
        cells["confidence"] = f"{row.label.confidence:.4f}"
        cells |= {f"probability {name}": f"{share:.4f}" for name, share in row.probabilities.items()}
    else:
        cells |= {f"score {name}": score for name, score in (row.scores or {}).items()}
    if with_truth:
        cells |= {"truth": row.truth or "", "correct": "" if row.correct is None else "yes" if row.correct else "no"}
    return cells


def _in_words(confidence: float) -> str:
    # Rounding must not make certainty of it.
    return "above 0.99" if confidence > 0.99 else f"{confidence:.2f}"

"""Encrypted predictions of test records beside the plain network's, for the report.

Nothing here encrypts: the records come out as a file (:func:`sampled_rows`), a real client sends them to a real server
(``epaas --json predict FILE``), and what it wrote comes back as a file.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from epaas_models.datasets.split import Rows
from epaas_shared.bundle_folder import Bundle
from epaas_shared.digest import Digest
from epaas_shared.errors import InvalidInput
from epaas_shared.features import Bits
from epaas_shared.report.agreement import EncryptedAgreement


class DecryptedPrediction(BaseModel):
    """One row of what ``epaas --json predict`` writes; ``scores`` are by class, in sums."""

    model_config = ConfigDict(frozen=True)

    index: int
    scores: dict[str, int] | None = None
    truth: str | None = None


class PredictionBytes(BaseModel):
    model_config = ConfigDict(frozen=True)

    record: int
    result: int


class PredictionSeconds(BaseModel):
    model_config = ConfigDict(frozen=True)

    evaluate: float


class DecryptedPredictions(BaseModel):
    """What ``epaas --json predict`` writes, as far as a report needs it."""

    model_config = ConfigDict(frozen=True)

    predictions: tuple[DecryptedPrediction, ...] = Field(min_length=1)
    model_digest: Digest
    seconds: PredictionSeconds
    bytes: PredictionBytes
    bootstraps: int
    threads: int | None = None


def sampled_rows(test_rows: Rows, records: int, seed: int) -> Rows:
    """Which test rows are sent: so many, at random by the seed, in that order."""
    chosen: Rows = np.random.default_rng(seed).choice(test_rows, min(records, len(test_rows)), replace=False)
    return chosen


def read_predictions(file: Path) -> DecryptedPredictions:
    """Raises :class:`InvalidInput` naming the file and what is wrong with it."""
    try:
        return DecryptedPredictions.model_validate_json(file.read_bytes())
    except OSError as error:
        raise InvalidInput(f"cannot be read: {error.strerror}", field=str(file)) from None
    except ValidationError as invalid:
        first = invalid.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidInput(
            f"{where}: {first['msg'].lower()}", field=str(file), hint="give what `epaas --json predict FILE` wrote"
        ) from None


def compare(
    found: DecryptedPredictions, bundle: Bundle, bits: Bits, truth: tuple[str, ...], machine: str
) -> EncryptedAgreement:
    """Decrypted predictions of records whose bits are (records, inputs) beside those of the plain network.

    Raises :class:`InvalidInput` for predictions of another bundle or of other records.
    """
    if found.model_digest != bundle.digest:
        raise InvalidInput(
            f"the predictions are of bundle {found.model_digest[:12]}, this is {bundle.digest[:12]}",
            field="model_digest",
            hint="publish this bundle and predict with it",
        )
    if tuple(row.truth for row in found.predictions) != truth:
        raise InvalidInput(
            "the predictions are of other records",
            field="predictions",
            hint="predict the records that `epaas-train sample` wrote, with the same seed",
        )
    values = bundle.network.evaluate(bits)
    indices, scale = bundle.network.head.indices(values), bundle.network.scores
    agree = 0
    for row, index, levels in zip(found.predictions, indices, values, strict=True):
        scores = [scale.score(int(level)) for level in levels] if scale else None
        decrypted = list(row.scores.values()) if row.scores is not None else None
        agree += (row.index, decrypted) == (index, scores)
    records = len(found.predictions)
    classes = bundle.schema.classes
    return EncryptedAgreement(
        rows=records,
        agree=agree,
        right=sum(classes[row.index] == label for row, label in zip(found.predictions, truth, strict=True)),
        model_digest=found.model_digest,
        seconds=round(found.seconds.evaluate / records, 4),
        bootstraps=found.bootstraps // records,
        threads=found.threads,
        machine=machine,
        record_bytes=found.bytes.record,
        result_bytes=found.bytes.result,
    )

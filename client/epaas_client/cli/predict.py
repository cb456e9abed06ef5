"""``epaas predict`` and ``epaas submit``: from a file of records to predictions.

Everything that can be wrong here is checked before anything is asked of the user or sent: the records, the keys, the
place of the output.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import epaas_client
from epaas_client.cli.context import KeysOption, ModelOption, PassphraseOption, State, VersionOption
from epaas_client.cli.keys import ensure_uploaded
from epaas_client.cli.output import Outcome, bytes_of_one, check_output, write_predictions
from epaas_client.cli.waiting import wait_for_all
from epaas_client.records import picture_feature
from epaas_shared.errors import InvalidRecord
from epaas_shared.frame import RecordHeader
from epaas_shared.protocol import ModelVersion
from epaas_shared.quantities import duration

if TYPE_CHECKING:
    from epaas_shared.schema import InputSchema

FileArgument = Annotated[
    str,
    typer.Argument(
        metavar="FILE",
        help="CSV with a header, or JSON Lines; - for standard input. Or a picture, or a folder of them.",
    ),
]
OutputOption = Annotated[Path | None, typer.Option("--output", "-o", help="Write the result here.")]


@dataclass
class Task:
    """Checked records for a model, the unlocked keys, and the jobs once they are sent."""

    model: ModelVersion
    schema: InputSchema
    records: epaas_client.Records
    stored: epaas_client.StoredKeys
    secret_keys: epaas_client.SecretKeys
    jobs: list[epaas_client.Job] = field(default_factory=list)
    encrypt_seconds: float = 0.0
    submit_seconds: float = 0.0
    record_bytes: int = 0

    @property
    def seconds(self) -> dict[str, float]:
        return {"encrypt": round(self.encrypt_seconds, 4), "submit": round(self.submit_seconds, 4)}


def predict(
    context: typer.Context,
    file: FileArgument,
    model: ModelOption,
    version: VersionOption = None,
    keys: KeysOption = None,
    passphrase_file: PassphraseOption = None,
    output: OutputOption = None,
) -> None:
    """Encrypt records, have them predicted, and decrypt the predictions.

    Example: epaas predict patients.csv --model breast-cancer

    Example: epaas predict digit.png --model mnist
    """
    state = State.of(context)
    check_output(output)
    with state.client() as client:
        task = prepare(state, client, file, model, version, keys, passphrase_file)
        send(state, client, task)
        wait_for_all(state, task.jobs)
        outcome = collect(task)
    evaluations = [job.prediction for job in task.jobs]
    evaluate_seconds = sum(prediction.evaluation_seconds or 0.0 for prediction in evaluations)
    details = {
        "model": task.model.name,
        "version": task.model.version,
        "model_digest": task.model.digest,
        "evaluation_keys": task.stored.evaluation_keys,
        "seconds": {**task.seconds, "evaluate": round(evaluate_seconds, 4), **outcome.seconds},
        "bytes": {"record": task.record_bytes, "result": outcome.result_bytes},
        "bootstraps": sum(prediction.progress.total for prediction in evaluations),
        "threads": max((prediction.threads or 0 for prediction in evaluations), default=0) or None,
    }
    write_predictions(state, outcome.rows, output, with_truth=task.records.truth is not None, details=details)
    count = len(outcome.rows)
    if count == 1:
        state.console.note(outcome.rows[0].in_words)
    state.console.note(f"{count} record{'s'[: count != 1]} evaluated in {duration(evaluate_seconds)}")
    if judged := [row.correct for row in outcome.rows if row.correct is not None]:
        state.console.note(f"{sum(judged)} of {len(judged)} agree with the column {task.schema.target!r}")


def submit(
    context: typer.Context,
    file: FileArgument,
    model: ModelOption,
    version: VersionOption = None,
    keys: KeysOption = None,
    passphrase_file: PassphraseOption = None,
) -> None:
    """Encrypt and send records, write the ids of their predictions, and leave.

    Example: epaas submit patients.csv --model breast-cancer

    Example: epaas submit digits/ --model mnist
    """
    state = State.of(context)
    with state.client() as client:
        task = prepare(state, client, file, model, version, keys, passphrase_file)
        send(state, client, task)
    if state.as_json:
        first, jobs = 1, []
        for job in task.jobs:
            jobs.append({"id": job.id, "records": job.prediction.records, "first_record": first})
            first += job.prediction.records
        state.console.document(
            {
                "jobs": jobs,
                "model": task.model.name,
                "version": task.model.version,
                "seconds": task.seconds,
                "bytes": {"record": task.record_bytes},
            }
        )
    else:
        state.console.result("\n".join(job.id for job in task.jobs))
        state.console.note("the server goes on alone; fetch the result with `epaas result ID`")


def prepare(
    state: State,
    client: epaas_client.Client,
    file: str,
    model_name: str,
    version: int | None,
    keys: str | None,
    passphrase_file: Path | None,
) -> Task:
    """Check records and keys against the model, unlock the keys, and make sure that the server has them."""
    stored = state.keystore().find(keys)
    model = client.model(model_name, version)
    epaas_client.check_compatible(model, stored)
    schema = client.schema(model.input_schema)
    records = epaas_client.read_records(file, schema)
    schema.encode(records.rows)
    _check_truth(records, schema)
    _show_picture(state, records, schema)
    secret_keys = state.open_keys(stored, passphrase_file)
    ensure_uploaded(state, client, stored)
    return Task(model, schema, records, stored, secret_keys)


def send(state: State, client: epaas_client.Client, task: Task) -> None:
    """Encrypt and send all records in as few jobs as fit, each noted in the job log."""
    log = state.job_log()
    first = 1
    for part in epaas_client.batches(task.records.rows):
        begun = time.monotonic()
        frame = client.encrypt(task.model, part, task.secret_keys)
        encrypted = time.monotonic()
        job = client.send(task.model, frame)
        task.encrypt_seconds += encrypted - begun
        task.submit_seconds += time.monotonic() - encrypted
        task.record_bytes = bytes_of_one(frame, RecordHeader, len(part))
        task.jobs.append(job)
        log.append(
            epaas_client.LoggedJob(
                id=job.id,
                server=client.server,
                model=task.model.name,
                version=job.prediction.version,
                evaluation_keys=task.stored.evaluation_keys,
                input_schema=task.schema.digest,
                output=task.model.output,
                scores=task.model.scores,
                records=len(part),
                first_record=first,
                submitted=datetime.now(UTC).replace(microsecond=0),
                source=task.records.source,
            )
        )
        first += len(part)
    state.console.note(f"sent as {', '.join(job.id for job in task.jobs)}")


def collect(task: Task) -> Outcome:
    """Fetch and decrypt the results of finished jobs."""
    outcome = Outcome()
    for job in task.jobs:
        frame = outcome.fetch(job)
        first = len(outcome.rows) + 1
        outcome.decrypt(job, frame, task.secret_keys, task.schema, first=first, truth=task.records.truth)
    return outcome


def _show_picture(state: State, records: epaas_client.Records, schema: InputSchema) -> None:
    """Show what was made of a single picture, so that a wrong reading is seen before it is sent."""
    feature = picture_feature(schema)
    if feature is None or len(records.rows) != 1:
        return

    from epaas_client.images import preview

    state.console.note(f"the picture as the model gets it, {feature.height} x {feature.width}:")
    for line in preview(feature.value(records.rows[0][feature.name])).split("\n"):
        state.console.note(line)


def _check_truth(records: epaas_client.Records, schema: InputSchema) -> None:
    for number, truth in enumerate(records.truth or [], start=1):
        if truth is not None and truth not in schema.classes:
            raise InvalidRecord(
                f"{truth[:40]!r} is not one of {', '.join(schema.classes)} (record {number})",
                field=schema.target,
                hint="correct the true label, leave it empty, or leave the column out; it is never sent",
            )

"""``epaas jobs`` and ``epaas result``: predictions asked for earlier, by this process or another."""

from __future__ import annotations

from typing import Annotated, Any

import typer

import epaas_client
from epaas_client.cli.context import KeysOption, PassphraseOption, State
from epaas_client.cli.output import Outcome, check_output, write_predictions
from epaas_client.cli.predict import OutputOption
from epaas_client.cli.waiting import wait_for_all
from epaas_shared.errors import EpaasError, PredictionNotFound, ServerUnreachable
from epaas_shared.protocol import Prediction, PredictionState
from epaas_shared.quantities import duration

app = typer.Typer(help="Predictions asked for earlier.")

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="Id of the prediction; see `epaas jobs list`.")]


@app.command("list", epilog="Example: epaas jobs list")
def list_jobs(context: typer.Context) -> None:
    """Show the predictions that this machine asked for, and their state on the server."""
    state = State.of(context)
    logged = state.job_log().jobs()
    states = _states(state, logged)
    if state.as_json:
        state.console.document({"jobs": [{**job.model_dump(mode="json"), "state": states[job.id]} for job in logged]})
    elif logged:
        rows = [
            (job.id, states[job.id] or "unknown", f"{job.model}/{job.version}", job.records, job.submitted, job.source)
            for job in logged
        ]
        state.console.table(("ID", "STATE", "MODEL", "RECORDS", "SUBMITTED", "SOURCE"), rows)
    else:
        state.console.note("no predictions yet; `epaas predict` asks for some")


@app.command(epilog="Example: epaas jobs show ID")
def show(context: typer.Context, job_id: IdArgument) -> None:
    """Show the state of a prediction."""
    state = State.of(context)
    client, logged = _client_for(state, job_id)
    with client:
        _show(state, client.job(job_id).prediction, logged)


@app.command(epilog="Example: epaas jobs watch ID")
def watch(context: typer.Context, job_id: IdArgument) -> None:
    """Wait for a prediction with a progress bar. Ctrl-C leaves it running."""
    state = State.of(context)
    client, logged = _client_for(state, job_id)
    with client:
        job = client.job(job_id)
        wait_for_all(state, [job])
        _show(state, job.prediction, logged)
    state.console.note(f"read it with `epaas result {job_id}`")


@app.command(epilog="Example: epaas jobs cancel ID")
def cancel(context: typer.Context, job_id: IdArgument) -> None:
    """Stop a prediction that has not finished."""
    state = State.of(context)
    client, logged = _client_for(state, job_id)
    with client:
        _show(state, client.job(job_id).cancel(), logged)


@app.command(epilog="Example: epaas jobs delete ID")
def delete(context: typer.Context, job_id: IdArgument) -> None:
    """Remove a prediction and its result from the server, and from the list here."""
    state = State.of(context)
    client, logged = _client_for(state, job_id)
    with client:
        try:
            client.job(job_id).delete()
        except PredictionNotFound:
            if logged is None:
                raise
            state.console.note("the server did not have it any more")
    if logged is not None:
        state.job_log().forget(job_id)
    if state.as_json:
        state.console.document({"deleted": job_id})
    else:
        state.console.note(f"deleted {job_id}")


def result(
    context: typer.Context,
    job_ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Ids of finished predictions.")],
    keys: KeysOption = None,
    passphrase_file: PassphraseOption = None,
    output: OutputOption = None,
) -> None:
    """Fetch finished predictions and decrypt them. Exit code 5 says that one has not finished.

    Example: epaas result ID > predictions.csv
    """
    state = State.of(context)
    check_output(output)
    opened: dict[str, epaas_client.SecretKeys] = {}
    outcome = Outcome()
    for job_id in job_ids:
        client, logged = _client_for(state, job_id)
        with client:
            job = client.job(job_id, logged if logged and logged.output else None)
            frame = outcome.fetch(job)
            stored = state.keystore().find(keys or job.prediction.evaluation_keys)
            if stored.evaluation_keys not in opened:
                opened[stored.evaluation_keys] = state.open_keys(stored, passphrase_file)
            schema = client.schema((logged or job.announced).input_schema)
            first = logged.first_record if logged else len(outcome.rows) + 1
            outcome.decrypt(job, frame, opened[stored.evaluation_keys], schema, first=first)
    details = {"seconds": outcome.seconds, "bytes": {"result": outcome.result_bytes}}
    write_predictions(state, outcome.rows, output, with_truth=False, details=details)


def _client_for(state: State, job_id: str) -> tuple[epaas_client.Client, epaas_client.LoggedJob | None]:
    """A client of the server that the prediction was sent to, and its entry in the log of this machine."""
    logged = state.job_log().find(job_id)
    return state.client(logged.server if logged else None), logged


def _show(state: State, prediction: Prediction, logged: epaas_client.LoggedJob | None) -> None:
    if state.as_json:
        document: dict[str, Any] = {"prediction": prediction.model_dump(mode="json")}
        state.console.document({**document, "job": logged.model_dump(mode="json") if logged else None})
        return
    facts: list[tuple[str, object]] = [
        ("id", prediction.id),
        ("state", prediction.state),
        ("model", f"{prediction.model} version {prediction.version}"),
        ("records", prediction.records),
        ("keys", prediction.evaluation_keys[:16]),
        ("progress", f"{prediction.progress.done} of {prediction.progress.total} bootstraps"),
        ("submitted", prediction.created_at),
    ]
    if logged is not None:
        facts.append(("source", f"{logged.source}, from record {logged.first_record}"))
    if prediction.eta_seconds is not None and not prediction.state.finished:
        facts.append(("left", f"about {duration(prediction.eta_seconds)}"))
    if prediction.evaluation_seconds is not None:
        facts.append(("evaluated in", duration(prediction.evaluation_seconds)))
    if prediction.problem is not None:
        facts.append(("problem", prediction.problem.detail))
    state.console.table(("FIELD", "VALUE"), facts)


def _states(state: State, logged: list[epaas_client.LoggedJob]) -> dict[str, PredictionState | str | None]:
    """The state of each job: ``deleted`` where the server has it no more, ``None`` where the server does not answer."""
    states: dict[str, PredictionState | str | None] = {}
    silent: set[str] = set()
    for job in logged:
        states[job.id] = None
        if job.server in silent:
            continue
        try:
            with state.client(job.server) as client:
                states[job.id] = client.job(job.id).prediction.state
        except PredictionNotFound:
            states[job.id] = "deleted"
        except EpaasError as error:
            if isinstance(error, ServerUnreachable):
                silent.add(job.server)
            state.console.note(f"warning: {error}")
    return states

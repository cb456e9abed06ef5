"""The command ``epaas-train``. Results on stdout, progress on stderr; the exit codes are those of the error tree."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from epaas_models.experiments.commands import experiments
from epaas_models.progress_bar import progress_bar
from epaas_models.task_commands import TASKS_FOLDER, TasksOption, own_task, tasks
from epaas_shared import __version__
from epaas_shared.command import run_command

if TYPE_CHECKING:
    from epaas_models.jobs.folder import JobFolder
    from epaas_shared.bundle import BundleManifest
    from epaas_shared.report import Report

Device = Literal["auto", "cpu", "cuda"]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
QuickOption = Annotated[bool, typer.Option("--quick", help="Measure on few rows: for trying things out.")]
BundleArgument = Annotated[Path, typer.Argument(help="The folder that `fit` wrote.")]

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="Train models, write bundles."
)
app.add_typer(experiments, name="experiment")
app.add_typer(tasks, name="task")


def main() -> None:
    """Run the command; errors become lines on stderr and exit codes."""
    run_command("epaas-train", app)


@app.command()
def fit(
    configuration: Annotated[
        str, typer.Argument(help="A name that `epaas-train list` shows, a TOML file, or an own task.")
    ],
    output: Annotated[Path | None, typer.Option(help="The bundle's folder [default: bundles/NAME].")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of everything random.")] = 0,
    splits: Annotated[int, typer.Option(min=0, help="Other splits to measure the spread of the accuracy on.")] = 0,
    quick: QuickOption = False,
    tasks_folder: TasksOption = TASKS_FOLDER,
    device: Annotated[Device, typer.Option(help="Of torch; auto is a GPU where there is one.")] = "auto",
    as_json: JsonOption = False,
) -> None:
    """Train a model, measure how reliable it is, and write its bundle. Interrupted and run again, it goes on.

    Data come from the folder EPAAS_DATA_DIR, else the user's cache, else the official source.

    Example: epaas-train fit breast-cancer --splits 20
    """
    from epaas_models.configuration import load_configuration
    from epaas_models.datasets import TASKS
    from epaas_models.jobs.folder import JobFolder
    from epaas_models.jobs.request import TrainingRequest

    own = own_task(configuration, tasks_folder)
    chosen = load_configuration(configuration) if own is None else own.configuration
    if own is None and chosen.task not in TASKS:
        own = own_task(chosen.input_schema, tasks_folder)
    folder = output if output is not None else Path("bundles") / chosen.name
    request = TrainingRequest(
        configuration=chosen,
        own=None if own is None else own.data,
        seed=seed,
        splits=splits,
        thoroughness="quick" if quick else "full",
        device=device,
        command=shlex.join(["epaas-train", *sys.argv[1:]]),
        output=str(folder.absolute()),
    )
    _run(JobFolder.create(folder.parent / f".{folder.name}-{request.digest[:12]}.job", request), as_json=as_json)


@app.command()
def resume(
    job: Annotated[Path, typer.Argument(help="The folder of an interrupted job: .NAME-….job beside the bundle's.")],
    as_json: JsonOption = False,
) -> None:
    """Go on with a training that was interrupted, from its last epoch. `fit` with the same arguments does so too.

    Example: epaas-train resume bundles/.mnist-3fa2c1d09b77.job
    """
    from epaas_models.jobs.folder import JobFolder

    _run(JobFolder(job), as_json=as_json)


def _run(job: JobFolder, *, as_json: bool) -> None:
    """Run a job, bring its bundle to where it is wanted and show what came out."""
    from epaas_models.datasets import DataSettings
    from epaas_models.jobs.run import run
    from epaas_shared.errors import EpaasError

    wanted = job.request.output
    try:
        with progress_bar() as progress:
            fitted = run(job, DataSettings(), progress)
    except EpaasError:
        if wanted is not None and not job.locked:
            shutil.rmtree(job.path)  # it failed for good, and is nobody's to look at
        raise
    folder = Path(wanted) if wanted is not None else job.bundle
    if folder != job.bundle:
        folder.mkdir(parents=True, exist_ok=True)
        for file in job.bundle.iterdir():
            file.replace(folder / file.name)
        shutil.rmtree(job.path)
    shown = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
    _write_summary(shown, fitted.manifest, fitted.report, as_json=as_json)


@app.command()
def report(
    bundle: BundleArgument,
    encrypted: Annotated[
        Path | None, typer.Option(help="What `epaas --json predict` wrote for the records of `sample`.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of everything random.")] = 0,
    quick: QuickOption = False,
    as_json: JsonOption = False,
) -> None:
    """Measure a trained model again and give its bundle the new report, and so a new digest.

    With --encrypted nothing is measured again: encrypted predictions are compared and added to the report.

    Example: epaas-train report bundles/mnist

    Example: epaas-train report bundles/mnist --encrypted predictions.json
    """
    from epaas_models.export import read_bundle, replace_report
    from epaas_models.remeasure import add_encrypted, measure_again

    found = read_bundle(bundle)
    with progress_bar() as progress:
        if encrypted is not None:
            made = add_encrypted(found, encrypted, seed=seed, progress=progress)
        else:
            command = shlex.join(["epaas-train", *sys.argv[1:]])
            thoroughness: Literal["quick", "full"] = "quick" if quick else "full"
            made = measure_again(found, thoroughness=thoroughness, seed=seed, command=command, progress=progress)
    _write_summary(bundle, replace_report(bundle, found, made), made, as_json=as_json)


@app.command()
def sample(
    bundle: BundleArgument,
    output: Annotated[Path, typer.Option(help="JSON Lines, one record a line, with the true label.")],
    records: Annotated[int, typer.Option(min=1, help="How many.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Of the choice.")] = 0,
) -> None:
    """Write test records of a model's task, for `epaas predict` to encrypt and `report --encrypted` to compare.

    Example: epaas-train sample bundles/mnist --output records.jsonl
    """
    from epaas_models.export import read_bundle
    from epaas_models.remeasure import sample_records

    with progress_bar() as progress:
        lines = sample_records(read_bundle(bundle), records, seed=seed, progress=progress)
    output.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")


@app.command()
def publish(
    bundle: BundleArgument,
    server: Annotated[str, typer.Option(help="The address of the prediction server.")],
    token_file: Annotated[Path, typer.Option(help="A file with a token that `epaas-server token create` made.")],
    stable: Annotated[bool, typer.Option("--stable", help="Let it answer at once, not as a candidate.")] = False,
    strategy: Annotated[list[str] | None, typer.Option(help="How layers are evaluated; else the cheapest.")] = None,
    trust_measured_ranges: Annotated[
        bool, typer.Option("--trust-measured-ranges", help="Provide for the sums that training measured, and a margin.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a bundle a version of its model on a prediction server.

    Example: epaas-train publish bundles/mnist --server http://127.0.0.1:8000 --token-file publish.token
    """
    from epaas_models.publishing import publish as publish_bundle
    from epaas_models.publishing import read_token
    from epaas_shared.protocol import Alias

    alias = Alias.STABLE if stable else Alias.CANDIDATE
    published = publish_bundle(
        bundle,
        server,
        read_token(token_file),
        alias=alias,
        strategies=strategy or (),
        trust_measured_ranges=trust_measured_ranges,
    )
    if as_json:
        sys.stdout.write(published.model_dump_json() + "\n")
    else:
        bootstraps = published.cost.bootstraps
        sys.stdout.write(
            f"{published.name} version {published.version}, {alias.value}: {bootstraps} bootstraps a record\n"
        )


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on [default: 127.0.0.1].")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 is any free one [default: 8001].")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Jobs, bundles and own tables.")] = None,
) -> None:
    """Train over HTTP: own tables, jobs that survive anything, pages of their progress.

    Settings are in EPAAS_TRAIN_* variables; docs/training-service.md lists them.

    Example: epaas-train serve --port 8001
    """
    from pydantic import ValidationError

    from epaas_models.service.serve import serve as serve_forever
    from epaas_models.service.settings import ServiceSettings
    from epaas_shared.errors import ConfigurationError

    given = {"host": host, "port": port, "data_dir": data_dir}
    try:
        settings = ServiceSettings.model_validate(
            {**ServiceSettings().model_dump(), **{name: value for name, value in given.items() if value is not None}}
        )
    except ValidationError as invalid:
        first = invalid.errors()[0]
        raise ConfigurationError(first["msg"].lower(), field=f"EPAAS_TRAIN_{first['loc'][0]}".upper()) from None
    serve_forever(settings)


@app.command()
def compare(
    bundles: Annotated[list[Path], typer.Argument(help="Folders of two or more bundles of one task.")],
    as_json: JsonOption = False,
) -> None:
    """Show what the reports of bundles say, side by side.

    Example: epaas-train compare bundles/mnist bundles/mnist-binary
    """
    from epaas_models.export import read_bundle
    from epaas_shared.bundle import REPORT_FILE
    from epaas_shared.errors import InvalidRequest
    from epaas_shared.report import read_report
    from epaas_shared.report.comparison import as_document, as_lines
    from epaas_shared.report.comparison import compare as compare_reports

    reports = [read_report(read_bundle(bundle).files[REPORT_FILE]) for bundle in bundles]
    if len({report.task for report in reports}) > 1 or len(reports) < 2:
        raise InvalidRequest("name two or more bundles of one task", field="bundles")
    rows, names = compare_reports(reports), [str(bundle) for bundle in bundles]
    text = json.dumps(as_document(names, rows)) if as_json else "\n".join(as_lines(names, rows))
    sys.stdout.write(text + "\n")


@app.command("list")
def list_configurations(
    as_json: JsonOption = False,
) -> None:
    """Show the configurations of this release: what `fit` can train by name.

    Example: epaas-train list
    """
    from epaas_models.configuration import load_configuration, shipped_configurations

    found = {name: load_configuration(name) for name in shipped_configurations()}
    if as_json:
        rows = [
            {"configuration": name, "name": chosen.name, "task": chosen.task, "title": chosen.title}
            for name, chosen in found.items()
        ]
        sys.stdout.write(json.dumps({"configurations": rows}) + "\n")
    else:
        width = max(map(len, found))
        sys.stdout.write("".join(f"{name:{width}}  {chosen.title}\n" for name, chosen in found.items()))


@app.command()
def schema(
    name: Annotated[str, typer.Argument(help="A schema of this release, such as mnist/v1.")],
    output: Annotated[Path | None, typer.Option(help="Where to write it; else standard output.")] = None,
) -> None:
    """Learn a task's input schema again from its training rows, as the one that ships was.

    Example: epaas-train schema breast-cancer/v2
    """
    from epaas_models.datasets import DataSettings, load, split
    from epaas_models.schema_learning import learn_schema

    dataset = load(name.partition("/")[0], DataSettings())
    learnt = learn_schema(name, dataset, split(dataset, 0))
    text = json.dumps(learnt.model_dump(mode="json"), indent=1, ensure_ascii=False) + "\n"
    if output is None:
        sys.stdout.write(text)
    else:
        output.write_text(text, "utf-8")


@app.command()
def version() -> None:
    """Print the version."""
    sys.stdout.write(f"{__version__}\n")


def _write_summary(folder: Path, manifest: BundleManifest, report: Report, *, as_json: bool) -> None:
    accuracy, calibration, splits = report.accuracy, report.calibration, report.accuracy.random_splits
    majority = accuracy.baselines[0]
    if as_json:
        document = {
            "bundle": str(folder),
            "name": manifest.name,
            "digest": manifest.digest,
            "accuracy": accuracy.accuracy.value,
            "accuracy_interval_95": accuracy.accuracy.interval,
            "balanced_accuracy": accuracy.balanced_accuracy.value,
            "auroc": None if accuracy.auroc is None else accuracy.auroc.value,
            "majority_baseline": majority.accuracy.value,
            "temperature": calibration.temperature_by_nll,
            "expected_calibration_error": calibration.after.expected_calibration_error.value,
            "calibration": calibration.verdict,
            "robustness": report.robustness.verdict,
            "random_splits": None if splits is None else splits.model_dump(mode="json"),
            "seconds": report.made.seconds,
        }
        sys.stdout.write(json.dumps(document) + "\n")
        return
    low, high = accuracy.accuracy.interval
    lines = [
        f"{folder}: {manifest.name} {manifest.digest[:12]}",
        f"test accuracy {accuracy.accuracy.value:.3f} (95 % interval {low:.3f} to {high:.3f}), "
        f"balanced {accuracy.balanced_accuracy.value:.3f}, majority baseline {majority.accuracy.value:.3f}",
        f"confidence: {calibration.verdict} after scaling, "
        f"expected calibration error {calibration.after.expected_calibration_error.value:.3f}",
        f"robustness: {report.robustness.verdict}",
    ]
    if splits:
        deviation = splits.standard_deviation
        lines.append(
            f"mean of {splits.splits} random splits {splits.mean:.4f}"
            + (f" (standard deviation {deviation:.4f})" if deviation is not None else "")
        )
    sys.stdout.write("\n".join(lines) + "\n")

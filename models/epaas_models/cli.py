"""The command ``epaas-train``. Results on stdout, progress on stderr; the exit codes are those of the error tree."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from epaas_models.experiments.commands import experiments
from epaas_models.progress_bar import progress_bar
from epaas_shared import __version__
from epaas_shared.command import run_command

if TYPE_CHECKING:
    from epaas_shared.bundle import BundleManifest
    from epaas_shared.report import Report

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
QuickOption = Annotated[bool, typer.Option("--quick", help="Measure on few rows: for trying things out.")]
BundleArgument = Annotated[Path, typer.Argument(help="The folder that `fit` wrote.")]

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="Train models, write bundles."
)
app.add_typer(experiments, name="experiment")


def main() -> None:
    """Run the command; errors become lines on stderr and exit codes."""
    run_command("epaas-train", app)


@app.command()
def fit(
    configuration: Annotated[str, typer.Argument(help="A name that `epaas-train list` shows, or a TOML file.")],
    output: Annotated[Path | None, typer.Option(help="The bundle's folder [default: bundles/NAME].")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of everything random.")] = 0,
    splits: Annotated[int, typer.Option(min=0, help="Other splits to measure the spread of the accuracy on.")] = 0,
    quick: QuickOption = False,
    as_json: JsonOption = False,
) -> None:
    """Train a model, measure how reliable it is, and write its bundle. Interrupted and run again, it goes on.

    Data come from the folder EPAAS_DATA_DIR, else the user's cache, else the official source.

    Example: epaas-train fit breast-cancer --splits 20
    """
    from epaas_models.configuration import load_configuration
    from epaas_models.datasets import DataSettings, load
    from epaas_models.fit import fit as fit_configuration
    from epaas_shared.digest import digest_json

    chosen = load_configuration(configuration)
    folder = output if output is not None else Path("bundles") / chosen.name
    run = digest_json({"configuration": chosen.training_digest, "seed": seed})
    checkpoint = folder.parent / f".{folder.name}-{run[:12]}.checkpoint"
    with progress_bar() as progress:
        dataset = load(chosen.task, DataSettings(), progress)
        folder.mkdir(parents=True, exist_ok=True)
        fitted = fit_configuration(
            chosen,
            dataset,
            folder,
            seed=seed,
            command=shlex.join(["epaas-train", *sys.argv[1:]]),
            evaluation_splits=splits,
            thoroughness="quick" if quick else "full",
            progress=progress,
            checkpoint=checkpoint,
        )
    checkpoint.unlink(missing_ok=True)
    _write_summary(folder, fitted.manifest, fitted.report, as_json=as_json)


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

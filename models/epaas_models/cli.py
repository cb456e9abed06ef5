"""The command ``epaas-train``. Results on stdout, progress on stderr; the exit codes are those of the error tree."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from epaas_shared import __version__
from epaas_shared.command import run_command

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="Train models, write bundles."
)


def main() -> None:
    """Run the command; errors become lines on stderr and exit codes."""
    run_command("epaas-train", app)


@app.command()
def fit(
    configuration: Annotated[str, typer.Argument(help="A name that `epaas-train list` shows, or a TOML file.")],
    output: Annotated[Path | None, typer.Option(help="The bundle's folder [default: bundles/NAME].")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of everything random.")] = 0,
    splits: Annotated[int, typer.Option(min=0, help="Other splits to measure the spread of the accuracy on.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Train a model, measure it, and write its bundle. Interrupted and run again, it goes on where it was.

    Data come from the folder EPAAS_DATA_DIR, else the user's cache, else the official source.

    Example: epaas-train fit breast-cancer --splits 20
    """
    from epaas_models.configuration import load_configuration
    from epaas_models.datasets import DataSettings, load
    from epaas_models.fit import fit as fit_configuration
    from epaas_shared.digest import digest_json

    chosen = load_configuration(configuration)
    folder = output if output is not None else Path("bundles") / chosen.name
    run = digest_json({"configuration": chosen.model_dump(mode="json"), "seed": seed})
    checkpoint = folder.parent / f".{folder.name}-{run[:12]}.checkpoint"
    with _progress_bar() as progress:
        dataset = load(chosen.task, DataSettings(), progress)
        folder.mkdir(parents=True, exist_ok=True)
        fitted = fit_configuration(
            chosen,
            dataset,
            folder,
            seed=seed,
            command=shlex.join(["epaas-train", *sys.argv[1:]]),
            evaluation_splits=splits,
            progress=progress,
            checkpoint=checkpoint,
        )
    checkpoint.unlink(missing_ok=True)
    test, spread = fitted.report["test"], fitted.report["random_splits"]
    document = {
        "bundle": str(folder),
        "name": fitted.manifest.name,
        "digest": fitted.manifest.digest,
        **{key: test[key] for key in ("accuracy", "accuracy_interval_95", "balanced_accuracy", "auroc")},
        "majority_baseline": test["majority_baseline"]["accuracy"],
        "confidence": fitted.report["confidence"],
        "random_splits": spread,
    }
    sys.stdout.write((json.dumps(document) if as_json else _summary(document)) + "\n")


@app.command("list")
def list_configurations(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
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


def _summary(document: dict[str, Any]) -> str:
    low, high = document["accuracy_interval_95"]
    lines = [
        f"{document['bundle']}: {document['name']} {document['digest'][:12]}",
        f"test accuracy {document['accuracy']:.3f} (95 % interval {low:.3f} to {high:.3f}), "
        f"balanced {document['balanced_accuracy']:.3f}, majority baseline {document['majority_baseline']:.3f}",
    ]
    if confidence := document["confidence"]:
        lines.append(
            f"confidence in {confidence['levels']} levels, temperature {confidence['temperature']:g}, "
            f"expected calibration error {confidence['expected_calibration_error']:.3f}"
        )
    if spread := document["random_splits"]:
        deviation = spread["standard_deviation"]
        lines.append(
            f"mean of {spread['splits']} random splits {spread['mean']:.4f}"
            + (f" (standard deviation {deviation:.4f})" if deviation is not None else "")
        )
    return "\n".join(lines)


@contextmanager
def _progress_bar() -> Iterator[Callable[[str, int, int], None]]:
    """A bar on a terminal, nothing elsewhere."""
    from rich.console import Console
    from rich.progress import Progress, TaskID

    tasks: dict[str, TaskID] = {}
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:

        def advance(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done)

        yield advance

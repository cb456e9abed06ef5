"""The command ``epaas-train``. Results on stdout, progress on stderr; the exit codes are those of the error tree."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from epaas_shared import __version__
from epaas_shared.command import run_command
from epaas_shared.errors import InvalidRequest

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="Train models, write bundles."
)
TASKS = ("breast-cancer",)


def main() -> None:
    """Run the command; errors become lines on stderr and exit codes."""
    run_command("epaas-train", app)


@app.command()
def fit(
    task: Annotated[str, typer.Argument(help="The task to train: breast-cancer.")],
    output: Annotated[Path | None, typer.Option(help="The bundle's folder [default: bundles/TASK].")] = None,
    weights: Annotated[Literal["ternary", "binary"], typer.Option(help="Weights in -1, 0, 1 or in -1, 1.")] = "ternary",
    hidden: Annotated[str, typer.Option(help="Widths of hidden layers, such as 16,8; none by default.")] = "",
    seed: Annotated[int, typer.Option(help="Seed of the initial weights.")] = 0,
    splits: Annotated[int, typer.Option(min=0, help="Random splits to measure the spread of the accuracy on.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Train a task's network, measure it, and write its bundle.

    Example: epaas-train fit breast-cancer --output bundles/breast-cancer
    """
    if task not in TASKS:
        raise InvalidRequest(f"there is no task {task!r}", field="task", hint=f"tasks: {', '.join(TASKS)}")
    widths = _widths(hidden)

    from epaas_models.bnn import BnnConfiguration
    from epaas_models.fit import fit_breast_cancer

    folder = output if output is not None else Path("bundles") / task
    with _progress_bar() as progress:
        fitted = fit_breast_cancer(
            folder,
            BnnConfiguration(hidden=widths, weights=weights),
            seed=seed,
            evaluation_splits=splits,
            command=shlex.join(["epaas-train", *sys.argv[1:]]),
            progress=progress,
        )
    test = fitted.report["test"]
    document = {
        "bundle": str(folder),
        "name": fitted.manifest.name,
        "digest": fitted.manifest.digest,
        "accuracy": test["accuracy"],
        "accuracy_interval_95": test["accuracy_interval_95"],
        "majority_baseline": test["majority_baseline"]["accuracy"],
        "random_splits": fitted.report["random_splits"],
    }
    sys.stdout.write((json.dumps(document) if as_json else _summary(document)) + "\n")


@app.command()
def version() -> None:
    """Print the version."""
    sys.stdout.write(f"{__version__}\n")


def _widths(text: str) -> tuple[int, ...]:
    try:
        widths = tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        widths = (0,)
    if any(not 1 <= width <= 65536 for width in widths):
        raise InvalidRequest(f"{text!r} is no list of widths", field="--hidden", hint="for example --hidden 16,8")
    return widths


def _summary(document: dict[str, Any]) -> str:
    low, high = document["accuracy_interval_95"]
    lines = [
        f"{document['bundle']}: {document['name']} {document['digest'][:12]}",
        f"test accuracy {document['accuracy']:.3f} (95 % interval {low:.3f} to {high:.3f}), "
        f"majority baseline {document['majority_baseline']:.3f}",
    ]
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

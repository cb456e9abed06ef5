"""The commands ``epaas-train experiment …``: list, run, and set beside the thesis."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from epaas_models.progress_bar import progress_bar

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
LogsOption = Annotated[Path, typer.Option("--logs", help="The folder of the logs of runs.")]

LOGS = Path("experiments")

experiments = typer.Typer(
    no_args_is_help=True,
    help="Run the experiments of the thesis's chapters 4 to 7, and judge its claims by their logs.",
)


@experiments.command("list")
def list_experiments(
    logs: LogsOption = LOGS,
    as_json: JsonOption = False,
) -> None:
    """Show the experiments of this release, and how many of their runs have a log.

    Example: epaas-train experiment list
    """
    from epaas_models.experiments.logs import Logs
    from epaas_models.experiments.registry import EXPERIMENTS
    from epaas_models.experiments.runner import missing_runs

    rows = [
        {
            "name": experiment.name,
            "section": experiment.section,
            "title": experiment.title,
            "data": experiment.data,
            "runs": len(experiment.arms) * len(experiment.seeds),
            "missing": len(missing_runs(experiment, Logs(logs))),
            "needs_gpu": experiment.needs_gpu,
        }
        for experiment in EXPERIMENTS
    ]
    if as_json:
        sys.stdout.write(json.dumps({"experiments": rows}) + "\n")
        return
    width = max(len(str(row["name"])) for row in rows)
    for row in rows:
        done = f"{int(str(row['runs'])) - int(str(row['missing']))}/{row['runs']} runs"
        gpu = ", needs a GPU" if row["needs_gpu"] else ""
        sys.stdout.write(f"{row['name']:{width}}  {row['section']:7} {row['title']} ({row['data']}; {done}{gpu})\n")


@experiments.command()
def run(
    names: Annotated[list[str] | None, typer.Argument(help="Experiments [default: all that need no GPU].")] = None,
    logs: LogsOption = LOGS,
    device: Annotated[str | None, typer.Option(help="Of torch [default: cuda where there is one, else cpu].")] = None,
) -> None:
    """Run what has no log yet. Interrupted and run again, it goes on; what is finished costs nothing.

    Example: epaas-train experiment run shattering --logs docs/experiments/logs
    """
    import torch

    from epaas_models.datasets import DataSettings
    from epaas_models.experiments.logs import Logs
    from epaas_models.experiments.registry import EXPERIMENTS, experiment_named
    from epaas_models.experiments.runner import checkpoint_folder, run_experiment
    from epaas_shared.errors import ConfigurationError

    found = "cuda" if torch.cuda.is_available() else "cpu"
    chosen = [experiment_named(name) for name in names or ()] or [one for one in EXPERIMENTS if not one.needs_gpu]
    for experiment in chosen:
        if experiment.needs_gpu and device is None and found == "cpu":
            raise ConfigurationError(
                f"{experiment.name} needs a GPU, and there is none",
                field="experiment",
                hint="run it where there is one, or insist by --device cpu and be patient for days",
            )
    with progress_bar() as progress:
        for experiment in chosen:
            done = run_experiment(
                experiment,
                Logs(logs),
                DataSettings(),
                checkpoints=checkpoint_folder(),
                device=device or found,
                progress=progress,
            )
            sys.stdout.write(f"{experiment.name}: {done} runs made, all are in {logs / experiment.name}\n")


@experiments.command()
def table(
    logs: LogsOption = LOGS,
    output: Annotated[Path | None, typer.Option(help="Write the table, in Markdown, here too.")] = None,
) -> None:
    """Print each claim beside what was measured; the last line is JSON. Made from the logs alone.

    Example: epaas-train experiment table --logs docs/experiments/logs
    """
    from epaas_models.experiments.logs import Logs
    from epaas_models.experiments.registry import CLAIMS
    from epaas_models.experiments.table import as_json, as_markdown, judged
    from epaas_shared.errors import ConfigurationError

    try:
        rows = judged(CLAIMS, Logs(logs))
    except LookupError as error:
        raise ConfigurationError(
            str(error.args[0]), field="logs", hint=f"epaas-train experiment run NAME --logs {logs}"
        ) from None
    text = as_markdown(rows)
    if output is not None:
        output.write_text(text, "utf-8")
    sys.stdout.write(text + "\n" + as_json(rows) + "\n")

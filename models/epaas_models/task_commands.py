"""The commands ``epaas-train task …``: a provider's own table becomes a public task."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from epaas_models.tables.own_tasks import AcceptedTask

TASKS_FOLDER = Path("tasks")
TasksOption = Annotated[Path, typer.Option("--tasks", help="The folder of own tasks.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

tasks = typer.Typer(no_args_is_help=True, help="Own tables: check one, and freeze how its records become bits.")


@tasks.command()
def add(
    table: Annotated[Path, typer.Argument(help="A CSV file in UTF-8, with a header.", exists=True, dir_okay=False)],
    name: Annotated[str | None, typer.Option(help="Of the task, such as wine.")] = None,
    label: Annotated[str | None, typer.Option(help="The column to predict.")] = None,
    description: Annotated[
        Path | None, typer.Option(help="JSON or TOML: types, ranges, categories, whose rows they are.", exists=True)
    ] = None,
    folder: TasksOption = TASKS_FOLDER,
    as_json: JsonOption = False,
) -> None:
    """Check a table and freeze the encoding that it proposes as a version of the task; `fit` then trains on it.

    Example: epaas-train task add wine.csv --name wine --label cultivar
    """
    from epaas_models.tables import description_of, parse_description
    from epaas_models.tables.own_tasks import OwnTasks
    from epaas_shared.errors import InvalidRequest, InvalidTable

    if (description is None) == (name is None or label is None):
        raise InvalidRequest("give either --name and --label, or --description", field="description")
    if description is not None:
        try:
            described = parse_description(description.read_text("utf-8"))
        except UnicodeDecodeError:
            raise InvalidTable("the description is not in UTF-8", field=str(description)) from None
    else:
        described = description_of({"task": name, "label": label})
    try:
        accepted = OwnTasks(folder).accept(table, described)
    except InvalidTable as invalid:
        if not as_json:
            for fault in invalid.faults[1:]:
                sys.stderr.write(f"  {fault}; {fault.hint}\n")
        raise
    _show(accepted, as_json=as_json)


@tasks.command("list")
def list_tasks(folder: TasksOption = TASKS_FOLDER, as_json: JsonOption = False) -> None:
    """Show the own tasks of a folder.

    Example: epaas-train task list
    """
    from epaas_models.tables.own_tasks import OwnTasks

    found = OwnTasks(folder).tasks()
    if as_json:
        sys.stdout.write(json.dumps({"tasks": [_document(task) for task in found]}) + "\n")
        return
    for task in found:
        sys.stdout.write(_line(task) + "\n")


def own_task(name: str, folder: Path) -> AcceptedTask | None:
    """The own task of this name; None if there is none."""
    if not (folder / "schemas").is_dir():
        return None
    from epaas_models.tables.own_tasks import OwnTasks
    from epaas_shared.errors import TaskNotFound

    try:
        return OwnTasks(folder).task(name)
    except TaskNotFound:
        return None


def _show(accepted: AcceptedTask, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(_document(accepted)) + "\n")
        return
    for warning in accepted.warnings:
        sys.stderr.write(f"warning: {warning}; {warning.hint}\n")
    sys.stdout.write(_line(accepted) + "\n")


def _line(accepted: AcceptedTask) -> str:
    schema = accepted.input_schema
    return f"{schema.name}: {accepted.rows} rows, {len(schema.classes)} classes, {schema.bits} bits a record"


def _document(accepted: AcceptedTask) -> dict[str, object]:
    schema = accepted.input_schema
    return {
        "task": schema.name,
        "digest": schema.digest,
        "rows": accepted.rows,
        "bits": schema.bits,
        "classes": schema.classes,
        "warnings": [warning.__dict__ for warning in accepted.warnings],
    }

"""The provider's own tasks over HTTP: a description, then the rows; and the configurations to train with."""

from __future__ import annotations

from pathlib import Path as FilePath
from tempfile import TemporaryDirectory
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Path, Query, Request

from epaas_models.configuration import load_shipped, shipped_configurations
from epaas_models.service.app import Context, ContextDependency
from epaas_models.service.documents import ConfigurationList, OwnTask, OwnTaskList
from epaas_models.tables import TableDescription, description_of, parse_description
from epaas_shared.bundle import MODEL_NAME
from epaas_shared.errors import InvalidTable, PayloadTooLarge, TaskNotFound
from epaas_web.bodies import limited_body, limited_chunks
from epaas_web.problems import problem_responses

router = APIRouter(prefix="/v1", tags=["own data"])

TaskName = Annotated[str, Path(pattern=MODEL_NAME, max_length=100)]
_MAX_DESCRIPTION_BYTES = 1_000_000


def _body(media_type: str, description: str) -> dict[str, Any]:
    """What OpenAPI says of a body that a route reads for itself, piece by piece."""
    content = {media_type: {"schema": {"type": "string"}}}
    return {"requestBody": {"required": True, "description": description, "content": content}}


@router.put(
    "/tasks/{task}/description",
    openapi_extra=_body("text/plain", "a description in JSON or TOML"),
    responses=problem_responses(InvalidTable, PayloadTooLarge),
)
async def describe_task(task: TaskName, request: Request, context: ContextDependency) -> TableDescription:
    """Say what cannot be seen in the rows that follow: types, ranges, categories, whose rows they are."""
    body = await limited_body(request, _MAX_DESCRIPTION_BYTES)
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidTable("the description is not in UTF-8", field="description") from None
    description = parse_description(text)
    if description.task != task:
        raise InvalidTable(f"is of the task {description.task}, sent to {task}", field="task")
    await to_thread.run_sync(context.tasks.describe, description)
    return description


@router.put(
    "/tasks/{task}/rows",
    openapi_extra=_body("text/csv", "rows below a header, in UTF-8"),
    responses=problem_responses(InvalidTable, PayloadTooLarge),
)
async def give_rows(
    task: TaskName,
    request: Request,
    context: ContextDependency,
    label: Annotated[str | None, Query(description="the column to predict, where there is no description")] = None,
) -> OwnTask:
    """Check the rows, and freeze the schema that they propose as a version of the task.

    The same rows again are the same version.
    """
    description = await to_thread.run_sync(_description, context, task, label)
    context.settings.data_dir.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".upload-", dir=context.settings.data_dir) as folder:
        table = FilePath(folder) / "rows.csv"
        with table.open("xb") as file:
            async for chunk in limited_chunks(request, context.settings.max_table_bytes):
                await to_thread.run_sync(file.write, chunk)
        return OwnTask.of(await to_thread.run_sync(context.tasks.accept, table, description))


@router.get("/tasks", responses=problem_responses())
def list_tasks(context: ContextDependency) -> OwnTaskList:
    """The newest version of every own task."""
    return OwnTaskList(tasks=[OwnTask.of(task) for task in context.tasks.tasks()])


@router.get("/tasks/{task}", responses=problem_responses(TaskNotFound))
def get_task(task: TaskName, context: ContextDependency) -> OwnTask:
    """The newest version of an own task."""
    return OwnTask.of(context.tasks.task(task))


@router.get("/configurations", responses=problem_responses())
def list_configurations() -> ConfigurationList:
    """What can be trained by name."""
    return ConfigurationList(configurations={name: load_shipped(name) for name in shipped_configurations()})


def _description(context: Context, task: str, label: str | None) -> TableDescription:
    """The one that was given, or one that names the label alone."""
    if label is not None:
        return description_of({"task": task, "label": label})
    return context.tasks.description(task)

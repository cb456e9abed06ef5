"""A provider's own tasks in a folder: the tables that were accepted, and the frozen schema that each version has.

``schemas/TASK-vN.json`` are the public tasks, ``rows/SHA256.csv`` the tables, ``accepted/TASK-vN.json`` which table and
description a version was last accepted with, ``accepted/TASK`` which version was accepted last. Nothing that a
training began with is changed under it.
"""

from __future__ import annotations

import hashlib
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from epaas_models.configuration import ModelConfiguration
from epaas_models.datasets import Dataset, Split, split
from epaas_models.fit import PUBLISHED_SPLIT
from epaas_models.tables.defaults import default_configuration
from epaas_models.tables.description import TableDescription, parse_description
from epaas_models.tables.encoding import propose_schema
from epaas_models.tables.freezing import freeze_task, frozen_tasks
from epaas_models.tables.lines import TableLimits
from epaas_models.tables.reading import read_table
from epaas_models.whole_files import write_atomically
from epaas_shared.errors import ConfigurationError, Fault, InvalidTable, TaskNotFound
from epaas_shared.schema import InputSchema


class OwnData(BaseModel):
    """Everything that makes an own data set and its schema again: what a training is pinned to."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: Path
    """The accepted table, by its digest."""
    description: TableDescription
    input_schema: InputSchema

    def dataset(self) -> Dataset:
        """The rows as they were accepted. Raises :class:`ConfigurationError` if they are gone."""
        try:
            return read_table(self.rows, self.description).dataset
        except OSError as error:
            detail = f"the table of {self.input_schema.name} cannot be read: {error.strerror}"
            raise ConfigurationError(detail, field="task", hint="give the table again") from None

    def learn(self, dataset: Dataset, rows: Split) -> InputSchema:
        """A schema of the training rows of another split."""
        return propose_schema(dataset, self.description, rows)


class AcceptedTask(BaseModel):
    """A version of an own task: its data, the configuration to begin with, and what its provider should look at."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: OwnData
    configuration: ModelConfiguration
    rows: int
    warnings: tuple[Fault, ...] = ()

    @property
    def input_schema(self) -> InputSchema:
        return self.data.input_schema


@dataclass(frozen=True)
class OwnTasks:
    folder: Path

    def describe(self, description: TableDescription) -> None:
        """Keep what is said of a task's rows, for those that follow."""
        write_atomically(self._description(description.task), description.model_dump_json(indent=1).encode())

    def description(self, task: str) -> TableDescription:
        """What was said last. Raises :class:`InvalidTable` if nothing was."""
        try:
            return parse_description(self._description(task).read_text("utf-8"))
        except FileNotFoundError:
            raise InvalidTable(
                "nobody has said which column is the label", field="label", hint="name it, or describe the task first"
            ) from None

    def _description(self, task: str) -> Path:
        return self.folder / "descriptions" / f"{task}.json"

    def accept(self, table: Path, description: TableDescription, limits: TableLimits | None = None) -> AcceptedTask:
        """Check a CSV file, keep it, and freeze the schema that its training rows propose as a version of the task.

        Raises :class:`~epaas_shared.errors.InvalidTable` with all that is wrong with it.
        """
        read = read_table(table, description, limits)
        proposed = propose_schema(read.dataset, description, split(read.dataset, PUBLISHED_SPLIT))
        kept = self._keep(table)
        schema = freeze_task(self.folder / "schemas", proposed)
        accepted = AcceptedTask(
            data=OwnData(rows=kept, description=description, input_schema=schema),
            configuration=default_configuration(schema, read.dataset, schema.task, warnings=read.warnings),
            rows=len(read.dataset),
            warnings=read.warnings,
        )
        write_atomically(self._accepted(schema), accepted.model_dump_json(indent=1).encode())
        write_atomically(self.folder / "accepted" / schema.task, schema.name.encode())
        return accepted

    def _keep(self, table: Path) -> Path:
        """The rows under their digest, whole or not at all."""
        with table.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        kept = (self.folder / "rows" / f"{digest}.csv").absolute()
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            partial = kept.with_name(f".{secrets.token_hex(8)}.part")
            try:
                shutil.copyfile(table, partial)
                partial.replace(kept)
            finally:
                partial.unlink(missing_ok=True)
        return kept

    def tasks(self) -> list[AcceptedTask]:
        """Each task by name, as it was accepted last."""
        return [self.task(path.name) for path in sorted((self.folder / "accepted").glob("[!.]*")) if not path.suffix]

    def task(self, name: str) -> AcceptedTask:
        """``TASK`` as it was accepted last, or its version ``TASK/vN``. Raises :class:`TaskNotFound`."""
        frozen = frozen_tasks(self.folder / "schemas")
        last = self.folder / "accepted" / name
        if "/" not in name and name in {schema.task for schema in frozen.values()} and last.exists():
            name = last.read_text("utf-8")
        if name not in frozen or not self._accepted(frozen[name]).exists():
            raise TaskNotFound(f"there is no own task {name[:80]!r}", field="task")
        return self._read(frozen[name])

    def _accepted(self, schema: InputSchema) -> Path:
        return self.folder / "accepted" / f"{schema.task}-v{schema.version}.json"

    def _read(self, schema: InputSchema) -> AcceptedTask:
        path = self._accepted(schema)
        try:
            return AcceptedTask.model_validate_json(path.read_bytes())
        except ValidationError:
            raise ConfigurationError("the file is damaged", field=str(path), hint="give the table again") from None

"""Public tasks that were learnt from own data, frozen: a folder with a JSON document for each version of each task.

A version is never written again. What is the same as an earlier version is that version, whoever proposes it.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

from pydantic import ValidationError

from epaas_shared.errors import ConfigurationError
from epaas_shared.schema import InputSchema


def freeze_task(folder: Path, schema: InputSchema) -> InputSchema:
    """The schema under the version that it has in the folder: an earlier one with the same digest, or the next.

    Writes ``TASK-vN.json`` if it is a new one; two processes that freeze at once get two versions. The folder is made
    if there is none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    while True:
        versions = [found for found in frozen_tasks(folder).values() if found.task == schema.task]
        for earlier in versions:
            if schema.model_copy(update={"version": earlier.version}).digest == earlier.digest:
                return earlier
        following = max((found.version for found in versions), default=0) + 1
        frozen = schema.model_copy(update={"version": following})
        if _written(folder / f"{frozen.task}-v{following}.json", frozen):
            return frozen


def frozen_tasks(folder: Path) -> dict[str, InputSchema]:
    """The schemas of a folder by name (``task/vN``); none if there is no folder.

    Raises :class:`ConfigurationError` naming a file that has none, or that of another name.
    """
    schemas = {}
    for path in sorted(folder.glob("*-v*.json")):
        try:
            schema = InputSchema.model_validate_json(path.read_text("utf-8"))
        except (ValidationError, UnicodeDecodeError):
            schema = None
        if schema is None or path.name != f"{schema.task}-v{schema.version}.json":
            raise ConfigurationError(
                "the file is no frozen task of its name", field=str(path), hint="put back the file as it was written"
            )
        schemas[schema.name] = schema
    return schemas


def _written(path: Path, schema: InputSchema) -> bool:
    """Whether the whole file could be put where there was none."""
    text = json.dumps(schema.model_dump(mode="json"), indent=1, ensure_ascii=False) + "\n"
    descriptor, partial = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        Path(partial).chmod(0o644)  # a task is public
        path.hardlink_to(partial)
    except FileExistsError:
        return False
    finally:
        Path(partial).unlink()
    return True

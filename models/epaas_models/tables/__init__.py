"""A provider's own tables: read, checked, and encoded as a public task.

What is here needs no torch, so that a service can check a table at once; ``defaults`` configures a first model.
"""

from __future__ import annotations

from epaas_models.tables.description import ColumnDescription, TableDescription, description_of, parse_description
from epaas_models.tables.encoding import propose_schema
from epaas_models.tables.freezing import freeze_task, frozen_tasks
from epaas_models.tables.lines import TableLimits
from epaas_models.tables.reading import Table, read_table

__all__ = [
    "ColumnDescription",
    "Table",
    "TableDescription",
    "TableLimits",
    "description_of",
    "freeze_task",
    "frozen_tasks",
    "parse_description",
    "propose_schema",
    "read_table",
]

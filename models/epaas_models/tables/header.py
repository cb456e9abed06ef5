"""The header of a table beside what its provider says of it. Knows no rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from epaas_models.tables.columns import real
from epaas_models.tables.description import TableDescription
from epaas_models.tables.faults import Faults
from epaas_models.tables.lines import TableLimits

_SHOWN = 20


def check_header(header: Sequence[str], description: TableDescription, limits: TableLimits, faults: Faults) -> None:
    """Raises :class:`~epaas_shared.errors.InvalidTable` if names are missing, given twice or unknown."""
    if len(header) > limits.columns:
        detail = f"the table has {len(header):,} columns, more than the {limits.columns:,} that are allowed"
        faults.add("columns", detail, "give fewer columns, or let the operator raise EPAAS_TABLE_COLUMNS", line=1)
    if all(real(name) is not None for name in header):
        faults.add(
            "header", "the first line has numbers only", "give the names of the columns in the first line", line=1
        )
    for place, name in enumerate(header, 1):
        if not name:
            faults.add("header", f"column {place} has no name", f"name column {place} in the first line", line=1)
    for name, count in Counter(header).items():
        if name and count > 1:
            hint = "give each column a name of its own, or remove the copies"
            faults.add(name, f"{count} columns have this name", hint, line=1)
    _check_names(header, description, faults)
    faults.check()
    features = [
        name
        for name in header
        if name not in (description.label, description.group) and description.column(name).type != "ignore"
    ]
    if not features:
        hint = "give columns to predict from; if the delimiter is an unusual one, say which in `delimiter`"
        faults.stop("columns", "there is no column beside the label", hint, line=1)


def _check_names(header: Sequence[str], description: TableDescription, faults: Faults) -> None:
    """Names in the description that the header does not have."""
    more = ", …" if len(header) > _SHOWN else ""
    hint = f"the columns are {', '.join(header[:_SHOWN])}{more}"
    named = [("label", description.label), ("group", description.group)]
    named += [(f"columns.{name}", name) for name in description.columns]
    named += [(f"subgroups[{place}]", name) for place, name in enumerate(description.subgroups)]
    for entry, name in named:
        if name is not None and name not in header:
            faults.add(entry, f"the table has no column {name!r}", hint)

"""The table of claims: what the thesis says, what came out here, and whether the ordering holds.

Made from logs alone; trains nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict

from epaas_models.experiments.claims import Claim, Judged, judge
from epaas_models.experiments.logs import Logs

_COLUMNS = ("section", "claim", "data", "seeds", "thesis", "measured", "holds")


def judged(claims: Iterable[Claim], logs: Logs) -> list[Judged]:
    """The rows, in the order of the claims. Raises LookupError where a log is missing or stale."""
    return [judge(claim, logs) for claim in claims]


def as_markdown(rows: Sequence[Judged]) -> str:
    """A table with a line a claim, and how many of them hold."""
    lines = [" | ".join(_COLUMNS), " | ".join("---" for _ in _COLUMNS)]
    for row in rows:
        cells = {**asdict(row), "holds": "yes" if row.holds else "**no**"}
        lines.append(" | ".join(str(cells[column]).replace("|", "\\|") for column in _COLUMNS))
    table = "".join(f"| {line} |\n" for line in lines)
    return f"{table}\n{sum(row.holds for row in rows)} of {len(rows)} claims hold.\n"


def as_json(rows: Sequence[Judged]) -> str:
    """One line: ``{"claims": [...]}``."""
    return json.dumps({"claims": [asdict(row) for row in rows]}, ensure_ascii=False, allow_nan=False)

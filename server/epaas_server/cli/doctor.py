"""``epaas-server doctor``: what is wrong with an installation, and how to mend it."""

from __future__ import annotations

import json
import os
import sys
from functools import partial
from typing import TYPE_CHECKING

import typer

from epaas_server.cli.output import DataDir, Json, settings_of

if TYPE_CHECKING:
    from epaas_server.doctor.examination import Result

app = typer.Typer()

EXIT_CODE = 3
"""Where there are errors, as where a setting is wrong."""


@app.command()
def doctor(data_dir: DataDir = None, as_json: Json = False) -> None:
    """Look for what is wrong with this installation, and say how to mend it. Changes nothing.

    Run it on each machine, as the user of the service and with its environment. The exit code is 3 where there are
    errors, 0 where there are none; warnings do not count.

    Example: epaas-server doctor --data-dir ./data
    """
    from epaas_server.doctor.examination import examine, worst
    from epaas_server.doctor.patient import Verdict

    results: list[Result] = []
    for result in examine(partial(settings_of, data_dir=data_dir), os.environ):
        results.append(result)
        if not as_json:
            _tell(result)
    verdict = worst(results)
    if as_json:
        document = {"verdict": verdict.value, "checks": [result.document() for result in results]}
        sys.stdout.write(json.dumps(document) + "\n")
    else:
        numbers = [sum(each.finding.verdict is kind for each in results) for kind in (Verdict.ERROR, Verdict.WARNING)]
        sys.stdout.write(f"{numbers[0]} errors, {numbers[1]} warnings\n")
    if verdict is Verdict.ERROR:
        sys.exit(EXIT_CODE)


def _tell(result: Result) -> None:
    finding = result.finding
    sys.stdout.write(f"{finding.verdict.value:8} {result.check:12} {finding.detail}\n")
    if finding.remedy is not None:
        sys.stdout.write(f"{'':21} → {finding.remedy}\n")
    sys.stdout.flush()

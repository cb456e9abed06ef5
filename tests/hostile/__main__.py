"""``python -m tests.hostile``: malformed requests by a seed, and a report. It fails where a promise was broken."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

from epaas_client.crypto import generate_keys
from tests.conftest import ClientKeys
from tests.hostile.siege import besieged, try_damaged_keys
from tests.postgresql import SHARED

_MOST_GROWTH_MEGABYTES = 60.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--requests", type=int, default=5000)
    parser.add_argument("--keys", type=int, default=20, help="whole damaged evaluation keys, tried by a worker's child")
    parser.add_argument("--report", type=Path)
    arguments = parser.parse_args()
    try:
        passed = _besiege(arguments)
    finally:
        SHARED.remove()
    sys.exit(0 if passed else 1)


def _besiege(arguments: argparse.Namespace) -> bool:
    keys = ClientKeys(*generate_keys())
    with (
        tempfile.TemporaryDirectory(prefix="epaas-hostile-") as folder,
        besieged(Path(folder), keys, arguments.seed, workers="1" if arguments.keys else "0") as (barrage, tenant),
    ):
        report = barrage.run(arguments.requests)
        random = Random(arguments.seed)
        tried = Counter(try_damaged_keys(tenant, keys, random) for _ in range(arguments.keys))
        report["damaged_keys"] = dict(tried)
        if arguments.keys:  # and whoever behaves is served as before
            tenant.have_keys(keys)
            tenant.finished(barrage.ammunition.record)
        unexpected = tenant.office.server.events("unexpected error")
        report["unexpected"] = sorted({str(event["exception"]).strip().splitlines()[-1] for event in unexpected})
        report["passed"] = _passed(report)
        text = json.dumps(report, indent=1)
        if arguments.report is not None:
            arguments.report.write_text(text + "\n")
        print(text, flush=True)  # noqa: T201
    return bool(report["passed"])


def _passed(report: dict[str, Any]) -> bool:
    memory = report["resident_megabytes"]
    return not (
        report["server_errors"]
        or report["errors_without_a_problem_document"]
        or report["requests_without_an_answer"]
        or report["unexpected"]
        or memory["at_the_end"] - memory["after_a_tenth"] > _MOST_GROWTH_MEGABYTES
        or report["files"]["at_the_end"] != report["files"]["after_a_tenth"]
    )


if __name__ == "__main__":
    main()

"""``python -m tests.faults``: kills at random moments by a seed, and a report. It fails where a promise was broken."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from tests.faults.harness import Plan, run


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--engine", choices=("local", "ray"), default="local")
    parser.add_argument("--gap", type=float, default=Plan.gap, help="mean seconds between kills")
    parser.add_argument("--customers", type=int, default=Plan.customers)
    parser.add_argument("--report", type=Path, required=True)
    arguments = parser.parse_args()
    plan = Plan(
        seed=arguments.seed,
        kills=arguments.kills,
        database=arguments.database,
        engine=arguments.engine,
        gap=arguments.gap,
        customers=arguments.customers,
    )
    report = run(plan, say=lambda text: print(text, file=sys.stderr, flush=True))  # noqa: T201
    arguments.report.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps({name: value for name, value in report.items() if name != "details"}))  # noqa: T201
    sys.exit(0 if report["passed"] else 1)


if __name__ == "__main__":
    main()

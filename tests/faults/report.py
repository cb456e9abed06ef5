"""The document about a run: what was killed and asked, what became of it, and whether that is what is promised."""

from __future__ import annotations

import itertools
import statistics
from collections import Counter
from typing import Any

from epaas_models.machine import machine
from tests.faults.killer import Kind
from tests.faults.leftovers import Rows
from tests.faults.stream import Stream


def document(
    stream: Stream,
    kills: list[tuple[float, Kind]],
    recoveries: list[float],
    found: Rows,
    swept: tuple[list[str], list[str]],
    processes: list[str],
    lost_versions: list[str],
    refusals: Counter[str],
    unclear: list[str],
    **about: Any,
) -> dict[str, Any]:
    """``swept``: files that nothing names before and after a sweep; ``lost_versions``: acknowledged, and not there."""
    asked = stream.asked
    lost = [each.key for each in asked if each.state != "succeeded" or not each.results]
    doubled = [each.key for each in asked if len(each.ids) > 1 or len(each.results) > 1]
    extra_rows = found.predictions - len(asked)
    wrong = [each.key for each in asked if each.right is False]
    seconds = sorted(each.seconds for each in asked if each.right is not None)
    moments = sorted(stream.successes)
    gaps = [later - earlier for earlier, later in itertools.pairwise(moments)]
    before, after = swept
    verdict = {
        "lost": len(lost) + len(lost_versions),
        "doubled": len(doubled) + max(0, extra_rows) + abs(found.counted - found.succeeded),
        "wrong": len(wrong),
        "unclear": len(unclear),
        "left": found.unfinished + len(after) + len(processes),
        "failures": len(stream.failures),
    }
    return {
        **about,
        "machine": machine(),
        "passed": not any(verdict.values()) and bool(asked),
        **verdict,
        "kills": {"all": len(kills), **Counter(kind.value for _, kind in kills)},
        "predictions": {
            "asked": len(asked),
            "succeeded": sum(each.state == "succeeded" for each in asked),
            "equal_to_the_plain_network": sum(each.right is True for each in asked),
            "attempts": {str(number): count for number, count in sorted(Counter(a.attempts for a in asked).items())},
            "seconds_median": round(statistics.median(seconds), 2) if seconds else None,
            "seconds_longest": round(seconds[-1], 2) if seconds else None,
        },
        "versions_published": {model: len(digests) for model, digests in stream.published.items()},
        "recovery": {
            "seconds_median": round(statistics.median(recoveries), 2) if recoveries else None,
            "seconds_longest": round(max(recoveries), 2) if recoveries else None,
            "longest_without_a_result": round(max(gaps), 2) if gaps else None,
        },
        "refusals": dict(refusals.most_common()),
        "leftovers": {
            "unfinished_rows": found.unfinished,
            "running_without_lease": found.without_lease,
            "unnamed_files_before_a_sweep": len(before),
            "unnamed_files": after[:20],
            "processes": processes,
        },
        "details": {
            "lost": lost[:20],
            "lost_versions": lost_versions[:20],
            "doubled": doubled[:20],
            "wrong": wrong[:20],
            "unclear": unclear[:20],
            "failures": stream.failures[:20],
        },
    }

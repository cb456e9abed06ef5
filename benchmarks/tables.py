"""The tables of docs/benchmarks.md, from the results: each replaces what is between its marks, where they are."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any

from workbench import RESULTS

DOCUMENT = RESULTS.parent / "benchmarks.md"
_SHOWN_INPUTS = (8, 64, 256, 784, 1024)
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
TARGETS = {
    "reduce-tree / accumulate, seconds": 50,
    "reduce-tree-gates / reduce-tree, seconds": 2,
    "reduce-tree / reduce-tree+1, bootstraps": 1.6,
    "sorting-network / sorting-network+1, bootstraps": 1.6,
}


def write_tables() -> None:
    """Bring the document up to the results that there are."""
    text = DOCUMENT.read_text()
    for name, tables in _TABLES.items():
        file = RESULTS / f"{name}.json"
        if file.exists():
            for mark, lines in tables(json.loads(file.read_text())).items():
                before, mark_found, after = text.partition(f"<!-- {mark} -->\n")
                if mark_found:
                    _, end, after = after.partition("<!-- end -->")
                    text = before + mark_found + "\n".join(lines) + "\n" + end + after
    DOCUMENT.write_text(text)


def _circuits(result: dict[str, Any]) -> dict[str, list[str]]:
    return {
        "machine": [f"{result['machine']['processor']}, one thread and two."],
        "neurons": _table(
            ("circuit", "threads", *(f"{n:,} bits" for n in _SHOWN_INPUTS)), _neurons(result["circuits"])
        ),
        "counts": _table(("circuit", "bootstraps", "depth", "bootstraps with +1"), _counts(result["circuits"])),
        "ratios": _table(
            ("with 784 inputs", "ratio", "target", ""),
            (
                (name, f"{found['ratio']:.2f}", f"{TARGETS[name]}" if name in TARGETS else "", _how(found, name))
                for name, found in result["ratios"].items()
            ),
        ),
        "layers": _table(
            (
                "layer of 64",
                "threads",
                "seconds",
                "bootstraps",
                "fixed cost",
                "levelled sums",
                "wire forms",
                "not bootstraps",
            ),
            _layers(result["layer64"]),
        ),
        "fixed": _table(("threads", "keyset", "bootstrap keys", "fixed cost of a call"), _fixed(result["fixed_cost"])),
        "approximate": _table(
            ("sums times", "inputs", "neurons", "mean", "standard deviation", "by the noise model"),
            (
                (
                    2 ** case["scale"],
                    case["inputs"],
                    f"{case['neurons']:,}",
                    case["mean"],
                    case["standard_deviation"],
                    case["standard_deviation_by_the_noise_model"],
                )
                for case in result["approximate_error"].values()
            ),
        ),
    }


def _neurons(rows: Sequence[dict[str, Any]]) -> Iterable[Sequence[object]]:
    found = {(row["strategy"], row["threads"], row["inputs"]): row for row in rows if row["neurons"] == 1}
    for strategy, threads in product(dict.fromkeys(row["strategy"] for row in rows if row["neurons"] == 1), (1, 2)):
        cells = (found.get((strategy, threads, inputs)) for inputs in _SHOWN_INPUTS)
        yield strategy, threads, *(_seconds(row) if row else "" for row in cells)


def _counts(rows: Sequence[dict[str, Any]]) -> Iterable[Sequence[object]]:
    shared = {row["strategy"]: row["bootstraps"] for row in rows if row["neurons"] > 1 and row["inputs"] == 784}
    for row in rows:
        if row["neurons"] == 1 and row["inputs"] == 784 and row["threads"] == 1:
            with_trick = shared.get(f"{row['strategy']}+1")
            yield row["strategy"], f"{row['bootstraps']:,.0f}", row["depth"], f"{with_trick:,.0f}" if with_trick else ""


def _layers(layers: dict[str, Any]) -> Iterable[Sequence[object]]:
    for strategy, layer in layers.items():
        for threads, seconds in layer["seconds"].items():
            parts = layer["parts_seconds"][threads]
            yield (
                f"{strategy}, {layer['inputs']} inputs",
                threads,
                f"{seconds:.2f}",
                *(
                    f"{parts[name]:.3f}"
                    for name in ("bootstraps", "fixed cost of calls", "levelled sums", "wire forms")
                ),
                f"{layer['share_not_bootstraps'][threads]:.1%}",
            )
        yield f"{strategy}, speed-up", "", f"{layer['speed_up']:.2f}", *[""] * 5


def _fixed(costs: Sequence[dict[str, Any]]) -> Iterable[Sequence[object]]:
    for cost in costs:
        own = cost["fourier_megabytes_of_its_own_keys"]
        yield cost["threads"], "the client's", f"{cost['fourier_megabytes']} MB", f"{cost['gate_seconds']:.3f} s"
        yield cost["threads"], "a gate's own", f"{own} MB", f"{cost['gate_seconds_with_its_own_keys_alone']:.3f} s"
        yield cost["threads"], "none, extrapolated", "0 MB", f"{cost['seconds_without_keys_extrapolated']:.3f} s"


def _networks(result: dict[str, Any]) -> dict[str, list[str]]:
    rows = {(row["task"], row["label"], row["parallelism"]): row for row in result["networks"]}
    lines = []
    for task, label in dict.fromkeys((task, label) for task, label, _ in rows):
        ways = [rows[task, label, parallelism] for parallelism in ("sequential", "16-way", "full")]
        head = ways[0]["head"]
        thesis = [_in_words(row["thesis_seconds"]) if row["thesis_seconds"] else "-" for row in ways]
        argmax = _seconds(head) if head["bootstraps"] else "-"
        lines.append((task, label, f"{ways[0]['bootstraps']:,}", *map(_seconds, ways), argmax, " / ".join(thesis)))
    columns = ("network", "strategy", "bootstraps", "sequential", "16-way", "full", "argmax", "thesis")
    blocks = [(label, f"{value:.3f}") for label, value in result["blocks_over_counts"].items()]
    return {
        "tasks": _table(columns, lines),
        "blocks": _table(("strategy", "measured over counted"), blocks),
        "networks machine": [f"{result['machine']['processor']}, {result['machine']['threads']} threads."],
    }


def _models(result: dict[str, Any]) -> dict[str, list[str]]:
    columns = (
        "model",
        "strategy",
        "accuracy",
        "95 %",
        "balanced",
        "thesis",
        "bootstraps",
        "seconds",
        "from, to",
        "equal",
    )
    return {"models": _table(columns, (_model(row) for row in result["models"]))}


def _model(row: dict[str, Any]) -> Sequence[object]:
    plain = "" if row["exact"] else f" (plain {row['accuracy_plain']:.4f})"
    return (
        f"`{row['name']}`",
        row["strategy"] + (", measured ranges" if row["ranges"] == "measured" else ""),
        f"{row['accuracy']:.4f}{plain}",
        " to ".join(f"{end:.4f}" for end in row["interval"]),
        f"{row['balanced_accuracy']:.4f}",
        row["thesis_accuracy"],
        f"{row['bootstraps']:,}",
        _in_words(row["seconds"]),
        ", ".join(map(_in_words, row["seconds_spread"])),
        f"{row['agree']} of {row['records']}",
    )


def _search(result: dict[str, Any]) -> dict[str, list[str]]:
    members = sorted(result["members"], key=lambda member: float(member["seconds"]))
    lines = [
        (
            f"`{member['name']}`",
            f"{member['validation_accuracy']:.4f}",
            f"{member['test_accuracy']:.4f}",
            f"{member['bootstraps']:,}",
            _in_words(member["seconds"]),
            "yes" if member["front"] else "",
        )
        for member in members
    ]
    return {"search": _table(("member", "validation", "test", "bootstraps", "by the cost model", "front"), lines)}


def _accuracy(result: dict[str, Any]) -> dict[str, list[str]]:
    columns = ("task", "network", "seeds", "accuracy", "95 %", "balanced", "AUROC", "thesis")
    lines = [
        (
            row["task"],
            row["network"],
            row["seeds"],
            f"{row['accuracy']:.4f}",
            " to ".join(f"{bound:.3f}" for bound in row["interval"] or ()),
            f"{row['balanced_accuracy']:.3f}",
            f"{row['auroc']:.3f}",
            "-" if row["thesis"] is None else f"{row['thesis']:.3f}",
        )
        for row in result["rows"]
    ]
    return {"accuracy": _table(columns, lines)}


_TABLES = {
    "circuits": _circuits,
    "networks": _networks,
    "accuracy": _accuracy,
    "models": _models,
    "search": _search,
}
"""By the results' file: its tables by their marks."""


def _how(found: dict[str, Any], name: str) -> str:
    if "bootstraps" in name:
        return "counted"
    return "measured" if found["measured"] else "extrapolated"


def _seconds(row: dict[str, Any]) -> str:
    return _in_words(row["seconds"]) if row["measured"] else f"*{_in_words(row['seconds'])}*"


def _in_words(seconds: float) -> str:
    """Two or three digits and a unit."""
    size, unit = next((size, unit) for size, unit in _UNITS if seconds >= 2 * size or size == 1)
    value = seconds / size
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f} {unit}"


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    lines = [columns, ["---"] * len(columns), *rows]
    return ["| " + " | ".join(map(str, line)) + " |" for line in lines]


if __name__ == "__main__":
    write_tables()

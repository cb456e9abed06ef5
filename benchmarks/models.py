"""The shipped models on encrypted test records: ``make bench-models``. Ends with one line of JSON.

Each model is published on one real server as its configuration says, and a real client sends it a seeded sample of the
test rows, one a job, one after the other. Every decrypted label, and the scores where there are any, is compared with
the plain integer network's. ``seconds`` is the median of what the server says it took; ``waited`` is from sending to
having the result. One record, not counted, goes before all of them.

``accuracy`` is of the integer network on all test rows. For a model whose plan is not exact that is ``accuracy_plain``,
and ``accuracy`` is what is right under the measured errors (:mod:`approximate_accuracy`).

A model without a bundle in bundles/ is trained first. After each model docs/benchmarks/models.json and the table are
written; rows of other models stay as they were. What the client decrypted goes into bundles/NAME.predictions.json,
which ``epaas-train report bundles/NAME --encrypted`` takes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from approximate_accuracy import accuracy_under_errors
from service import Answer, Service, serving
from tables import write_tables
from workbench import MACHINE, RESULTS, report

from epaas_models.configuration import ModelConfiguration, load_configuration
from epaas_models.datasets import DataSettings, load, split
from epaas_models.examples import TaskExamples
from epaas_models.fit import PUBLISHED_SPLIT
from epaas_models.reliability.agreement import (
    DecryptedPrediction,
    DecryptedPredictions,
    PredictionBytes,
    PredictionSeconds,
    sampled_rows,
)
from epaas_server.bundles import Bundle, read_bundle
from epaas_shared.bundle import MANIFEST_FILE, REPORT_FILE
from epaas_shared.report import read_report

FILE = RESULTS / "models.json"
ROOT = Path(__file__).parents[1]
BUNDLES = ROOT / "bundles"

MODELS = (
    "breast-cancer",
    "breast-cancer-fine",
    "diabetes",
    "mnist-approximate",
    "mnist-small",
    "mnist-plain",
    "mnist-focal",
    "mnist-stable-rank",
    "mnist-fast",
    "mnist-binary",
    "mnist",
    "faces",
)
"""Configurations, the slowest last."""

THESIS = {"breast-cancer": 0.971, "diabetes": 0.549, "faces": 0.891, "mnist": 0.986}
"""Table 8.3, binary networks, by task."""


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--only", nargs="*", default=list(MODELS), choices=MODELS)
    options.add_argument("--records", type=int, default=20, help="test records a model")
    options.add_argument("--faces-records", type=int, default=2, help="test records of faces, which take minutes each")
    options.add_argument("--output", type=Path, default=FILE, help="results; of another file no table is made")
    chosen = options.parse_args()
    configurations = [load_configuration(name) for name in MODELS if name in chosen.only]
    for configuration in configurations:
        ensure_bundle(configuration.name)
    result: dict[str, Any] = {}
    with serving() as service:
        for number, configuration in enumerate(configurations):
            records = chosen.faces_records if configuration.name == "faces" else chosen.records
            row = measure(service, configuration, records, warm_up=number == 0)
            result = write(row, chosen.output)
    print(json.dumps(result))
    wrong = [
        f"{row['name']}: test rows {', '.join(map(str, row['disagreements']))}"
        for row in result["models"]
        if row["name"] in chosen.only and row["exact"] and row["disagreements"]
    ]
    if wrong:
        sys.exit("encrypted predictions of exact models that differ from the plain ones: " + "; ".join(wrong))


def ensure_bundle(name: str) -> None:
    """Train a model that has not been."""
    if not (BUNDLES / name / MANIFEST_FILE).exists():
        report(f"{name}: training")
        train = Path(sys.executable).with_name("epaas-train")
        # from the root, into its bundles/ without being told: the manifest holds the command, and no paths of a machine
        subprocess.run([train, "fit", name, "--json"], cwd=ROOT, check=True, stdout=sys.stderr)


def measure(service: Service, configuration: ModelConfiguration, records: int, *, warm_up: bool) -> dict[str, Any]:
    """The row of one model."""
    folder = BUNDLES / configuration.name
    bundle = read_bundle(folder)
    if ModelConfiguration.model_validate(bundle.manifest.provenance.configuration) != configuration:
        report(f"{configuration.name}: the configuration has changed since bundles/{configuration.name} was trained")
    dataset = load(configuration.task, DataSettings())
    test_rows = split(dataset, PUBLISHED_SPLIT).test
    model, plan = service.publish(
        folder, configuration.strategies, trust_measured_ranges=configuration.trust_measured_ranges
    )
    sample = sampled_rows(test_rows, records, seed=0)
    if warm_up:
        service.predict(model, dataset.record(int(sample[0])))
    answers, disagreements, right = [], [], 0
    for row in sample.tolist():
        record = dataset.record(row)
        answer = service.predict(model, record)
        answers.append(answer)
        truth = int(dataset.labels[row])
        right += answer.label.index == truth
        agrees = equals_plain(answer, bundle, record)
        if not agrees:
            disagreements.append(row)
        report(
            f"{configuration.name} {len(answers)}/{len(sample)}: {answer.evaluation_seconds:.2f} s, "
            f"{answer.label.label}, truth {dataset.classes[truth]}" + ("" if agrees else f"; row {row} DIFFERS")
        )
    truths = [dataset.classes[label] for label in dataset.labels[sample]]
    predictions = decrypted(answers, truths, bundle)
    (BUNDLES / f"{configuration.name}.predictions.json").write_text(predictions.model_dump_json(indent=1) + "\n")
    if plan.exact:
        accuracies = plain_accuracy(bundle)
    else:
        test = TaskExamples(dataset, test_rows, bundle.schema)
        plain = plain_accuracy(bundle)
        accuracies = {
            **accuracy_under_errors(bundle, plan, test.bits, test.labels),
            "accuracy_plain": plain["accuracy"],
            "interval_plain": plain["interval"],
        }
    evaluated = [answer.evaluation_seconds for answer in answers]
    last = answers[-1]
    return {
        "task": configuration.task,
        "name": configuration.name,
        "digest": bundle.digest,
        "strategy": ", ".join(dict.fromkeys(plan.strategies)),
        "ranges": "measured" if configuration.trust_measured_ranges else "worst-case",
        "exact": plan.exact,
        "output": bundle.manifest.output,
        **accuracies,
        "test_rows": len(test_rows),
        "seconds": round(statistics.median(evaluated), 3),
        "seconds_spread": [round(min(evaluated), 3), round(max(evaluated), 3)],
        "waited_seconds": round(statistics.median(answer.waited for answer in answers), 3),
        "waited_spread": [
            round(min(answer.waited for answer in answers), 3),
            round(max(answer.waited for answer in answers), 3),
        ],
        "bootstraps": last.prediction.progress.total,
        "records": len(answers),
        "agree": len(answers) - len(disagreements),
        "right": right,
        "disagreements": disagreements,
        "record_bytes": last.record_bytes,
        "result_bytes": last.result_bytes,
        "thesis_accuracy": THESIS[configuration.task],
        "processor": MACHINE["processor"],
        "threads": last.prediction.threads,
    }


def decrypted(answers: list[Answer], truths: list[str], bundle: Bundle) -> DecryptedPredictions:
    """What ``epaas --json predict`` would have written of these answers."""
    last = answers[-1]
    return DecryptedPredictions(
        predictions=tuple(
            DecryptedPrediction(
                index=answer.label.index,
                scores=dict(zip(bundle.schema.classes, answer.label.scores, strict=True))
                if answer.label.scores is not None
                else None,
                truth=truth,
            )
            for answer, truth in zip(answers, truths, strict=True)
        ),
        model_digest=bundle.digest,
        seconds=PredictionSeconds(evaluate=sum(answer.evaluation_seconds for answer in answers)),
        bytes=PredictionBytes(record=last.record_bytes, result=last.result_bytes),
        bootstraps=sum(answer.prediction.progress.total for answer in answers),
        threads=last.prediction.threads,
    )


def equals_plain(answer: Answer, bundle: Bundle, record: dict[str, Any]) -> bool:
    """Whether a decrypted prediction is that of the plain integer network."""
    values = bundle.network.evaluate(bundle.schema.encode([record]))
    scale = bundle.network.scores
    scores = tuple(scale.score(int(level)) for level in values[0]) if scale else None
    return (answer.label.index, answer.label.scores) == (bundle.network.head.indices(values)[0], scores)


def plain_accuracy(bundle: Bundle) -> dict[str, Any]:
    """Of the integer network on all test rows, as the bundle's report has it."""
    test = read_report(bundle.files[REPORT_FILE]).accuracy
    return {
        "accuracy": test.accuracy.value,
        "interval": list(test.accuracy.interval),
        "balanced_accuracy": test.balanced_accuracy.value,
    }


def write(row: dict[str, Any], file: Path) -> dict[str, Any]:
    """Put a model's row into the file, beside those of the others, and give what is there then."""
    rows = {kept["name"]: kept for kept in json.loads(file.read_text())["models"]} if file.exists() else {}
    rows[row["name"]] = row
    result = {"benchmark": "models", "machine": MACHINE, "models": [rows[name] for name in MODELS if name in rows]}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(result, indent=1) + "\n")
    if file == FILE:
        write_tables()
    return result


if __name__ == "__main__":
    main()

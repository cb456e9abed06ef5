"""Training of a task from its data to a bundle: the published model, and its spread over random splits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from epaas_models.bnn import BnnConfiguration, train
from epaas_models.datasets import Dataset, Split, breast_cancer, split, splits
from epaas_models.export import provenance, write_bundle
from epaas_models.report import REPORT_FORMAT, accuracy, classification_report, spread
from epaas_models.schema_learning import equal_width_schema
from epaas_shared.bundle import BundleManifest
from epaas_shared.network import Network
from epaas_shared.schema import InputSchema, shipped_schemas

CANCER_BINS = 3
CANCER_SCHEMA = "breast-cancer/v1"
PUBLISHED_SPLIT = 0
"""The split whose training rows the shipped schema's bins were learnt on, and whose test rows the report is about."""


@dataclass(frozen=True)
class Fitted:
    network: Network
    manifest: BundleManifest
    report: dict[str, Any]


def cancer_schema(dataset: Dataset, rows: Split) -> InputSchema:
    """The thesis's encoding of Cancer, learnt on the training rows: 30 features in 3 equal-width bins, 90 bits."""
    return equal_width_schema(dataset, rows, bins=CANCER_BINS, title="Breast tumour, from 30 measurements of its cells")


def fit_split(
    dataset: Dataset, rows: Split, configuration: BnnConfiguration, seed: int, progress: Callable[[int], None]
) -> tuple[Network, float]:
    """A network trained on a split, with bins learnt on its training rows alone, and its test accuracy."""
    schema = cancer_schema(dataset, rows)
    bits = schema.encode_numbers(dataset.values)
    network = train(bits[rows.training], dataset.labels[rows.training], configuration, seed, progress)
    return network, accuracy(network, bits[rows.test], dataset.labels[rows.test])


def fit_breast_cancer(
    output: Path,
    configuration: BnnConfiguration,
    *,
    seed: int,
    evaluation_splits: int,
    command: str,
    progress: Callable[[str, int, int], None],
) -> Fitted:
    """Train, report and export Cancer. ``progress`` gets what is being done, how far it is and of how much."""
    dataset = breast_cancer()
    rows = split(dataset, PUBLISHED_SPLIT)
    schema = shipped_schemas()[CANCER_SCHEMA]
    bits = schema.encode_numbers(dataset.values)

    def step(number: int) -> None:
        progress("train", number + 1, configuration.steps)

    network = train(bits[rows.training], dataset.labels[rows.training], configuration, seed, step)
    accuracies = []
    for number, other in enumerate(splits(dataset, evaluation_splits)):
        _, test_accuracy = fit_split(dataset, other, configuration, other.seed, lambda _: None)
        accuracies.append(test_accuracy)
        progress("evaluate splits", number + 1, evaluation_splits)

    report = {
        "format": REPORT_FORMAT,
        "task": schema.name,
        "data": {"source": dataset.source, "digest": dataset.digest, "split": rows.describe()},
        "test": classification_report(
            network, bits[rows.test], dataset.labels[rows.test], dataset.labels[rows.training], dataset.classes
        ),
        "random_splits": spread(accuracies) if accuracies else None,
        "limits": [
            "Accuracy alone: calibration, robustness and encrypted cost are not reported yet.",
            "569 tumours of one hospital; nothing is known of other instruments or populations.",
            "The answer is a label without a confidence.",
        ],
    }
    manifest = write_bundle(
        output,
        name=dataset.name,
        title="Breast tumour, malignant or benign",
        network=network,
        schema=schema,
        report=report,
        calibration=bits[rows.training],
        provenance=provenance(
            command=command,
            seed=seed,
            data=dataset.source,
            data_digest=dataset.digest,
            split=rows.describe(),
            configuration=asdict(configuration),
        ),
    )
    return Fitted(network, manifest, report)

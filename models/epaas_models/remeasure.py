"""Reports of models that are trained already: measured again, or with encrypted predictions added.

A bundle says what it was made of: its configuration, the digest of its data, its split.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from epaas_models.confidence import class_sums
from epaas_models.configuration import ModelConfiguration
from epaas_models.datasets import Dataset, DataSettings, load, split
from epaas_models.fit import PUBLISHED_SPLIT
from epaas_models.machine import machine
from epaas_models.reliability.agreement import compare, read_predictions, sampled_rows
from epaas_models.reliability.evidence import Evidence
from epaas_models.reliability.measure import Thoroughness, measure_report
from epaas_models.reliability.subject import Subject
from epaas_shared.bundle import REPORT_FILE, WEIGHTS_FILE
from epaas_shared.bundle_folder import Bundle
from epaas_shared.errors import ConfigurationError, InvalidBundle
from epaas_shared.report import Report, read_report
from epaas_shared.report.agreement import Agreement

Progress = Callable[[str, int, int], None]

_LOGITS = 2.0
"""Deviation of the logits of a network that does not say what its unit is; that which training begins with."""


def measure_again(bundle: Bundle, *, thoroughness: Thoroughness, seed: int, command: str, progress: Progress) -> Report:
    """The report of a bundle on its own data. What only a training or a server can tell is kept of the old report.

    Raises :class:`InvalidBundle` where the data at hand are not those that the bundle was made of.
    """
    configuration, dataset = _origin(bundle, progress)
    evidence = Evidence.of(dataset, bundle.schema, split(dataset, PUBLISHED_SPLIT), configuration.validation_share)
    unit = bundle.manifest.logit_unit
    if unit is None:
        unit = float(np.std(class_sums(bundle.network, evidence.fitting.bits))) / _LOGITS
    kept = _kept(bundle)
    return measure_report(
        Subject(bundle.network, bundle.schema, unit),
        evidence,
        configuration,
        weights=bundle.manifest.files[WEIGHTS_FILE],
        agreement=kept.agreement if kept else Agreement(torch=None, encrypted=None),
        random_splits=kept.accuracy.random_splits if kept else None,
        thoroughness=thoroughness,
        seed=seed,
        command=command,
        progress=progress,
    )


def sample_records(bundle: Bundle, records: int, *, seed: int, progress: Progress) -> list[dict[str, Any]]:
    """Test records of the bundle's task with their true labels, as a client would hold them."""
    _, dataset = _origin(bundle, progress)
    rows = sampled_rows(split(dataset, PUBLISHED_SPLIT).test, records, seed)
    return [{**dataset.record(row), dataset.target: dataset.classes[dataset.labels[row]]} for row in rows.tolist()]


def add_encrypted(bundle: Bundle, predictions: Path, *, seed: int, progress: Progress) -> Report:
    """The bundle's report with what a client decrypted for :func:`sample_records` of the same seed.

    Raises :class:`InvalidInput` where the predictions are of another bundle or of other records.
    """
    report, found = read_report(bundle.files[REPORT_FILE]), read_predictions(predictions)
    records = sample_records(bundle, len(found.predictions), seed=seed, progress=progress)
    truth = tuple(str(record.pop(bundle.schema.target)) for record in records)
    encrypted = compare(found, bundle, bundle.schema.encode(records), truth, machine())
    agreement = report.agreement.model_copy(update={"encrypted": encrypted})
    return report.model_copy(update={"agreement": agreement})


def _origin(bundle: Bundle, progress: Progress) -> tuple[ModelConfiguration, Dataset]:
    """The configuration and the data that a bundle was made of."""
    provenance = bundle.manifest.provenance
    try:
        configuration = ModelConfiguration.model_validate(provenance.configuration)
    except ValueError:
        raise InvalidBundle(
            "is not a configuration of this release", field="provenance.configuration", hint="train the model again"
        ) from None
    dataset = load(configuration.task, DataSettings(), progress)
    if dataset.digest != provenance.data_digest:
        raise ConfigurationError(
            f"the data at hand have the digest {dataset.digest[:12]}, the model was trained on"
            f" {provenance.data_digest[:12]}",
            field=configuration.task,
            hint="give the data that the model was trained on, or train it again",
        )
    return configuration, dataset


def _kept(bundle: Bundle) -> Report | None:
    """The report that the bundle has, if it is of this format and on these weights."""
    try:
        report = read_report(bundle.files[REPORT_FILE])
    except InvalidBundle:
        return None
    return report if report.weights == bundle.manifest.files[WEIGHTS_FILE] else None

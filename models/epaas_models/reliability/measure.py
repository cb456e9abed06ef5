"""The whole report of a model: every chapter, from the same rows, and how it was made."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TypeVar

from epaas_models.configuration import ModelConfiguration
from epaas_models.machine import machine
from epaas_models.reliability.accuracy.baselines import logistic_baseline
from epaas_models.reliability.accuracy.chapter import measure_accuracy
from epaas_models.reliability.accuracy.subgroups import measure_subgroups
from epaas_models.reliability.calibration.chapter import measure_calibration
from epaas_models.reliability.evidence import Evidence
from epaas_models.reliability.generalisation.chapter import measure_generalisation
from epaas_models.reliability.robustness.chapter import Thoroughness, measure_robustness
from epaas_models.reliability.subject import Subject
from epaas_shared.digest import Digest
from epaas_shared.report import Report
from epaas_shared.report.accuracy import Accuracy, Spread
from epaas_shared.report.agreement import Agreement
from epaas_shared.report.document import Claim, Data, Making

__all__ = ["Thoroughness", "measure_report"]

Progress = Callable[[str, int, int], None]
_Chapter = TypeVar("_Chapter")

_RESAMPLES = {"quick": 200, "full": 1000}
_SENSITIVITY_ROWS = {"quick": 50, "full": 1000}
_PACKAGES = ("epaas", "foolbox", "numpy", "pyautoattack", "scikit-learn", "scipy", "torch")
_CHAPTERS = ("accuracy", "calibration", "robustness", "generalisation")


def measure_report(
    subject: Subject,
    evidence: Evidence,
    configuration: ModelConfiguration,
    *,
    weights: Digest,
    agreement: Agreement,
    random_splits: Spread | None,
    thoroughness: Thoroughness,
    seed: int,
    command: str,
    progress: Progress,
) -> Report:
    """The report of a network on the rows that it was not trained on. Deterministic given ``seed``, but for times."""
    seconds: dict[str, float] = {}

    def chapter(name: str, measure: Callable[[], _Chapter]) -> _Chapter:
        progress("report", len(seconds), len(_CHAPTERS))
        begun = time.monotonic()
        found = measure()
        seconds[name] = round(time.monotonic() - begun, 2)
        return found

    test, fitting, resamples = evidence.test, evidence.fitting, _RESAMPLES[thoroughness]
    calibration = chapter(
        "calibration",
        lambda: measure_calibration(
            subject,
            evidence.validation.bits,
            evidence.validation.labels,
            test.bits,
            test.labels,
            seed=seed,
            resamples=resamples,
        ),
    )
    accuracy = chapter(
        "accuracy",
        lambda: measure_accuracy(
            subject,
            test.bits,
            test.labels,
            fitting.labels,
            baselines=[
                logistic_baseline(
                    evidence.schema, fitting.columns, fitting.labels, test.columns, test.labels, seed=seed
                )
            ],
            subgroups=measure_subgroups(
                subject,
                {name: evidence.dataset.columns[name][evidence.split.test] for name in evidence.dataset.subgroups},
                test.bits,
                test.labels,
                evidence.dataset.subgroups,
                calibration=calibration,
                seed=seed,
                resamples=resamples,
            ),
            random_splits=random_splits,
            seed=seed,
            resamples=resamples,
        ),
    )
    robustness = chapter(
        "robustness",
        lambda: measure_robustness(subject, evidence, thoroughness=thoroughness, seed=seed, progress=progress),
    )
    generalisation = chapter(
        "generalisation",
        lambda: measure_generalisation(
            subject,
            fitting.bits,
            fitting.labels,
            test.bits,
            test.labels,
            columns_test=test.columns,
            rows=_SENSITIVITY_ROWS[thoroughness],
            seed=seed,
            progress=progress,
        ),
    )
    progress("report", len(seconds), len(_CHAPTERS))
    return Report(
        model=configuration.name,
        title=configuration.title,
        task=evidence.schema.name,
        classes=evidence.schema.classes,
        weights=weights,
        intended_use=configuration.intended_use,
        limits=configuration.limits,
        data=Data(
            source=evidence.dataset.source,
            digest=evidence.dataset.digest,
            split=evidence.split.describe(),
            training_rows=len(fitting),
            validation_rows=len(evidence.validation),
            test_rows=len(test),
        ),
        accuracy=accuracy,
        calibration=calibration,
        robustness=robustness,
        generalisation=generalisation,
        agreement=agreement,
        claims=claims(configuration, accuracy),
        made=Making(
            command=command,
            seed=seed,
            thoroughness=thoroughness,
            versions={"python": platform.python_version(), **{package: version(package) for package in _PACKAGES}},
            seconds=seconds,
            machine=machine(),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        ),
    )


def claims(configuration: ModelConfiguration, measured: Accuracy) -> tuple[Claim, ...]:
    """The claimed test accuracies beside the measured one; one holds if the measured interval reaches it."""
    interval = measured.accuracy.interval
    return tuple(
        Claim(
            claim="test accuracy",
            by=claim.by,
            claimed=claim.accuracy,
            measured=measured.accuracy.value,
            interval=interval,
            holds=interval[1] >= claim.accuracy,
        )
        for claim in configuration.claims
    )

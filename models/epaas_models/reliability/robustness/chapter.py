"""The chapter on robustness: which threats a task has, and one evaluation of each.

Pictures: every pixel a little (``linf-pixels``), and single bits. Tables: whole columns, and numbers a little. Owns
how much is tried of each; knows no attack.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from epaas_models.examples import TaskExamples
from epaas_models.float_network import FloatConfiguration
from epaas_models.reliability.evidence import Evidence
from epaas_models.reliability.robustness.certificates import picture_certificates
from epaas_models.reliability.robustness.changes import ChangeSettings, evaluate_changes
from epaas_models.reliability.robustness.numbers import NumberSettings, evaluate_numbers
from epaas_models.reliability.robustness.pictures import PictureSettings, Surrogate, evaluate_pictures
from epaas_models.reliability.subject import Subject
from epaas_models.teacher import teacher_folder, teacher_for
from epaas_shared.features import NumberFeature
from epaas_shared.quantities import percent
from epaas_shared.report.robustness import Robustness, ThreatEvaluation
from epaas_shared.report.words import THREATS, budget
from epaas_shared.schema import InputSchema

Thoroughness = Literal["quick", "full"]
Progress = Callable[[str, int, int], None]

_REFERENCE_ROWS = 500
"""Training rows that say how far the sums of a neuron spread."""
_HALF = 0.5
_LARGE_RECORD = 4000
"""Bits of a record from which on an attack takes so long that fewer rows must do."""


@dataclass(frozen=True)
class Effort:
    """How much is tried of each kind of threat, and which network transferred attacks are made on.

    That is another kind of network than the one attacked, of the same data.
    """

    pictures: PictureSettings
    changes: ChangeSettings
    numbers: NumberSettings
    certified_rows: int
    surrogate: FloatConfiguration

    @classmethod
    def of(cls, schema: InputSchema, thoroughness: Thoroughness) -> Effort:
        convolutional = FloatConfiguration(convolutions=((16, 2), (32, 2)), hidden=(64,), epochs=3)
        if thoroughness == "quick":
            return cls(
                PictureSettings.quick(),
                ChangeSettings(budgets=(1, 2), rows=16, candidates=16, certified=1, exhaustive=False),
                NumberSettings(rows=50),
                certified_rows=10,
                surrogate=FloatConfiguration(hidden=(32,), epochs=1),
            )
        if schema.bits > _LARGE_RECORD:
            return cls(
                PictureSettings(rows=200, thorough_rows=40, decision_rows=10),
                ChangeSettings(rows=40, exhaustive=False),
                NumberSettings(),
                certified_rows=100,
                surrogate=convolutional,
            )
        return cls(PictureSettings(), ChangeSettings(), NumberSettings(), certified_rows=500, surrogate=convolutional)


def measure_robustness(
    subject: Subject,
    evidence: Evidence,
    *,
    thoroughness: Thoroughness,
    seed: int,
    progress: Progress,
    surrogates: Path | None = None,
) -> Robustness:
    """All threats of the task, on test rows. ``surrogates`` is the folder where trained surrogates are kept."""
    with one_thread():
        return _measured(subject, evidence, Effort.of(evidence.schema, thoroughness), seed, progress, surrogates)


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch on one thread: tensors of attacks are so small that threads wait for one another longer than they work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _measured(
    subject: Subject, evidence: Evidence, effort: Effort, seed: int, progress: Progress, surrogates: Path | None
) -> Robustness:
    reference = evidence.fitting.sample(_REFERENCE_ROWS, seed).bits
    columns, labels = evidence.test.columns, evidence.test.labels
    evaluations: list[ThreatEvaluation] = []
    if evidence.picture is not None:
        pictures = evaluate_pictures(
            subject,
            columns,
            labels,
            reference_bits=reference,
            surrogate=_surrogate(evidence, effort.surrogate, seed, progress, surrogates),
            settings=effort.pictures,
            seed=seed,
            progress=progress,
        )
        certified = evidence.test.sample(effort.certified_rows, seed)
        proofs = picture_certificates(subject, certified.columns, certified.labels, pictures.threat.budgets)
        evaluations.append(pictures.model_copy(update={"certificates": proofs}))
    elif any(isinstance(feature, NumberFeature) for feature in subject.schema.features):
        evaluations.append(
            evaluate_numbers(
                subject,
                columns,
                labels,
                deviations=evidence.deviations,
                settings=effort.numbers,
                seed=seed,
                progress=progress,
            )
        )
    evaluations.append(
        evaluate_changes(
            "columns" if evidence.picture is None else "bits",
            subject,
            columns,
            labels,
            reference_bits=reference,
            settings=effort.changes,
            seed=seed,
            progress=progress,
        )
    )
    return Robustness(
        evaluations=tuple(evaluations),
        verdict=" ".join(verdict(evaluation) for evaluation in evaluations),
        warnings=tuple(warning for evaluation in evaluations for warning in _warnings(evaluation)),
    )


def _surrogate(
    evidence: Evidence, configuration: FloatConfiguration, seed: int, progress: Progress, folder: Path | None
) -> Surrogate:
    teacher = teacher_for(
        TaskExamples(evidence.dataset, evidence.fitting_rows, evidence.schema),
        len(evidence.dataset.classes),
        configuration,
        augmentation=None,
        data_digest=evidence.dataset.digest,
        rows=evidence.fitting_rows,
        seed=seed,
        folder=folder or teacher_folder(),
        progress=lambda done, total: progress("surrogate", done, total),
    )
    return Surrogate(teacher.network)


def verdict(evaluation: ThreatEvaluation) -> str:
    """The least budget that leaves less than half of the rows right, or the most tried, and whether to believe it."""
    point = next((found for found in evaluation.worst if found.accuracy.value < _HALF), evaluation.worst[-1])
    believed = "all checks of the attacks passed" if evaluation.believable else "SOME CHECKS OF THE ATTACKS FAILED"
    norm = evaluation.threat.norm
    within = budget(norm, point.budget)
    return f"{THREATS[norm]}: changes within {within} leave {percent(point.accuracy.value)} right; {believed}."


def _warnings(evaluation: ThreatEvaluation) -> list[str]:
    return [
        f"{evaluation.threat.norm}: check failed: {check.name}: {check.detail}"
        for check in evaluation.checks
        if check.subject == "evaluation" and not check.passed
    ]

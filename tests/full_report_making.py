"""A report with something in every place, of a model that does not exist: what readers of reports are tested on.

The numbers are made up to look like those of a network of digits. They need not come from one model, but they keep to
what a report promises: rows add up, shares are shares, bins go from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from pathlib import Path

from epaas_shared.bundle import MANIFEST_FILE, REPORT_FILE, WEIGHTS_FILE, BundleManifest
from epaas_shared.digest import digest_bytes
from epaas_shared.report import Report, report_bytes
from epaas_shared.report.accuracy import Accuracy, Baseline, ClassAccuracy, Spread, Subgroup
from epaas_shared.report.agreement import Agreement, EncryptedAgreement, TorchAgreement
from epaas_shared.report.calibration import Bin, BrierScore, Calibration, CalibrationMeasures
from epaas_shared.report.document import Claim, Data, Making
from epaas_shared.report.generalisation import Complexity, Distribution, Generalisation, LayerMeasures, Sensitivity
from epaas_shared.report.measures import Measure, Rate
from epaas_shared.report.robustness import (
    Attack,
    Certificate,
    Check,
    MinimalPerturbation,
    Point,
    Robustness,
    Step,
    Threat,
    ThreatEvaluation,
)
from tests.conftest import random_network, toy_schema, write_bundle

DIGITS = tuple("0123456789")
CONFUSION = (
    (968, 0, 0, 0, 0, 0, 7, 1, 4, 0),
    (0, 1124, 3, 0, 0, 1, 3, 1, 3, 0),
    (1, 0, 1020, 3, 0, 0, 0, 7, 1, 0),
    (0, 1, 2, 992, 0, 8, 0, 3, 4, 0),
    (0, 0, 1, 0, 965, 0, 3, 2, 0, 11),
    (1, 1, 0, 9, 2, 868, 4, 1, 5, 1),
    (6, 3, 0, 0, 2, 7, 938, 0, 2, 0),
    (1, 3, 8, 4, 2, 0, 0, 1004, 0, 6),
    (3, 0, 5, 13, 1, 2, 2, 3, 943, 2),
    (2, 4, 0, 10, 22, 4, 0, 6, 6, 955),
)
PIXELS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3)
ROWS = 1000


def rate(value: float, rows: int) -> Rate:
    """With Wilson's interval."""
    z = 1.959964
    middle = (value + z * z / (2 * rows)) / (1 + z * z / rows)
    reach = z * sqrt(value * (1 - value) / rows + z * z / (4 * rows * rows)) / (1 + z * z / rows)
    return Rate(value=value, interval=(max(0.0, middle - reach), min(1.0, middle + reach)), rows=rows)


def points(budgets: Sequence[float], values: Sequence[float], rows: int = ROWS) -> tuple[Point, ...]:
    clean = values[0]
    return tuple(
        Point(budget=at, accuracy=rate(value, rows), changed=round(max(0.0, clean - value), 4))
        for at, value in zip(budgets, values, strict=True)
    )


def attack(
    name: str,
    knowledge: str,
    gradient: str,
    values: Sequence[float],
    *,
    budgets: Sequence[float] = PIXELS,
    rows: int = ROWS,
    **changes: object,
) -> Attack:
    fields: dict[str, object] = {
        "name": name,
        "library": "testlib 1.0",
        "knowledge": knowledge,
        "gradient": gradient,
        "stops_at_success": True,
        "settings": {"restarts": 1, "seed": 7},
        "rows": rows,
        "points": points(budgets, values, rows),
    }
    return Attack.model_validate(fields | changes)


def distribution(middle: float, rows: int = 1000, spread: float = 1.0) -> Distribution:
    below, above = middle - spread, middle + spread
    return Distribution(
        rows=rows,
        p5=below - spread,
        p25=below,
        median=middle,
        p75=above,
        p90=above + spread / 2,
        p95=above + spread,
    )


def calibration_measures(temperature: float, error: float, gap: float) -> CalibrationMeasures:
    """Confidence ``gap`` above accuracy in each of 15 bins, most rows in the last."""
    rows = (0, 0, 4, 9, 18, 31, 44, 58, 71, 95, 130, 190, 310, 720, 8320)
    bins = tuple(
        Bin(
            low=index / 15,
            high=(index + 1) / 15,
            rows=count,
            confidence=round((index + 0.55) / 15, 4) if count else None,
            accuracy=round(min(1.0, max(0.0, (index + 0.55) / 15 - gap)), 4) if count else None,
        )
        for index, count in enumerate(rows)
    )
    measured = Measure(value=error, interval=(error - 0.002, error + 0.003))
    return CalibrationMeasures(
        temperature=temperature,
        expected_calibration_error=measured,
        null_band=(0.0016, 0.0058),
        maximum_calibration_error=0.21,
        adaptive_calibration_error=measured,
        classwise_calibration_error=Measure(value=error / 3, interval=(error / 4, error / 2)),
        negative_log_likelihood=Measure(value=0.0834, interval=(0.0761, 0.0912)),
        brier=BrierScore(value=0.0352, reliability=0.0011, resolution=0.0178, uncertainty=0.0217, within_bins=0.0302),
        overconfidence=Measure(value=gap / 10, interval=(gap / 10 - 0.002, gap / 10 + 0.002)),
        above_99=0.7423,
        top_k={"1": 0.9777, "2": 0.9931, "3": 0.9968},
        bins=bins,
        adaptive_bins=bins[-5:],
    )


def full_report() -> Report:
    """Of ten digits, 10,000 test rows and 1,000 attacked ones."""
    test_rows = sum(map(sum, CONFUSION))
    right = sum(CONFUSION[digit][digit] for digit in range(10))
    accuracy = rate(right / test_rows, test_rows)
    return Report(
        model="digits",
        title="Test digits (made up)",
        task="digits/v1",
        classes=DIGITS,
        weights="ab" * 32,
        intended_use="To try how a report is shown. The numbers are made up.",
        limits=(
            "Digits as one collection frames them; a picture of something else gets a digit as well.",
            "Whoever may change pixels can choose the answer.",
        ),
        data=Data(
            source="made up",
            digest="cd" * 32,
            split="the last 10,000 rows",
            training_rows=54000,
            validation_rows=6000,
            test_rows=test_rows,
        ),
        accuracy=Accuracy(
            accuracy=accuracy,
            balanced_accuracy=Measure(value=0.9775, interval=(0.9745, 0.9803)),
            auroc=Measure(value=0.9987, interval=(0.9982, 0.9991)),
            classes=tuple(_class(digit) for digit in range(10)),
            confusion=CONFUSION,
            baselines=(
                Baseline(name="majority class", accuracy=rate(0.1135, test_rows), balanced_accuracy=0.1, auroc=None),
                Baseline(
                    name="logistic regression", accuracy=rate(0.9255, test_rows), balanced_accuracy=0.9243, auroc=0.9921
                ),
            ),
            subgroups=(
                _subgroup("writer", "pupils", 0.9701, 5000),
                _subgroup("writer", "staff", 0.9853, 4988),
                _subgroup("writer", "unknown", 0.6667, 12),
            ),
            random_splits=Spread(splits=5, mean=0.9769, standard_deviation=0.0011, minimum=0.9751, maximum=0.9781),
        ),
        calibration=Calibration(
            seen_by_client=True,
            source="scores in 16 levels, as clients get them",
            validation_rows=6000,
            bins=15,
            temperature_by_nll=1.62,
            temperature_by_ece=1.5,
            scale=24.0,
            before=calibration_measures(1.0, 0.0142, 0.12),
            after=calibration_measures(1.62, 0.0049, 0.02),
            after_by_ece=calibration_measures(1.5, 0.0053, 0.03),
            verdict="consistent with perfect calibration",
            warnings=("2 of 15 bins have no rows and 3 fewer than 20: single bars say little.",),
        ),
        robustness=_robustness(),
        generalisation=_generalisation(accuracy),
        agreement=Agreement(
            torch=TorchAgreement(rows=test_rows, agree=test_rows),
            encrypted=EncryptedAgreement(
                rows=50,
                agree=50,
                right=49,
                model_digest="ef" * 32,
                seconds=35.2,
                bootstraps=4210,
                threads=2,
                machine="a made-up machine with 2 cores",
                record_bytes=18816,
                result_bytes=163920,
            ),
        ),
        claims=(
            Claim(
                claim="accuracy on the test rows",
                by="thesis, table 8.3",
                claimed=0.97,
                measured=accuracy.value,
                interval=accuracy.interval,
                holds=True,
            ),
            Claim(
                claim="seconds a record",
                by="configuration",
                claimed=30.0,
                measured=35.2,
                interval=(34.0, 36.1),
                holds=False,
            ),
        ),
        made=Making(
            command="epaas-train report bundles/digits --seed 7",
            seed=7,
            thoroughness="full",
            versions={"epaas": "0.2.0", "numpy": "1.26.4", "torch": "2.13.0"},
            seconds={"accuracy": 2.1, "calibration": 8.4, "robustness": 412.0, "generalisation": 61.0},
            machine="a made-up machine with 2 cores",
            created="2026-11-24T00:00:00+00:00",
        ),
    )


def write_digits(folder: Path, name: str = "digits", **changes: object) -> Report:
    """Write a bundle of a small network of ten classes with the full report, changed, and return the report."""
    schema = toy_schema().model_copy(update={"task": "digits", "classes": DIGITS})
    write_bundle(folder, random_network(schema.bits, (8, len(DIGITS)), seed=1), schema, name=name)
    manifest = BundleManifest.model_validate_json((folder / MANIFEST_FILE).read_bytes())
    report = full_report().model_copy(update={"model": name, "weights": manifest.files[WEIGHTS_FILE], **changes})
    content = report_bytes(report)
    files = {**manifest.files, REPORT_FILE: digest_bytes(content)}
    (folder / REPORT_FILE).write_bytes(content)
    (folder / MANIFEST_FILE).write_bytes(manifest.model_copy(update={"files": files, "title": report.title}).to_bytes())
    return report


def _class(digit: int) -> ClassAccuracy:
    true, predicted = sum(CONFUSION[digit]), sum(row[digit] for row in CONFUSION)
    right = CONFUSION[digit][digit]
    return ClassAccuracy(
        label=DIGITS[digit], recall=rate(right / true, true), precision=rate(right / predicted, predicted)
    )


def _subgroup(column: str, value: str, accuracy: float, rows: int) -> Subgroup:
    error = Measure(value=0.006, interval=(0.004, 0.009)) if rows > 100 else None
    return Subgroup(
        column=column,
        value=value,
        accuracy=rate(accuracy, rows),
        balanced_accuracy=accuracy - 0.001,
        majority=0.12,
        expected_calibration_error=error,
    )


def _robustness() -> Robustness:
    naive = (0.978, 0.978, 0.977, 0.976, 0.975, 0.974, 0.973, 0.97)
    straight = (0.978, 0.961, 0.934, 0.79, 0.412, 0.13, 0.021, 0.0)
    worst = (0.978, 0.958, 0.929, 0.771, 0.376, 0.098, 0.011, 0.0)
    steps = tuple(
        Step(step=step, instantaneous=round(0.978 - 0.055 * step, 3), cumulative=round(0.978 - 0.06 * step, 3))
        for step in range(11)
    )
    iterated = {"settings": {"steps": 10, "steps_budget": 0.1, "seed": 7}, "steps": steps}
    pixels = ThreatEvaluation(
        threat=Threat(
            norm="linf-pixels",
            description="Whoever sends the picture may make every pixel a little lighter or darker.",
            budgets=PIXELS,
        ),
        rows=ROWS,
        attacks=(
            attack("FGSM", "white box", "naive", naive),
            attack("Iter-FGSM", "white box", "naive", naive, **iterated),
            attack("FGSM", "white box", "straight-through", (0.978, 0.966, 0.949, 0.861, 0.62, 0.39, 0.22, 0.09)),
            attack("Iter-FGSM", "white box", "straight-through", straight, **iterated),
            attack(
                "Iter-LL-FGSM",
                "white box",
                "straight-through",
                (0.978, 0.968, 0.951, 0.852, 0.588, 0.301, 0.14, 0.02),
                goal="least likely class",
            ),
            attack(
                "AutoAttack", "white box", "straight-through", (0.978, 0.958, 0.929, 0.775, 0.385, 0.104, 0.014, 0.0)
            ),
            attack("PGD on a float network", "transfer", "surrogate", (0.978, 0.97, 0.96, 0.89, 0.7, 0.48, 0.3, 0.11)),
            attack("Square", "scores", "none", (0.978, 0.969, 0.951, 0.84, 0.55, 0.27, 0.12, 0.03)),
            attack("random pixel noise", "none", "none", (0.978, 0.977, 0.977, 0.975, 0.971, 0.966, 0.958, 0.933)),
        ),
        worst=points(PIXELS, worst),
        minimal=(
            MinimalPerturbation(
                attack="DeepFool", library="testlib 1.0", rows=978, found=0.994, median=0.081, rho=0.142
            ),
        ),
        certificates=(
            Certificate(
                name="no pixel within the budget of a threshold",
                argument="A bit changes only if its pixel crosses a threshold; where none can, nothing changes.",
                exact=False,
                points=points(PIXELS, (0.978, 0.402, 0.211, 0.052, 0.006, 0.0, 0.0, 0.0)),
            ),
        ),
        checks=(
            Check(
                name="gradients are not all zero",
                subject="naive gradients",
                passed=False,
                detail="100 % of the naive gradients are zero: what these attacks do not find says nothing.",
            ),
            Check(
                name="accuracy falls to chance at the largest budget",
                subject="evaluation",
                passed=True,
                detail="0 % at a budget of 0.3.",
            ),
            Check(
                name="iterated attacks find more than single steps",
                subject="evaluation",
                passed=True,
                detail="at every budget.",
            ),
        ),
    )
    flips = (0.0, 1.0, 2.0, 4.0, 8.0)
    bits = ThreatEvaluation(
        threat=Threat(norm="bits", description="A few bits of the encoded picture may be flipped.", budgets=flips),
        rows=200,
        attacks=(
            attack(
                "greedy bit flips",
                "white box",
                "none",
                (0.98, 0.93, 0.84, 0.5, 0.08),
                budgets=flips,
                rows=200,
                stops_at_success=False,
            ),
        ),
        worst=points(flips, (0.98, 0.93, 0.84, 0.5, 0.08), 200),
        certificates=(
            Certificate(
                name="exhaustive search",
                argument="Every single flip was tried.",
                exact=True,
                points=points(flips[:2], (0.98, 0.93), 200),
            ),
        ),
        checks=(
            Check(
                name="more flips are never weaker",
                subject="evaluation",
                passed=False,
                detail="at 2 bits the second search found less than the first.",
            ),
        ),
    )
    return Robustness(
        evaluations=(pixels, bits),
        verdict=(
            "Attacks that know the network alter half of the predictions at a tenth of the range; the checks of the "
            "flips failed, so that those numbers are too kind."
        ),
        warnings=("1,000 of 10,000 test rows were attacked.",),
    )


def _generalisation(test: Rate) -> Generalisation:
    layers = tuple(
        LayerMeasures(
            layer=index,
            kind="dense",
            shape=shape,
            spectral_norm=38.2 - 9.1 * index,
            stable_rank=14.3 + index,
            rank=min(shape),
            zero_weights=0.31,
            cushion=distribution(0.4, spread=0.05) if index else None,
            variance_ratio={"1": 0.22, "10": 0.71},
        )
        for index, shape in enumerate(((256, 784), (256, 256), (10, 256)))
    )
    return Generalisation(
        train_accuracy=rate(0.9921, 54000),
        test_accuracy=test,
        gap=0.9921 - test.value,
        train_margin=distribution(3.1, 54000),
        test_margin=distribution(2.8, 10000, 1.2),
        layers=layers,
        complexity=Complexity(spec_fro=distribution(21.4), spec_l1=distribution(24.9), jac_norm=None),
        sensitivity=Sensitivity(
            noise={"0.01": 0.0007, "0.05": 0.0161, "0.1": 0.0652},
            flips={"0.01": 0.001, "0.05": 0.012, "0.1": 0.047},
            empirical_lipschitz=distribution(0.61, spread=0.1),
            local_lipschitz=distribution(1.9, spread=0.3),
        ),
    )

"""The least report that a bundle of a test may be published with: of one row that the network got right."""

from __future__ import annotations

from epaas_shared.report import Report
from epaas_shared.report.accuracy import Accuracy, ClassAccuracy
from epaas_shared.report.agreement import Agreement
from epaas_shared.report.calibration import BrierScore, Calibration, CalibrationMeasures
from epaas_shared.report.document import Data, Making
from epaas_shared.report.generalisation import Complexity, Distribution, Generalisation, Sensitivity
from epaas_shared.report.measures import Measure, Rate
from epaas_shared.report.robustness import Robustness
from epaas_shared.schema import InputSchema

ONE = Rate(value=1.0, interval=(0.2, 1.0), rows=1)
NOTHING = Measure(value=0.0)
FLAT = Distribution(rows=1, p5=0, p25=0, median=0, p75=0, p90=0, p95=0)


def least_report(schema: InputSchema, weights: str, *, model: str = "toy", title: str = "A toy model") -> Report:
    """A valid report on the network whose weights' file has this digest."""
    measures = CalibrationMeasures(
        temperature=1.0,
        expected_calibration_error=NOTHING,
        null_band=(0.0, 0.0),
        maximum_calibration_error=0.0,
        adaptive_calibration_error=NOTHING,
        classwise_calibration_error=NOTHING,
        negative_log_likelihood=NOTHING,
        brier=BrierScore(value=0, reliability=0, resolution=0, uncertainty=0, within_bins=0),
        overconfidence=NOTHING,
        above_99=1.0,
        top_k={"1": 1.0},
        bins=(),
        adaptive_bins=(),
    )
    classes = len(schema.classes)
    return Report(
        model=model,
        title=title,
        task=schema.name,
        classes=schema.classes,
        weights=weights,
        intended_use="Tests.",
        limits=(),
        data=Data(source="none", digest="0" * 64, split="none", training_rows=0, validation_rows=0, test_rows=1),
        accuracy=Accuracy(
            accuracy=ONE,
            balanced_accuracy=Measure(value=1.0),
            auroc=None,
            classes=tuple(ClassAccuracy(label=label, recall=None, precision=None) for label in schema.classes),
            confusion=((0,) * classes,) * classes,
            baselines=(),
        ),
        calibration=Calibration(
            seen_by_client=False,
            source="nothing",
            validation_rows=0,
            bins=1,
            temperature_by_nll=1.0,
            temperature_by_ece=1.0,
            scale=1.0,
            before=measures,
            after=measures,
            after_by_ece=measures,
            verdict="consistent with perfect calibration",
        ),
        robustness=Robustness(evaluations=(), verdict="Nothing was tried."),
        generalisation=Generalisation(
            train_accuracy=ONE,
            test_accuracy=ONE,
            gap=0.0,
            train_margin=FLAT,
            test_margin=FLAT,
            layers=(),
            complexity=Complexity(spec_fro=None, spec_l1=None, jac_norm=None),
            sensitivity=Sensitivity(noise={}, flips={}, empirical_lipschitz=None, local_lipschitz=FLAT),
        ),
        agreement=Agreement(torch=None, encrypted=None),
        claims=(),
        made=Making(
            command="tests",
            seed=0,
            thoroughness="quick",
            versions={},
            seconds={},
            machine="none",
            created="2026-01-01T00:00:00+00:00",
        ),
    )

"""How far the model's confidence is to be believed (thesis 3.3, 7.5)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from epaas_shared.report.measures import Count, Finite, Measure, Section, Share


class Bin(Section):
    """Test rows of about the same confidence, one bar of a reliability diagram."""

    low: Share
    high: Share
    rows: Count
    confidence: Share | None
    """Mean confidence; null without rows."""
    accuracy: Share | None


class BrierScore(Section):
    """Mean squared distance of the probabilities from the truth, summed over classes (equation 3.25)."""

    value: Finite
    reliability: Finite
    """Murphy's decomposition, class by class over bins of its probability: lower is better calibrated."""
    resolution: Finite
    """Higher tells rows apart better."""
    uncertainty: Finite
    """Of the truth itself."""
    within_bins: Finite
    """What the bins leave over: value = reliability - resolution + uncertainty + within_bins."""


class CalibrationMeasures(Section):
    """One set of probabilities, measured."""

    temperature: Finite
    """That logits were divided by; 1 is the model as it is."""
    expected_calibration_error: Measure
    """Equation 3.21, bins of equal width."""
    null_band: tuple[Finite, Finite]
    """Where 95 % of the expected calibration errors of a perfectly calibrated model with these confidences would be."""
    maximum_calibration_error: Finite
    """Equation 3.22."""
    adaptive_calibration_error: Measure
    """Over bins of equal numbers of rows."""
    classwise_calibration_error: Measure
    """Equation 3.23."""
    negative_log_likelihood: Measure
    brier: BrierScore
    overconfidence: Measure
    """Mean confidence less accuracy: positive is over-confident."""
    above_99: Share
    """|S99|: share of rows with a confidence over 0.99 (thesis 7.5)."""
    top_k: dict[str, Share]
    """Share of rows whose true class is among the k most probable."""
    bins: tuple[Bin, ...]
    adaptive_bins: tuple[Bin, ...]


class Calibration(Section):
    """Before and after temperature scaling; temperatures are fitted on validation rows, measures are of test rows."""

    seen_by_client: bool
    """Whether a client gets scores to make these probabilities of. If not, only the provider can measure them."""
    source: str
    """What the logits are made of, in words."""
    validation_rows: Count
    bins: int = Field(ge=1)
    temperature_by_nll: Finite
    """With the least negative log-likelihood."""
    temperature_by_ece: Finite
    """With the least expected calibration error, on the thesis's grid 0.1, 0.2, ..., 10 times ``scale``."""
    scale: Finite = Field(gt=0)
    """Unit of the logits, in the units of sums: logits are sums divided by it."""
    before: CalibrationMeasures
    after: CalibrationMeasures
    """Scaled by ``temperature_by_nll``."""
    after_by_ece: CalibrationMeasures
    verdict: Literal["consistent with perfect calibration", "over-confident", "under-confident", "miscalibrated"]
    """Of ``after``."""
    warnings: tuple[str, ...] = ()
    """What the rows are too few for."""

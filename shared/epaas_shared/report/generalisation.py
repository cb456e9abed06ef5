"""Generalisation and sensitivity (thesis 3.1, 4.4.3, 6.4). Descriptive: they rank models and prove nothing."""

from __future__ import annotations

from pydantic import Field

from epaas_shared.report.measures import Count, Finite, Rate, Section


class Distribution(Section):
    """Percentiles over rows."""

    rows: Count
    p5: Finite
    p25: Finite
    median: Finite
    p75: Finite
    p90: Finite
    p95: Finite


class LayerMeasures(Section):
    """One layer; its weights as they are, integers, as a matrix of filters or neurons by inputs."""

    layer: Count
    kind: str
    shape: tuple[Count, ...]
    spectral_norm: Finite
    """Greatest singular value of the weight matrix, by full decomposition."""
    stable_rank: Finite
    """Squared Frobenius norm over squared spectral norm."""
    rank: Count
    zero_weights: Finite = Field(ge=0, le=1)
    """Share of weights that are 0."""
    cushion: Distribution | None
    """Layer cushion ||W x|| / (||W||_F ||x||) over rows (Definition 14); null where all inputs are zero."""
    variance_ratio: dict[str, Finite]
    """By r: share of the variance of the layer's outputs that their r greatest principal components hold."""


class Complexity(Section):
    """Natural logarithms (thesis 4.4.3), over training rows that are right and not by a tie; null without any."""

    spec_fro: Distribution | None
    spec_l1: Distribution | None
    jac_norm: Distribution | None


class Sensitivity(Section):
    """How much the logits move when the record does. Only slopes are of the straight-through network."""

    noise: dict[str, Finite]
    """By share: mean squared change of the logits, relative to their size, when so large a share of noise is added."""
    flips: dict[str, Finite]
    """By share: share of predictions that change under the same noise."""
    empirical_lipschitz: Distribution | None
    """||f(x) - f(y)|| / ||x - y|| over pairs of test rows, x and y in bits; null where all rows are alike."""
    local_lipschitz: Distribution
    """Norm of the straight-through Jacobian of the logits at test rows."""


class Generalisation(Section):
    """The network on rows that it was trained on and rows that it was not."""

    train_accuracy: Rate
    test_accuracy: Rate
    gap: Finite
    """Train less test accuracy."""
    train_margin: Distribution
    """Margin of the true class (Definition 10), in units of the logits."""
    test_margin: Distribution
    layers: tuple[LayerMeasures, ...]
    complexity: Complexity
    sensitivity: Sensitivity

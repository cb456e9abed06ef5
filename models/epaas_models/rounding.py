"""One neuron from a logistic regression over threshold bits, by rounding the function of each feature.

The bits of a feature are a thermometer: bit i says that the value has reached the i-th threshold, so the weights of a
feature add up to a step function of its value. Rounding each weight by itself loses most small ones, since nearly all
are. Rounding the *sums* w_1 + ... + w_i, and taking weights as their differences, keeps every feature's function within
half a unit instead (error diffusion, as in a sigma-delta converter). With a unit near the largest weights the
differences are -1, 0 or 1: a ternary neuron as precise as many levels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from sklearn.linear_model import LogisticRegression

from epaas_shared.features import Bits
from epaas_shared.layers import DenseLayer, Integers
from epaas_shared.network import Network
from epaas_shared.schema import InputSchema

_ITERATIONS = 3000
_SHARP = 100.0
"""Inverse strength of the regularisation where the threshold is fitted, next to none."""


class RoundedRegression(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    inverse_regularisation: float = Field(default=0.3, gt=0)
    """C of the regression."""
    unit_quantile: float = Field(default=0.9, gt=0, le=1)
    """What one unit of weight stands for: this quantile of the real weights' magnitudes."""
    largest_weight: int = Field(default=1, ge=1)


def train_rounded(
    bits: Bits, labels: NDArray[np.int64], schema: InputSchema, configuration: RoundedRegression
) -> tuple[Network, float]:
    """The neuron for ``bits`` (rows, inputs) of the schema and ``labels`` (rows,) in {0, 1}, and its unit of a logit.

    That is how much of the sum the regression that fits the threshold takes for one. Deterministic.
    """
    regression = LogisticRegression(C=configuration.inverse_regularisation, max_iter=_ITERATIONS).fit(bits, labels)
    real = regression.coef_[0]
    unit = float(np.quantile(np.abs(real), configuration.unit_quantile))
    integers = np.concatenate(
        [
            np.diff(np.round(np.cumsum(part) / unit), prepend=0)
            for part in np.split(real, np.cumsum([feature.bits for feature in schema.features])[:-1])
        ]
    )
    most = configuration.largest_weight
    weights: Integers = np.clip(integers, -most, most).astype(np.int64)
    sums = bits.astype(np.int64) @ weights
    line = LogisticRegression(C=_SHARP).fit(sums[:, None], labels)
    slope = float(line.coef_[0, 0])
    threshold = int(np.ceil(-line.intercept_[0] / slope))
    return Network((DenseLayer(weights[None], np.array([threshold])),)), 1 / abs(slope)

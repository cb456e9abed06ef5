"""What gamma does to focal loss: to its minimum and to its gradient, and which one changes no gradient (thesis 7.3).

Knows no losses.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.special import lambertw

_BRANCH_POINT = -np.exp(-1.0)


def gradient_ratio(probability: ArrayLike, gamma: ArrayLike) -> NDArray[np.float64]:
    """g(p, gamma) of Theorem 6, for p in (0, 1): focal loss has g times the gradient of cross-entropy."""
    p, exponent = np.asarray(probability, dtype=np.float64), np.asarray(gamma, dtype=np.float64)
    ratio: NDArray[np.float64] = (1 - p) ** exponent - exponent * p * (1 - p) ** (exponent - 1) * np.log(p)
    return ratio


def neutral_gamma(probability: ArrayLike) -> NDArray[np.float64]:
    """gamma* of Theorem 7 for p0 in (0, 1): g(p, gamma*) is 1 at p0, greater below and less above. Raises ValueError.

    From p0 = 1/2 on there is none but 0: g is less than 1 there whatever gamma is. The equation behind Theorem 7 always
    has the root 0 as well, which is on the principal branch of Lambert's W below 1/2 (the appendix calls it negative)
    and on the lower one from 1/2 on. gamma* grows without bound as p0 falls to 0.
    """
    p = np.asarray(probability, dtype=np.float64)
    if not ((p > 0) & (p < 1)).all():
        raise ValueError("probabilities must be between 0 and 1")
    a, b, log_a = 1 - p, p * np.log(p), np.log1p(-p)
    argument = np.maximum(_BRANCH_POINT, -np.exp((1 - a / b) * log_a) / b * log_a)
    gamma: NDArray[np.float64] = a / b + lambertw(argument, -1).real / log_a
    return np.where(p < 0.5, np.maximum(gamma, 0), 0)


def favoured_probability(target: float, gamma: float) -> float:
    """The probability with the least focal loss where a share ``target`` in (0, 1) of two classes is the first.

    Equation 7.2 and figure 7.3. With gamma 0 it is the target; with a greater one it is nearer to 1/2, of more entropy.
    """

    def loss(p: float) -> float:
        return -float((1 - p) ** gamma * target * np.log(p) + p**gamma * (1 - target) * np.log1p(-p))

    return float(minimize_scalar(loss, bounds=(0, 1), method="bounded", options={"xatol": 1e-10}).x)

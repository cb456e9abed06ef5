"""Hybrid max-margin models (thesis 6.4.4): a linear classifier of wide margin on frozen representations.

The representations may be of a network that learnt another task (transfer), and may be projected onto a few principal
components first (compression). Knows no networks: representations come as arrays.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

REGULARISATION = 0.01


def max_margin_model(
    representations: NDArray[np.float32], labels: NDArray[np.int64], *, seed: int, dimensions: int | None = None
) -> Pipeline:
    """A classifier fitted to ``representations`` (n, m) of training rows and their ``labels`` (n,).

    Units are scaled to a variance of 1 and projected onto ``dimensions`` principal components, if given, of at most n
    and m. The classifier has the hinge loss, one class against the others, and the thesis's regularisation, and is
    trained by stochastic gradient descent with Bottou's heuristics for the learning rate, as the thesis does it.
    """
    margin = SGDClassifier(loss="hinge", alpha=REGULARISATION, learning_rate="optimal", random_state=seed)
    if dimensions is None:
        return make_pipeline(StandardScaler(), margin).fit(representations, labels)
    components = PCA(dimensions, random_state=seed)
    return make_pipeline(StandardScaler(), components, margin).fit(representations, labels)

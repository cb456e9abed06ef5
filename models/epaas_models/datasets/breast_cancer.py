"""Wisconsin diagnostic breast cancer: 569 tumours, 30 measurements of their cells. Comes with scikit-learn."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_breast_cancer

from epaas_models.datasets.dataset import Dataset


def load() -> Dataset:
    """Malignant (0) or benign (1), from 30 numbers."""
    loaded = load_breast_cancer()
    return Dataset(
        name="breast-cancer",
        source="sklearn.datasets.load_breast_cancer (UCI Wisconsin Diagnostic Breast Cancer)",
        target="diagnosis",
        classes=tuple(str(name) for name in loaded.target_names),
        columns={
            str(name): column
            for name, column in zip(loaded.feature_names, loaded.data.astype(np.float64).T, strict=True)
        },
        labels=loaded.target.astype(np.int64),
    )

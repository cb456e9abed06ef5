"""A model configuration to begin with, for a table of which nothing is known but its size.

Small networks: what a prediction costs is bootstraps, several a neuron. The numbers were chosen on data sets of
scikit-learn; whoever wants a better model writes a configuration.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from epaas_models.architecture import Architecture, DenseConfiguration
from epaas_models.configuration import BinaryNetworkMethod, Method, ModelConfiguration, RoundedRegressionMethod
from epaas_models.datasets import Dataset
from epaas_models.training_configuration import TrainingConfiguration
from epaas_shared.errors import Fault
from epaas_shared.features import NumberFeature
from epaas_shared.schema import InputSchema

FEW_ROWS = 2_000
"""Up to here a neuron a class is as much as the rows can teach."""
SCORED_ROWS = 300
"""From here on a tenth of the training rows say something of the scale of scores."""
_HIDDEN = 24
_STEPS = 3_000
_EPOCHS = (5, 100)


def default_configuration(
    schema: InputSchema, dataset: Dataset, name: str, *, warnings: Sequence[Fault] = ()
) -> ModelConfiguration:
    """One ternary neuron for two classes, or one a class; with many rows a hidden layer before.

    ``name`` is that of the model, ``schema`` the frozen one, and ``warnings`` (of the table) are told as limits.
    """
    several = len(schema.classes) > 2
    return ModelConfiguration(
        name=name,
        title=schema.title,
        task=schema.task,
        input_schema=schema.name,
        method=_method(schema, len(dataset)),
        output="scores" if several and len(dataset) >= SCORED_ROWS else "label",
        score_bits=3,
        intended_use="A first model by default settings. Read its report before you rely on it.",
        limits=(*_limits(schema, dataset), *(f"{warning.field}: {warning.detail}." for warning in warnings)),
    )


def _method(schema: InputSchema, rows: int) -> Method:
    thermometers = all(isinstance(found, NumberFeature) and found.kind == "thresholds" for found in schema.features)
    if rows <= FEW_ROWS and thermometers and len(schema.classes) == 2:
        return RoundedRegressionMethod()
    if rows <= FEW_ROWS:
        architecture, batch, rate = Architecture(), 32, 0.02
    else:
        hidden = DenseConfiguration(outputs=_HIDDEN + 2 * len(schema.classes))
        architecture, batch, rate = Architecture(hidden=(hidden,), output_weights=15), 128, 0.01
    epochs = int(np.clip(_STEPS * batch // rows, *_EPOCHS))
    return BinaryNetworkMethod(
        architecture=architecture,
        training=TrainingConfiguration(epochs=epochs, batch_size=batch, learning_rate=rate),
    )


def _limits(schema: InputSchema, dataset: Dataset) -> tuple[str, ...]:
    """What can be said of any such model."""
    commonest = np.bincount(dataset.labels, minlength=len(dataset.classes))
    share = commonest.max() / len(dataset)
    limits = [
        f"{len(dataset):,} rows of {dataset.source}; nothing is known of any others.",
        f"{dataset.classes[commonest.argmax()]!r} is the class of {share:.0%} of the rows: compare accuracies with it.",
    ]
    if any(isinstance(feature, NumberFeature) for feature in schema.features):
        limits.append("A record without a number, or with one beyond the plausible range, is refused.")
    if dataset.groups is None:
        limits.append(
            "Rows are taken to be of different people: rows of one person could be on both sides of the split."
        )
    return tuple(limits)

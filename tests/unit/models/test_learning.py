"""The networks of breast cancer: learnt from training rows alone, and good enough."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from training_making import same_network

from epaas_models.configuration import ModelConfiguration, load_configuration
from epaas_models.datasets import Dataset, DataSettings, Split, load, split, splits
from epaas_models.fit import PUBLISHED_SPLIT, train_model
from epaas_models.reliability.accuracy.classification import accuracy
from epaas_models.schema_learning import learn_schema
from epaas_shared.network import Network
from epaas_shared.profile import default_profile
from epaas_shared.ranges import worst_case_ranges
from epaas_shared.schema import InputSchema, shipped_schemas


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return load("breast-cancer", DataSettings())


def learnt(configuration: ModelConfiguration, dataset: Dataset, rows: Split, schema: InputSchema) -> Network:
    return train_model(configuration, dataset, rows.training, schema, seed=rows.seed).network


def right(network: Network, dataset: Dataset, rows: Split, schema: InputSchema) -> float:
    bits = schema.encode_columns({name: column[rows.test] for name, column in dataset.columns.items()})
    return accuracy(network, bits, dataset.labels[rows.test])


def changed(name: str, **entries: Any) -> ModelConfiguration:
    """A shipped configuration with some entries of its method changed."""
    document = load_configuration(name).model_dump(mode="json")
    return ModelConfiguration.model_validate({**document, "method": {**document["method"], **entries}})


@pytest.mark.parametrize(
    "configuration",
    [load_configuration("breast-cancer-fine"), changed("breast-cancer", training={"epochs": 8, "batch_size": 32})],
    ids=lambda configuration: configuration.name,
)
def test_the_network_is_learnt_on_training_rows_only(dataset: Dataset, configuration: ModelConfiguration) -> None:
    """By both methods, on the smaller schema."""
    rows, schema, labels = split(dataset, 3), shipped_schemas()["breast-cancer/v1"], dataset.labels.copy()
    labels[rows.test] = 1 - labels[rows.test]
    altered, opposite = replace(dataset, labels=labels), replace(dataset, labels=1 - dataset.labels)
    network = learnt(configuration, dataset, rows, schema)
    assert same_network(network, learnt(configuration, altered, rows, schema))
    assert not same_network(network, learnt(configuration, opposite, rows, schema))
    assert right(network, dataset, rows, schema) > 0.8
    assert right(network, opposite, rows, schema) == pytest.approx(1 - right(network, dataset, rows, schema))


@pytest.mark.parametrize("name", ["breast-cancer", "breast-cancer-fine"])
def test_a_shipped_network_fits_the_profile_and_beats_the_majority(dataset: Dataset, name: str) -> None:
    configuration, rows = load_configuration(name), split(dataset, PUBLISHED_SPLIT)
    schema = shipped_schemas()[configuration.input_schema]
    network = learnt(configuration, dataset, rows, schema)
    (layer,) = network.layers
    assert set(np.unique(layer.weights).tolist()) == {-1, 0, 1}
    profile, (reached,) = default_profile(), worst_case_ranges(network, schema.encodings)
    assert profile.sum_minimum <= reached.minimum <= reached.maximum <= profile.sum_maximum
    majority = max(np.bincount(dataset.labels[rows.test])) / len(rows.test)
    assert right(network, dataset, rows, schema) > majority + 0.25


def test_the_finer_network_is_right_97_times_in_100_over_many_splits(dataset: Dataset) -> None:
    """Schemas are learnt again on the training rows of each split."""
    configuration, accuracies = load_configuration("breast-cancer-fine"), []
    for rows in splits(dataset, 10):
        schema = learn_schema(configuration.input_schema, dataset, rows)
        accuracies.append(right(learnt(configuration, dataset, rows, schema), dataset, rows, schema))
    assert np.mean(accuracies) >= 0.965


def test_half_of_the_weights_can_be_dropped_and_the_rest_tuned(dataset: Dataset) -> None:
    tuning = {"epochs": 10, "batch_size": 32, "learning_rate": 0.005}
    configuration = changed("breast-cancer", architecture={"output_weights": "binary"}, drop=0.5, fine_tuning=tuning)
    rows, schema = split(dataset, PUBLISHED_SPLIT), shipped_schemas()["breast-cancer/v1"]
    network = learnt(configuration, dataset, rows, schema)
    assert int((network.layers[0].weights == 0).sum()) == 45
    assert right(network, dataset, rows, schema) >= 0.9

"""The schema and the networks of breast cancer: learnt from training rows alone, the same each time, good enough."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from epaas_models.bnn import BnnConfiguration, train
from epaas_models.datasets import Dataset, breast_cancer, split, splits
from epaas_models.fit import CANCER_SCHEMA, PUBLISHED_SPLIT, cancer_schema, fit_split
from epaas_models.report import accuracy
from epaas_shared.network import Network
from epaas_shared.profile import default_profile
from epaas_shared.ranges import worst_case_ranges
from epaas_shared.schema import shipped_schemas

SHORT = BnnConfiguration(hidden=(4,), steps=25, averaging=0.8, refit_steps=10)
"""Enough to learn something; with the default averaging a weight could not settle in so few steps."""


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return breast_cancer()


def quiet(_step: int) -> None:
    """Nobody watches."""


def same(one: Network, other: Network) -> bool:
    return all(
        np.array_equal(a.weights, b.weights) and np.array_equal(a.thresholds, b.thresholds)
        for a, b in zip(one.layers, other.layers, strict=True)
    )


def test_the_data_are_those_of_the_shipped_schema(dataset: Dataset) -> None:
    assert dataset.values.shape == (569, 30)
    assert np.bincount(dataset.labels).tolist() == [212, 357]
    assert shipped_schemas()[CANCER_SCHEMA].learnt_from["data_digest"] == dataset.digest
    assert shipped_schemas()[CANCER_SCHEMA].classes == dataset.classes


def test_the_shipped_schema_is_what_the_published_split_teaches(dataset: Dataset) -> None:
    shipped = shipped_schemas()[CANCER_SCHEMA]
    learnt = cancer_schema(dataset, split(dataset, PUBLISHED_SPLIT))
    assert learnt == shipped
    assert learnt.digest == shipped.digest


def test_another_split_teaches_other_bins(dataset: Dataset) -> None:
    assert cancer_schema(dataset, split(dataset, 1)).features != shipped_schemas()[CANCER_SCHEMA].features


@pytest.mark.parametrize("seed", [0, 1])
def test_bins_are_learnt_on_training_rows_only(dataset: Dataset, seed: int) -> None:
    rows = split(dataset, seed)
    values = dataset.values.copy()
    values[rows.test] = values[rows.test] * 1000 + 1e6
    changed = replace(dataset, values=values)
    assert cancer_schema(changed, rows).features == cancer_schema(dataset, rows).features
    values = dataset.values.copy()
    values[rows.training[0]] = 1e6
    assert cancer_schema(replace(dataset, values=values), rows).features != cancer_schema(dataset, rows).features


def test_the_network_is_learnt_on_training_rows_only(dataset: Dataset) -> None:
    rows = split(dataset, 3)
    labels = dataset.labels.copy()
    labels[rows.test] = 1 - labels[rows.test]
    one, right = fit_split(dataset, rows, SHORT, 0, quiet)
    other, wrong = fit_split(replace(dataset, labels=labels), rows, SHORT, 0, quiet)
    assert same(one, other)
    assert not same(one, fit_split(replace(dataset, labels=1 - dataset.labels), rows, SHORT, 0, quiet)[0])
    assert right + wrong == pytest.approx(1.0)


def test_a_split_is_made_again_by_its_seed_and_covers_every_row_once(dataset: Dataset) -> None:
    one, again = split(dataset, 7), split(dataset, 7)
    assert one.training.tolist() == again.training.tolist()
    assert one.test.tolist() == again.test.tolist()
    assert sorted([*one.training, *one.test]) == list(range(569))
    assert len(one.test) == 171
    assert split(dataset, 8).test.tolist() != one.test.tolist()
    assert [other.seed for other in splits(dataset, 3)] == [0, 1, 2]


def test_bins_are_of_equal_width_between_the_extremes_of_training(dataset: Dataset) -> None:
    rows = split(dataset, PUBLISHED_SPLIT)
    for feature, column in zip(cancer_schema(dataset, rows).features, dataset.values[rows.training].T, strict=True):
        low, high = column.min(), column.max()
        assert feature.edges == pytest.approx([low + (high - low) / 3, low + 2 * (high - low) / 3])
        assert feature.minimum == 0
        assert feature.maximum == pytest.approx(2 * high)


def test_every_row_of_the_data_is_plausible(dataset: Dataset) -> None:
    schema = shipped_schemas()[CANCER_SCHEMA]
    records = [dict(dataset.record(row)) for row in range(len(dataset.labels))]
    bits = schema.encode(records)
    assert (bits == schema.encode_numbers(dataset.values)).all()


@pytest.mark.parametrize("weights", ["ternary", "binary"])
def test_training_is_the_same_again_with_the_same_seed(dataset: Dataset, weights: str) -> None:
    rows = split(dataset, PUBLISHED_SPLIT)
    bits = shipped_schemas()[CANCER_SCHEMA].encode_numbers(dataset.values)[rows.training]
    configuration = replace(SHORT, weights=weights)
    labels = dataset.labels[rows.training]
    steps: list[int] = []
    first = train(bits, labels, configuration, 1, steps.append)
    assert steps == list(range(configuration.steps))
    assert same(train(bits, labels, configuration, 1, quiet), first)
    assert not same(train(bits, labels, configuration, 2, quiet), first)
    assert all(layer.weights.any() for layer in first.layers)
    assert [(layer.inputs, layer.outputs) for layer in first.layers] == [(90, 4), (4, 1)]
    allowed = {-1, 0, 1} if weights == "ternary" else {-1, 1}
    assert all(set(np.unique(layer.weights).tolist()) <= allowed for layer in first.layers)


def test_a_trained_network_fits_the_profile_and_beats_the_majority(dataset: Dataset) -> None:
    rows = split(dataset, PUBLISHED_SPLIT)
    schema = shipped_schemas()[CANCER_SCHEMA]
    bits = schema.encode_numbers(dataset.values)
    configuration = BnnConfiguration(steps=150, refit_steps=50)
    network = train(bits[rows.training], dataset.labels[rows.training], configuration, 0, quiet)
    profile, (reached,) = default_profile(), worst_case_ranges(network, schema.encodings)
    assert profile.sum_minimum <= reached.minimum <= reached.maximum <= profile.sum_maximum
    majority = max(np.bincount(dataset.labels[rows.test])) / len(rows.test)
    assert accuracy(network, bits[rows.test], dataset.labels[rows.test]) > majority + 0.15


@pytest.mark.slow
def test_the_mean_accuracy_over_twenty_splits_is_that_of_the_thesis(dataset: Dataset) -> None:
    accuracies = [fit_split(dataset, rows, BnnConfiguration(), rows.seed, quiet)[1] for rows in splits(dataset, 20)]
    assert len(accuracies) == 20
    assert np.mean(accuracies) >= 0.950

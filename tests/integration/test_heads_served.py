"""More than a bit: labels of three classes and quantised scores, from a record to what the client reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from epaas_client import Client
from epaas_shared.heads import Scores
from epaas_shared.layers import DenseLayer, Integers
from epaas_shared.network import Network
from epaas_shared.schema import InputSchema
from epaas_shared.scores import ScoreScale
from tests.conftest import ClientKeys, Server, random_records, toy_schema, write_bundle

CLASSES = ("setosa", "versicolor", "virginica")
SCALE = ScoreScale(bits=2, minimum=-2, step=2)


def schema_of(task: str) -> InputSchema:
    return toy_schema(8).model_copy(update={"task": task, "classes": CLASSES})


SCHEMA = schema_of("three-classes")
RECORDS = random_records(SCHEMA, 6, seed=8)


def layers() -> tuple[DenseLayer, DenseLayer]:
    random = np.random.default_rng(0)
    first = random.integers(-1, 2, (6, SCHEMA.bits))
    return (
        DenseLayer(first, np.rint(first.sum(axis=1) / 3).astype(np.int64)),
        DenseLayer(random.integers(-2, 3, (3, 6)), np.array([0, 0, 0])),
    )


def sums(schema: InputSchema) -> Integers:
    """Of the three classes, (records, 3), by arithmetic of the test's own."""
    first, second = layers()
    hidden = (schema.encode(RECORDS).astype(np.int64) @ first.weights.T >= first.thresholds).astype(np.int64)
    result: Integers = hidden @ second.weights.T - second.thresholds
    return result


def test_a_label_of_three_classes_is_the_class_of_the_greatest_sum(
    server: Server, keys: ClientKeys, tmp_path: Path
) -> None:
    network = Network(layers())
    write_bundle(tmp_path / "bundle", network, SCHEMA, name="three-classes")
    assert server.publish(tmp_path / "bundle").returncode == 0
    best = sums(SCHEMA).argmax(axis=1).tolist()
    assert len(set(best)) == 3, "each class occurs"
    with Client(server.url, timeout=120) as client:
        model = client.model("three-classes")
        predicted = client.predict(model, RECORDS, keys.secret)
    assert (model.output, model.scores) == ("label", None)
    assert model.cost.result_bytes == 2 * 8 * 2049, "two digits, and nothing of the sums"
    assert [label.index for label in predicted] == best == network.predict(SCHEMA.encode(RECORDS))
    assert [label.label for label in predicted] == [CLASSES[index] for index in best]
    assert {label.scores for label in predicted} == {None}


def test_scores_are_the_sums_in_the_levels_that_the_model_publishes(
    server: Server, keys: ClientKeys, tmp_path: Path
) -> None:
    schema = schema_of("scored")
    network = Network(layers(), Scores(3, SCALE))
    write_bundle(tmp_path / "bundle", network, schema, name="scored")
    assert server.publish(tmp_path / "bundle").returncode == 0
    levels = np.clip((sums(schema) + 2) // 2, 0, 3)
    assert set(levels.ravel().tolist()) == {0, 1, 2, 3}, "each level occurs"
    with Client(server.url, timeout=120) as client:
        model = client.model("scored")
        predicted = client.predict(model, RECORDS, keys.secret)
    assert (model.output, model.scores) == ("scores", SCALE)
    assert [label.scores for label in predicted] == [tuple(-2 + 2 * level for level in row) for row in levels.tolist()]
    assert [label.index for label in predicted] == levels.argmax(axis=1).tolist()
    np.testing.assert_array_equal(network.evaluate(schema.encode(RECORDS)), levels)

"""How a bundle is evaluated: which strategy each layer gets, for which sums, and what is refused by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from server_making import BundleParts, layer, toy_schema

from epaas_server.bundles import Bundle, read_bundle
from epaas_server.plan import FALLBACK, LayerPlan, Plan, make_plan
from epaas_server.strategies import STRATEGIES
from epaas_shared.errors import InvalidBundle, InvalidInput
from epaas_shared.network import Network
from epaas_shared.ranges import SumRange

HEAVY = Network((layer([[1, -1], [0, 1]], [0, 1]), layer([[100, 1]], [50])))
"""Its second layer has more noise, 100^2 + 1, than exact threshold circuits provide for."""


def bundle(folder: Path, network: Network | None = None, **changes: Any) -> Bundle:
    parts = BundleParts() if network is None else BundleParts.of(network, toy_schema(network.inputs))
    parts.changes = changes
    return read_bundle(parts.write(folder / "bundle"))


def test_every_layer_gets_the_cheapest_exact_strategy_and_its_own_range(tmp_path: Path) -> None:
    plan = make_plan(bundle(tmp_path))
    assert plan.layers == (
        LayerPlan(strategy="accumulate", sums=SumRange(-2, 2, 4, True, "worst-case"), bootstraps=2 * 5),
        LayerPlan(strategy="accumulate", sums=SumRange(-1, 1, 2, False, "worst-case"), bootstraps=5),
    )
    assert plan.exact
    assert plan.hides_weights


def test_a_layer_that_no_threshold_circuit_covers_falls_back_to_gates(tmp_path: Path) -> None:
    plan = make_plan(bundle(tmp_path, HEAVY))
    assert plan.strategies == ["accumulate", FALLBACK]
    assert plan.exact
    assert not plan.hides_weights


@pytest.mark.parametrize("strategies", [["accumulate"], ["accumulate", "accumulate"], ["reduce-tree", "approximate"]])
def test_what_was_named_and_cannot_be_done_is_refused_with_the_layer(tmp_path: Path, strategies: list[str]) -> None:
    with pytest.raises(InvalidInput, match=r"cannot evaluate layer 2: ") as caught:
        make_plan(bundle(tmp_path, HEAVY), strategies)
    assert caught.value.field == "strategy"
    assert FALLBACK in str(caught.value.hint)


@pytest.mark.parametrize("name", STRATEGIES)
def test_any_strategy_can_be_named_for_all_layers(tmp_path: Path, name: str) -> None:
    plan = make_plan(bundle(tmp_path), [name])
    assert plan.strategies == [name, name]
    assert plan.exact is (name != "approximate")
    assert plan.hides_weights is (name in ("accumulate", "approximate"))
    assert Plan.model_validate_json(plan.model_dump_json()) == plan


def test_one_weak_layer_is_enough_for_a_plan_to_be_weak(tmp_path: Path) -> None:
    loaded = bundle(tmp_path)
    assert not make_plan(loaded, ["accumulate", "approximate"]).exact
    assert make_plan(loaded, ["accumulate", "approximate"]).hides_weights
    assert not make_plan(loaded, ["reduce-tree", "accumulate"]).hides_weights


def test_the_layers_of_a_head_go_as_the_last_layer(tmp_path: Path) -> None:
    three = Network((layer([[1, -1, 0], [0, 1, 1]], [0, 1]), layer([[1, 0], [0, 1], [1, 1]], [0, 0, 1])))
    schema = toy_schema(3).model_copy(update={"classes": ("a", "b", "c")})
    loaded = read_bundle(BundleParts.of(three, schema).write(tmp_path / "three"))
    plan = make_plan(loaded, ["reduce-tree", "accumulate"])
    assert plan.strategies == ["reduce-tree", "accumulate", "accumulate"]
    assert make_plan(loaded, ["sorting-network"]).strategies == ["sorting-network"] * 3


@pytest.mark.parametrize(
    ("strategies", "words"),
    [
        (["quantum"], "there is no strategy 'quantum'"),
        (["accumulate", "Reduce-tree"], "there is no strategy 'Reduce-tree'"),
        (["accumulate"] * 3, "3 strategies for 2 layers"),
    ],
    ids=["unknown", "in capitals", "too many"],
)
def test_a_wrong_choice_names_the_field(tmp_path: Path, strategies: Sequence[str], words: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        make_plan(bundle(tmp_path), strategies)
    assert caught.value.field == "strategy"
    assert words in caught.value.detail
    assert caught.value.hint


def free_bits(folder: Path, *measured: tuple[int, int]) -> Bundle:
    """A neuron of 900 inputs that do not depend on one another, and one after it; with measured ranges."""
    network = Network((layer([[1] * 900], [450]), layer([[1]], [1])))
    schema = toy_schema(*[2] * 900)
    pixels = tuple(feature.model_copy(update={"kind": "thresholds"}) for feature in schema.features)
    parts = BundleParts.of(network, schema.model_copy(update={"features": pixels}))
    ranges = [{"minimum": low, "maximum": high, "records": 100} for low, high in measured]
    parts.changes = {"measured_ranges": ranges}
    return read_bundle(parts.write(folder / "bundle"))


def test_measured_ranges_are_trusted_only_where_that_is_asked_for_and_with_a_margin(tmp_path: Path) -> None:
    loaded = free_bits(tmp_path, (-40, 59), (-1, 0))
    assert make_plan(loaded).layers[0].sums == SumRange(-450, 450, 900, True, "worst-case")
    trusting = make_plan(loaded, trust_measured_ranges=True)
    assert trusting.layers[0].sums == SumRange(-65, 84, 900, True, "measured")
    assert trusting.layers[1].sums == SumRange(-1, 0, 1, False, "measured"), "never beyond what is possible"
    assert trusting.layers[0].bootstraps < make_plan(loaded).layers[0].bootstraps


@pytest.mark.parametrize("measured", [(-451, 59), (-40, 451)])
def test_measured_ranges_that_no_record_reaches_are_refused_by_their_layer(
    tmp_path: Path, measured: tuple[int, int]
) -> None:
    with pytest.raises(InvalidBundle) as caught:
        make_plan(free_bits(tmp_path, measured, (-1, 0)))
    assert caught.value.field == "measured_ranges[0]"


def test_measured_ranges_that_a_bundle_does_not_have_cannot_be_trusted(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        make_plan(bundle(tmp_path), trust_measured_ranges=True)
    assert caught.value.field == "trust_measured_ranges"


def test_measured_ranges_of_other_layers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidBundle) as caught:
        bundle(tmp_path, measured_ranges=[{"minimum": 0, "maximum": 1, "records": 1}])
    assert caught.value.field == "measured_ranges"

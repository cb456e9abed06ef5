"""How a published model is evaluated: a strategy a layer, and what its sums need. The operator's choice (C3(i)).

A plan belongs to a version of a model on this server; it can be changed at any time, and clients never see it. It is
made once, from the bundle, and checked then; workers follow it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

from pydantic import BaseModel, ConfigDict

from epaas_server.bundles import Bundle
from epaas_server.cost import EvaluationCost
from epaas_server.strategies import ACCUMULATE, STRATEGIES, Strategy
from epaas_shared.bundle import MeasuredRange
from epaas_shared.errors import InvalidBundle, InvalidInput
from epaas_shared.ranges import SumRange, worst_case_ranges

FALLBACK = "reduce-tree"
"""For a layer that ``accumulate`` cannot evaluate exactly: slow, but for any fan-in."""


class LayerPlan(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    strategy: str
    sums: SumRange
    bootstraps: int
    """Of one record."""

    @property
    def strategy_used(self) -> Strategy:
        return STRATEGIES[self.strategy]


class Plan(BaseModel):
    """One entry for each of the network's evaluated layers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    layers: tuple[LayerPlan, ...]

    @property
    def strategies(self) -> list[str]:
        return [layer.strategy for layer in self.layers]

    @cached_property
    def exact(self) -> bool:
        """Whether every result equals the plain reference, for all records whose sums are in the plan's ranges."""
        return all(layer.strategy_used.exact for layer in self.layers)

    @cached_property
    def hides_weights(self) -> bool:
        """Whether what a request costs depends on the shape and ranges of the model alone (P2)."""
        return all(layer.strategy_used.hides_weights for layer in self.layers)


def make_plan(bundle: Bundle, strategies: Sequence[str] = (), *, trust_measured_ranges: bool = False) -> Plan:
    """The plan for a bundle, by the strategies named: none, one for all layers, or one a layer of the model.

    Layers of the head follow the last. Where none is named, a layer gets ``accumulate``, or the fallback where that
    cannot cover its sums. With ``trust_measured_ranges`` sums are taken to stay within what the bundle says was
    measured, and a margin; else every possible record is provided for. Raises :class:`InvalidInput` for a strategy
    that does not exist or cannot evaluate its layer.
    """
    network = bundle.network
    ranges = worst_case_ranges(network, bundle.schema.encodings)
    measured = _widened(ranges, bundle.manifest.measured_ranges)
    if trust_measured_ranges:
        if measured is None:
            raise InvalidInput(
                "the bundle has no measured ranges",
                field="trust_measured_ranges",
                hint="export it with calibration records",
            )
        ranges = measured
    named = _one_a_layer(strategies, len(network.layers), len(ranges))
    plans = []
    for index, (layer, sums) in enumerate(zip(network.evaluated_layers, ranges, strict=True)):
        name = named[index]
        if name is None:
            name = FALLBACK if ACCUMULATE.refusal(layer, sums, bundle.profile) else ACCUMULATE.name
        reason = STRATEGIES[name].refusal(layer, sums, bundle.profile)
        if reason is not None:
            raise InvalidInput(
                f"{name} cannot evaluate layer {index + 1}: {reason}",
                field="strategy",
                hint=f"use {FALLBACK}, or a model with smaller or fewer weights in a neuron",
            )
        bootstraps = STRATEGIES[name].work(layer, sums, 1, bundle.profile).bootstraps
        plans.append(LayerPlan(strategy=name, sums=sums, bootstraps=bootstraps))
    return Plan(layers=tuple(plans))


def cost_of(bundle: Bundle, plan: Plan) -> EvaluationCost:
    """What the evaluation of one record costs."""
    layers = bundle.network.evaluated_layers
    works = [
        planned.strategy_used.work(layer, planned.sums, 1, bundle.profile)
        for layer, planned in zip(layers, plan.layers, strict=True)
    ]
    return EvaluationCost.of(works, [(layer.inputs, layer.outputs) for layer in layers], bundle.network.values)


def _one_a_layer(strategies: Sequence[str], layers: int, evaluated: int) -> list[str | None]:
    for name in strategies:
        if name not in STRATEGIES:
            raise InvalidInput(
                f"there is no strategy {name[:40]!r}", field="strategy", hint=f"there are {', '.join(STRATEGIES)}"
            )
    if not strategies:
        return [None] * evaluated
    if len(strategies) not in (1, layers):
        raise InvalidInput(
            f"{len(strategies)} strategies for {layers} layers",
            field="strategy",
            hint="name one, or one for each layer",
        )
    named = list(strategies) * layers if len(strategies) == 1 else list(strategies)
    return [*named, *[named[-1]] * (evaluated - layers)]


def _widened(worst: Sequence[SumRange], measured: Sequence[MeasuredRange] | None) -> tuple[SumRange, ...] | None:
    """Measured ranges, a quarter wider at either end and never beyond the worst case.

    Raises :class:`InvalidBundle` for one that no record can reach: it was not measured on this network.
    """
    if measured is None:
        return None
    ranges = []
    for index, (possible, seen) in enumerate(zip(worst, measured, strict=True)):
        if seen.minimum < possible.minimum or seen.maximum > possible.maximum:
            raise InvalidBundle(
                f"says sums from {seen.minimum} to {seen.maximum}, but they can only reach from {possible.minimum} to "
                f"{possible.maximum}",
                field=f"measured_ranges[{index}]",
                hint="export the model again",
            )
        margin = max(8, (seen.maximum - seen.minimum + 3) // 4)
        minimum, maximum = max(possible.minimum, seen.minimum - margin), min(possible.maximum, seen.maximum + margin)
        ranges.append(replace(possible, minimum=minimum, maximum=maximum, source="measured"))
    return tuple(ranges)

"""What a network can be brought to predict by changes of bounded cost: bounds of its sums, layer by layer.

Sound: what is called certain cannot be altered. For the first layer the bounds are reached, column structure and budget
included; behind it each neuron that can be either counts as free of the others (interval bound propagation, Gowal et
al. 2018, arXiv 1810.12715, over integers). A network of one layer has nothing behind it, so that it is exact. Knows
codes and costs, not where they come from.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from epaas_models.reliability.robustness.codes import CodeBook
from epaas_shared.heads import Head, LabelArgmax, Scores
from epaas_shared.layers import ConvolutionLayer, DenseLayer, Integers, Layer
from epaas_shared.network import Network
from epaas_shared.schema import InputSchema

_ENTRIES_AT_ONCE = 2**22
"""Bounds that are in memory at once: 32 MiB."""


def exact(network: Network) -> bool:
    """Whether what is not certain can be altered: with one layer, each comparison's worst case is a record's."""
    return len(network.layers) == 1 and not isinstance(network.head, Scores)


def certain(
    network: Network, schema: InputSchema, codes: Integers, costs: Integers, budgets: tuple[int, ...]
) -> NDArray[np.bool_]:
    """Whether no change within a budget alters the prediction, (budgets, n).

    ``codes`` (n, groups) are the records', ``costs`` (n, entries) those of :class:`CodeBook`; the costs of the groups
    add up to at most the budget.
    """
    book = CodeBook.of(schema)
    layers = (*network.layers[:-1], comparisons(network))
    step = max(1, _ENTRIES_AT_ONCE // (layers[0].outputs * (max(budgets) + 1)))
    found = np.empty((len(budgets), len(codes)), dtype=np.bool_)
    for start in range(0, len(codes), step):
        part = slice(start, start + step)
        first = first_bounds(layers[0], book, codes[part], costs[part], max(budgets))
        for index, budget in enumerate(budgets):
            low, high = (bound[budget] for bound in first)
            for layer in layers[1:]:
                low, high = next_bounds(layer, low, high)
            found[index, part] = decides(network.head, low, high)
    return found


def first_bounds(
    layer: Layer, book: CodeBook, codes: Integers, costs: Integers, budget: int
) -> tuple[Integers, Integers]:
    """Least and greatest sum of each neuron for every budget from 0 on, each (budget + 1, n, outputs). Exact.

    How much a group can add for how much of the budget is combined group by group (a knapsack in which each group
    takes one value), all neurons and records at once.
    """
    sums = layer.sums(book.bits_of(codes)).astype(np.float64)
    high = np.repeat(sums[None], budget + 1, axis=0)
    low = high.copy()
    contributions = book.contributions(layer)
    for group, entries in enumerate(book.slices()):
        part = contributions[entries]
        seen = np.unique(part.indices)
        # Records that are alike in this group are worked out once.
        alike, record = np.unique(np.column_stack([codes[:, group], costs[:, entries]]), axis=0, return_inverse=True)
        prices = np.unique(alike[:, 1:])
        prices = prices[prices <= budget]
        if not len(seen) or (alike[:, 1:] <= budget).sum() == len(alike):
            continue
        table = part[:, seen].toarray()
        for bound, sign in ((high, 1.0), (low, -1.0)):
            gains = np.array([_gains(sign * table, row[0], row[1:], prices) for row in alike])[record.ravel()]
            before = sign * bound[:, :, seen]
            best = before + gains[:, 0]
            for place, price in enumerate(prices[1:], start=1):
                best[price:] = np.maximum(best[price:], before[: budget + 1 - price] + gains[:, place])
            bound[:, :, seen] = sign * best
    return low.astype(np.int64), high.astype(np.int64)


def _gains(table: NDArray[np.float64], code: np.int64, costs: Integers, prices: Integers) -> NDArray[np.float64]:
    """The most that a group can add for each price, (prices, outputs); ``table`` (values, outputs)."""
    gains: NDArray[np.float64] = np.array([table[costs <= price].max(axis=0) for price in prices]) - table[code]
    return gains


def next_bounds(layer: Layer, low: Integers, high: Integers) -> tuple[Integers, Integers]:
    """Bounds of a layer's sums, each (n, outputs), from those of the layer before, each (n, inputs)."""
    assert isinstance(layer, DenseLayer | ConvolutionLayer)
    none = np.zeros_like(layer.thresholds)
    gains = replace(layer, weights=np.maximum(layer.weights, 0), thresholds=none)
    losses = replace(layer, weights=np.minimum(layer.weights, 0), thresholds=layer.thresholds)
    always, ever = ((bound >= 0).astype(np.uint8) for bound in (low, high))
    return gains.sums(always) + losses.sums(ever), gains.sums(ever) + losses.sums(always)


def comparisons(network: Network) -> DenseLayer:
    """In place of the last layer, the sums on which the prediction hangs.

    For several classes S_i - S_j of every i < j, so that what two classes share cannot count for one and against the
    other; for scores, S_i of every class too; for a single neuron, its sum.
    """
    last, head = network.layers[-1], network.head
    assert isinstance(last, DenseLayer)
    if last.outputs == 1:
        return last
    pairs, _ = LabelArgmax(last.outputs).layers(last)
    if not isinstance(head, Scores):
        return pairs
    return DenseLayer(
        np.concatenate([pairs.weights, last.weights]), np.concatenate([pairs.thresholds, last.thresholds])
    )


def decides(head: Head, low: Integers, high: Integers) -> NDArray[np.bool_]:
    """Whether bounds of :func:`comparisons`, each (n, outputs), leave a single class, (n,)."""
    if head.outputs == 1:
        alone: NDArray[np.bool_] = (low[:, 0] >= 0) | (high[:, 0] < 0)
        return alone
    classes = head.outputs
    earlier, later = np.triu_indices(classes, 1)
    ahead = np.zeros((len(low), classes, classes), dtype=np.int64)  # least S_i - S_j
    ahead[:, earlier, later], ahead[:, later, earlier] = low[:, : len(earlier)], -high[:, : len(earlier)]
    first = np.tri(classes, dtype=np.bool_).T  # i <= j: a tie goes to i
    beats = np.where(first, ahead >= 0, ahead > 0)
    if isinstance(head, Scores):
        beats = _beats_in_levels(head, ahead, low[:, len(earlier) :], high[:, len(earlier) :], first)
    wins: NDArray[np.bool_] = beats.all(axis=2).any(axis=1)
    return wins


def _beats_in_levels(
    head: Scores, ahead: Integers, low: Integers, high: Integers, first: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Whether class i's level certainly beats class j's, (n, classes, classes), true for i = j.

    A greater sum never has a smaller level. A level more is certain if the sums are a whole step apart and neither end
    of the scale hides it, or if the levels' own bounds say so.
    """
    scale = head.scale
    least, greatest = head.values(low)[:, :, None], head.values(high)[:, None, :]
    inside = (low >= scale.score(1))[:, :, None] & (high < scale.score(scale.greatest_level))[:, None, :]
    level_more = (ahead >= scale.step) & inside
    beats: NDArray[np.bool_] = np.where(first, (ahead >= 0) | (least >= greatest), level_more | (least > greatest))
    return beats

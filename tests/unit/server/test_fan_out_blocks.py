"""A layer cut into blocks for machines that come, go and die: no neuron is left out, and none comes out twice."""

from __future__ import annotations

import heapq
from collections.abc import Callable

import numpy as np
import pytest
from clear_circuits import PROFILE, ClearCircuits, messages, reach
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_drawing import convolutions, dense_layers, random_bits
from server_making import trivial

from epaas_server.engine.batches import Batched
from epaas_server.engine.cluster.assignment import AHEAD, ATTEMPTS, Assignment, Block
from epaas_server.engine.cluster.sizes import ONE_BY_ONE, BlockSizes, block_sizes
from epaas_server.engine.cluster.work import PackedRows
from epaas_server.engine.engine import EngineFailed
from epaas_server.plan import LayerPlan
from epaas_server.strategies import STRATEGIES
from epaas_server.strategies.blocks import BLOCK, runs
from epaas_server.strategies.strategy import Run
from epaas_shared.layers import DenseLayer, Layer, Rows

POWERS = [1 << power for power in range(9)]
SIZES = st.tuples(st.sampled_from(POWERS), st.sampled_from(POWERS)).map(lambda pair: BlockSizes(min(pair), max(pair)))

Positions = tuple[int, int]


def names(machines: int) -> list[str]:
    return [str(machine) for machine in range(machines)]


def result_of(block: Block) -> Positions:
    return block.start, block.stop


@given(SIZES, st.integers(1, 20_000), st.floats(0, 20_000))
def test_a_block_is_within_its_bounds_and_never_more_than_is_left(sizes: BlockSizes, left: int, share: float) -> None:
    size = sizes.next(left, share)
    assert 1 <= size <= min(left, sizes.most)
    assert size >= min(left, sizes.least)
    assert size == left or size in POWERS, "blocks are whole compiled batches"


@given(
    st.integers(1, 3000),
    SIZES,
    st.lists(st.tuples(st.integers(1, 6), st.integers(0, 99), st.integers(0, 9)), max_size=400),
)
def test_every_position_comes_out_once_and_in_order_whatever_is_lost(
    total: int, sizes: BlockSizes, fates: list[tuple[int, int, int]]
) -> None:
    """Steps of drawn fates: so many machines, which of the blocks under way ends next, and whether it is lost."""
    assignment: Assignment[Positions] = Assignment(total, sizes)
    under_way: list[Block] = []
    found: list[Positions] = []
    losses = 0
    remaining = iter(fates)
    while not assignment.finished:
        machines, which, fate = next(remaining, (2, 0, 9))
        while len(under_way) < machines and (block := assignment.next(names(machines)[-1], names(machines))):
            under_way.append(block)
        ended = under_way.pop(which % len(under_way))
        if fate == 0 and ended.attempt < ATTEMPTS:
            assignment.lost(ended)
            losses += 1
        else:
            assignment.ended(ended)
            assignment.done(ended, result_of(ended))
        found += assignment.results()
    assert not under_way
    assert [start for start, _ in found] == [0, *(stop for _, stop in found[:-1])]
    assert found[-1][1] == total
    assert assignment.repeated == losses
    assert assignment.next("0", names(3)) is None


def test_a_lost_block_is_the_next_one_and_costs_no_other() -> None:
    assignment: Assignment[Positions] = Assignment(64, BlockSizes(8, 16))
    first, second = assignment.next("0", names(2)), assignment.next("1", names(2))
    assert first == Block(0, 16)
    assert second == Block(16, 32)
    assignment.ended(second)
    assignment.done(second, result_of(second))
    assignment.lost(first)
    again = assignment.next("1", names(2))
    assert again == Block(0, 16, attempt=2)
    assert list(assignment.results()) == []
    assignment.done(again, result_of(again))
    assert list(assignment.results()) == [(0, 16), (16, 32)]


def test_a_block_that_ends_every_process_is_given_up() -> None:
    """Evaluation keys may crash the runtime wherever they are used."""
    assignment: Assignment[Positions] = Assignment(8, ONE_BY_ONE)
    for attempt in range(1, ATTEMPTS):
        block = assignment.next("0", names(1))
        assert block == Block(0, 1, attempt)
        assignment.lost(block)
    block = assignment.next("0", names(1))
    assert block is not None
    with pytest.raises(EngineFailed, match="block of neurons"):
        assignment.lost(block)


def test_results_that_wait_for_one_are_bounded() -> None:
    """The first block does not end: the others go on so far and no further."""
    assignment: Assignment[Positions] = Assignment(100_000, BlockSizes(8, 64))
    first = assignment.next("0", names(3))
    waiting = 0
    while block := assignment.next("1", names(3)):
        assignment.ended(block)
        assignment.done(block, result_of(block))
        waiting += block.stop - block.start
    assert AHEAD - 64 <= waiting <= AHEAD
    assert first is not None
    assignment.done(first, result_of(first))
    assert sum(stop - start for start, stop in assignment.results()) == waiting + 64
    assert assignment.next("1", names(3)) is not None


def timeline(total: int, sizes: BlockSizes, speeds: list[float]) -> tuple[float, list[int]]:
    """When the last machine is done, in bootstraps of seven a neuron at speed 1 and nine a call; and the blocks."""
    now = 0.0
    assignment: Assignment[Positions] = Assignment(total, sizes, lambda: now)
    events: list[tuple[float, int, Block | None]] = [(0.0, machine, None) for machine in range(len(speeds))]
    blocks = []
    machines = names(len(speeds))
    while events:
        now, machine, ended = heapq.heappop(events)
        if ended is not None:
            assignment.ended(ended)
            assignment.done(ended, result_of(ended))
            list(assignment.results())
        if (block := assignment.next(machines[machine], machines)) is not None:
            blocks.append(block.stop - block.start)
            heapq.heappush(events, (now + (9 + 7 * blocks[-1]) / speeds[machine], machine, block))
    return now, blocks


@given(st.integers(2, 8), st.lists(st.floats(1, 2), min_size=8, max_size=8))
def test_machines_of_unlike_speed_end_at_about_the_same_time(machines: int, speeds: list[float]) -> None:
    """In a layer with work for all of them: within a quarter of what would be best."""
    layer = DenseLayer(np.ones((1024, 200), dtype=np.int64), np.full(1024, 100))
    sizes = block_sizes(layer, plan_of("accumulate", layer), layer.outputs, machines, 1, PROFILE)
    best = 7 * layer.outputs / sum(speeds[:machines])
    assert timeline(layer.outputs, sizes, speeds[:machines])[0] < 1.25 * best


def test_machines_of_about_the_same_speed_share_a_layer_in_few_blocks() -> None:
    sizes = BlockSizes(8, 64)
    assert timeline(256, sizes, [1.0, 1.05])[1] == [64, 64, 64, 64]
    assert timeline(256, sizes, [1.0, 1.0, 1.0])[1] == [64, 64, 64, 16, 16, 16, 8, 8]
    assert timeline(256, sizes, [1.0, 3.0])[1][:4] == [64, 64, 64, 32], "what the slow one has begun does not wait"


def plan_of(strategy: str, layer: Layer) -> LayerPlan:
    sums = reach(layer)
    work = STRATEGIES[strategy].work(layer, sums, 1, PROFILE)
    return LayerPlan(strategy=strategy, sums=sums, bootstraps=work.bootstraps)


def dense(outputs: int, inputs: int) -> DenseLayer:
    return DenseLayer(np.ones((outputs, inputs), dtype=np.int64), np.full(outputs, inputs // 2))


def test_blocks_are_as_large_as_the_fixed_cost_of_their_calls_wants() -> None:
    """Few bootstraps a neuron want many neurons a call; threads share bootstraps, and not the fixed cost."""

    def sizes(strategy: str, layer: Layer, *, machines: int = 2, threads: int = 1) -> BlockSizes:
        return block_sizes(layer, plan_of(strategy, layer), layer.outputs, machines, threads, PROFILE)

    wide = dense(1000, 200)
    assert sizes("accumulate", wide) == BlockSizes(8, 64)
    assert sizes("approximate", wide) == BlockSizes(64, 256)
    assert sizes("accumulate", wide, threads=4) == BlockSizes(32, 256)
    assert sizes("reduce-tree", wide).most < 64, "a neuron of hundreds of gates is a lot already"
    assert sizes("reduce-tree", wide).least < sizes("reduce-tree", dense(1000, 5)).least


@pytest.mark.parametrize("strategy", ["accumulate", "approximate", "reduce-tree"])
@given(outputs=st.integers(1, 40), machines=st.integers(1, 20), threads=st.integers(1, 64))
@settings(max_examples=30)
def test_a_small_layer_still_reaches_all_machines(strategy: str, outputs: int, machines: int, threads: int) -> None:
    layer = dense(outputs, 6)
    assignment: Assignment[Positions] = Assignment(
        outputs, block_sizes(layer, plan_of(strategy, layer), outputs, machines, threads, PROFILE)
    )
    blocks = 0
    while assignment.next("0", names(machines)):
        blocks += 1
    assert blocks >= min(outputs, machines)


def test_a_window_without_inputs_has_sizes_too() -> None:
    from epaas_shared.layers import ConvolutionLayer

    layer = ConvolutionLayer(np.ones((1, 1, 1, 1), dtype=np.int64), np.array([1]), height=1, width=1, padding=(1, 1))
    assert not len(layer.rows(0, 1).inputs)
    assert block_sizes(layer, plan_of("accumulate", layer), layer.outputs, 2, 1, PROFILE).least >= 1


@given(st.integers(1, 9), st.integers(1, 400), st.data())
def test_runs_are_the_positions_between_two_in_order(records: int, outputs: int, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, records * outputs - 1))
    stop = data.draw(st.integers(start + 1, records * outputs))
    found = [
        record * outputs + output for record, first, end in runs(start, stop, outputs) for output in range(first, end)
    ]
    assert found == list(range(start, stop))


@given(st.integers(1, 2**40), st.integers(0, 2**32))
def test_packed_rows_are_the_rows_in_the_fewest_bytes(largest: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    weights = random.integers(-largest, largest, (3, 4), endpoint=True)
    weights[0, 0] = -largest
    weights[1, 1] = largest
    rows = Rows(np.arange(4), weights, np.arange(3))
    packed = PackedRows.of(rows)
    assert packed.rows.weights.tolist() == weights.tolist()
    assert packed.rows.weights.dtype == np.int64
    assert packed.weights.itemsize == next(size for size in (1, 2, 4, 8) if largest < 1 << (8 * size - 1))


def in_blocks(name: str, layer: Layer, records: int, seed: int, cut: Callable[[int], int]) -> None:
    """What is made of blocks of any size, each from packed rows, is what the plain layer says."""
    strategy, sums = STRATEGIES[name], reach(layer)
    bits = random_bits(records, layer.inputs, seed)
    ciphertexts = trivial(bits, 1)
    method = strategy.method(layer, sums, PROFILE)
    bootstrap = Batched(ClearCircuits(), lambda _: None)
    shared = [method.share(record[None], bootstrap)[0] for record in ciphertexts]
    assert method.shares == (len(shared[0]) > 0)
    found: list[int] = []
    while len(found) < records * layer.outputs:
        stop = min(len(found) + cut(len(found)), records * layer.outputs)
        block = [
            Run(PackedRows.of(layer.rows(first, end)).rows, ciphertexts[record], shared[record])
            for record, first, end in runs(len(found), stop, layer.outputs)
        ]
        found += messages(method.evaluate(block, bootstrap)).tolist()
    assert found == (layer.sums(bits) >= 0).astype(int).ravel().tolist()


CUTS = st.lists(st.integers(1, BLOCK), min_size=1, max_size=8).map(
    lambda sizes: lambda start: sizes[start % len(sizes)]
)


@pytest.mark.parametrize("name", sorted(STRATEGIES))
@settings(max_examples=15)
@given(layer=dense_layers(), records=st.integers(1, 3), seed=st.integers(0, 2**32), cut=CUTS)
def test_blocks_of_any_size_make_the_layer(
    name: str, layer: DenseLayer, records: int, seed: int, cut: Callable[[int], int]
) -> None:
    in_blocks(name, layer, records, seed, cut)


@pytest.mark.parametrize("name", sorted(name for name in STRATEGIES if not name.endswith("+1")))
@settings(max_examples=8)
@given(layer=convolutions(), records=st.integers(1, 2), seed=st.integers(0, 2**32), cut=CUTS)
def test_blocks_of_any_size_make_a_convolution(
    name: str, layer: Layer, records: int, seed: int, cut: Callable[[int], int]
) -> None:
    in_blocks(name, layer, records, seed, cut)


@pytest.mark.parametrize("name", sorted(name for name in STRATEGIES if name.endswith("+1")))
def test_blocks_read_the_total_that_the_layer_shares(name: str) -> None:
    weights = np.ones((20, 96), dtype=np.int64)
    weights[np.arange(20), np.arange(20)] = -1
    layer = DenseLayer(weights, np.arange(38, 58))
    assert STRATEGIES[name].method(layer, reach(layer), PROFILE).shares
    in_blocks(name, layer, records=2, seed=5, cut=lambda _: 7)

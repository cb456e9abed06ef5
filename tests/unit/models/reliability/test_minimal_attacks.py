"""The nearest mistakes that are found: on a linear network they are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from picture_making import SIDE, attacked, reference, sign_subject
from torch import Tensor, nn

from epaas_models.reliability.robustness.attacked_pictures import AttackedPictures
from epaas_models.reliability.robustness.minimal_attacks import (
    BISECTIONS,
    Nearest,
    bisected,
    deepfool,
    hop_skip_jump,
    nearest,
)
from epaas_models.reliability.straight_through import PictureTwin, Twin, pictures_of
from epaas_models.reliability.subject import Subject
from epaas_shared.features import WHITE, ImageFeature
from epaas_shared.layers import DenseLayer
from epaas_shared.network import Network
from epaas_shared.schema import InputSchema


def counting_subject(bits: int = 40) -> Subject:
    """Fires if at least half of the thresholds of a picture of one pixel are reached: if it is not dark."""
    edges = tuple(float(t) for t in np.linspace(5, 250, bits))
    image = ImageFeature(name="image", height=1, width=1, thresholds=edges, framing="whole")
    schema = InputSchema(task="toy", version=1, title="T", target="y", classes=("dark", "light"), features=(image,))
    layer = DenseLayer(np.ones((1, bits), dtype=np.int64), np.array([bits // 2]))
    return Subject(Network((layer,)), schema, unit=1.0)


def twin(naive: bool = False) -> PictureTwin:
    subject = sign_subject()
    return PictureTwin(subject, Twin(subject, reference(subject), unit=10.0, reach=0.5, naive=naive))


def test_distances_are_those_of_numpy() -> None:
    rows = attacked(12)
    moved = rows.pictures.flip(2).flip(3)
    found = nearest(rows, moved)
    change = np.flip(rows.levels, (1, 2)) - rows.levels
    for row in range(12):
        assert found.distance[row] == pytest.approx(np.abs(change[row]).max() / WHITE, abs=1e-6)
        expected = np.sqrt((change[row] ** 2).sum()) / np.sqrt((rows.levels[row] ** 2).sum())
        assert found.rho[row] == pytest.approx(expected, rel=1e-5)
    flipped = rows.predicted(np.flip(rows.levels, (1, 2)))
    np.testing.assert_array_equal(found.found, (rows.clean == rows.labels) & (flipped != rows.labels))


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_deepfool_finds_how_far_a_pixel_is_from_the_only_boundary(norm: str) -> None:
    subject = counting_subject()
    boundary = np.linspace(5, 250, 40)[19]
    levels = np.array([10.0, 90.0, 180.0, 240.0]).reshape(4, 1, 1)
    rows = AttackedPictures(subject, levels, subject.predict_columns({"image": levels}))
    bits = subject.schema.encode_columns({"image": np.arange(0, 256, 8.0).reshape(-1, 1, 1)})
    found = deepfool(PictureTwin(subject, Twin(subject, bits)), rows, norm=norm, steps=50)  # type: ignore[arg-type]
    assert found.found.all()
    np.testing.assert_allclose(found.distance, np.abs(levels.ravel() - boundary) / WHITE, atol=1 / WHITE)
    section = found.section("DeepFool")
    assert section.found == 1.0
    assert section.rows == 4
    assert section.median == pytest.approx(np.median(np.abs(levels - boundary)) / WHITE, abs=1 / WHITE)


def test_bisection_ends_at_the_boundary_on_the_mistaken_side() -> None:
    rows = attacked(30)
    rows = rows.only(rows.clean == rows.labels)
    far = rows.pictures.flip(2).flip(3)
    mistaken = rows.judged(far, 1.0) != rows.labels
    rows, far = rows.only(mistaken), far[torch.from_numpy(mistaken)]
    whole = (far - rows.pictures).abs().amax((1, 2, 3))
    parts = (bisected(rows, far) - rows.pictures).abs().amax((1, 2, 3)) / whole * 2**BISECTIONS

    def taken(steps: Tensor) -> np.ndarray:
        on_the_way = rows.pictures + (far - rows.pictures) * (steps / 2**BISECTIONS)[:, None, None, None]
        return rows.judged(on_the_way, 1.0)

    steps = parts.round()
    assert torch.allclose(parts, steps, atol=0.01)
    assert (taken(steps + 0.01) != rows.labels).all()
    assert (taken(steps - 1) == rows.labels).all()


def test_naive_gradients_find_nothing_and_the_report_has_no_numbers_of_it() -> None:
    rows = attacked(20)
    section = deepfool(twin(naive=True), rows, norm="linf", steps=10).section("DeepFool")
    assert section.found == 0.0
    assert section.median is None
    assert section.rho is None
    assert deepfool(twin(), rows, norm="linf", steps=10).section("DeepFool").found > 0.9


def test_decisions_alone_find_mistakes_and_always_the_same() -> None:
    rows, starts = attacked(6), attacked(40, seed=3)
    first, again = (hop_skip_jump(twin(), rows, starts, steps=4, queries=30, seed=7) for _ in range(2))
    right = rows.clean == rows.labels
    np.testing.assert_array_equal(first.found, right)
    np.testing.assert_array_equal(first.distance, again.distance)
    assert (first.distance[right] < 0.6).all()


def test_rows_without_a_start_stay_as_they_are() -> None:
    rows = attacked(6)
    same = AttackedPictures(rows.subject, rows.levels[:1], rows.labels[:1])
    only = rows.only(rows.labels == same.clean[0])
    found = hop_skip_jump(twin(), only, same, steps=2, queries=10, seed=0)
    assert not found.found.any()
    assert not found.distance.any()


def test_as_an_attack_it_succeeds_where_it_is_near_enough() -> None:
    found = Nearest(
        right=np.array([True, True, True, False]),
        found=np.array([True, True, False, False]),
        distance=np.array([0.1, 0.25, 0.0, 0.0]),
        rho=np.array([0.2, 0.4, 0.0, 0.0]),
    )
    outcome = found.outcome("x", (0.1, 0.2, 0.3), knowledge="decisions", gradient="none", settings={})
    np.testing.assert_array_equal(outcome.wrong, [[1, 0, 0, 1], [1, 0, 0, 1], [1, 1, 0, 1]])
    section = found.section("x")
    assert (section.rows, section.found) == (3, pytest.approx(2 / 3))
    assert section.median == pytest.approx(0.175)
    assert section.rho == pytest.approx(0.3)


class _Unused(nn.Module):
    def forward(self, pictures: Tensor) -> Tensor:
        raise AssertionError("nothing to attack")


def test_without_a_row_that_is_right_nothing_is_asked() -> None:
    levels = np.zeros((2, SIDE, SIDE))
    clean = AttackedPictures(sign_subject(), levels, np.zeros(2, dtype=np.int64)).clean
    wrong = AttackedPictures(sign_subject(), levels, (clean + 1) % 4)
    found = hop_skip_jump(_Unused(), wrong, attacked(20), steps=2, queries=10, seed=0)
    assert found.section("HopSkipJump").rows == 0
    assert torch.equal(pictures_of(levels), wrong.pictures)

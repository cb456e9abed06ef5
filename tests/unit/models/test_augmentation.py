"""Changed pictures: as many as asked for, by no more than asked for, and the same again from the same generator."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from epaas_models.augmentation import Augmentation, augment

STRONG = Augmentation(rotation=0.3, scale=0.2, shear=0.2, shift=2.0, elastic=0.5, mirror=True)


def noise(count: int, height: int = 9, width: int = 12) -> NDArray[np.uint8]:
    return np.random.default_rng(count).integers(0, 256, (count, height, width), dtype=np.uint8)


def augmented(images: NDArray[np.uint8], how: Augmentation, seed: int = 0) -> NDArray[np.uint8]:
    return augment(images, how, torch.Generator().manual_seed(seed))


def changed(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[Any]:
    return (before != after).any(axis=(1, 2))


@given(st.integers(1, 6), st.integers(2, 15), st.integers(2, 15))
def test_nothing_changes_by_amounts_of_zero(count: int, height: int, width: int) -> None:
    images = noise(count, height, width)
    assert (augmented(images, Augmentation()) == images).all()


def test_no_picture_changes_with_a_share_of_zero() -> None:
    images = noise(50)
    assert (augmented(images, STRONG.model_copy(update={"share": 0.0})) == images).all()


@pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
def test_about_the_share_of_the_pictures_changes(share: float) -> None:
    images = noise(1000)
    how = Augmentation(share=share, shift=1.0)
    assert changed(images, augmented(images, how)).mean() == pytest.approx(share, abs=0.05 if share < 1 else 0)


def test_the_generator_decides_and_the_originals_stay() -> None:
    images = noise(20)
    before = images.copy()
    first = augmented(images, STRONG)
    assert (first.dtype, first.shape) == (np.uint8, images.shape)
    assert (augmented(images, STRONG) == first).all()
    assert (augmented(images, STRONG, seed=1) != first).any()
    assert (images == before).all()


def test_mirroring_swaps_left_and_right_of_half_of_the_pictures_and_no_more() -> None:
    images = noise(400)
    after = augmented(images, Augmentation(mirror=True))
    swapped = changed(images, after)
    assert (after[swapped] == images[swapped][:, :, ::-1]).all()
    assert swapped.mean() == pytest.approx(0.5, abs=0.08)


def dots(count: int) -> NDArray[np.uint8]:
    """A white pixel in the middle of 15 by 21."""
    images = np.zeros((count, 15, 21), dtype=np.uint8)
    images[:, 7, 10] = 255
    return images


def centres(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Vertical and horizontal distance of each picture's centre of mass from the middle, (pictures, 2)."""
    weights = images.astype(float) / images.sum(axis=(1, 2), keepdims=True)
    down = (weights.sum(axis=2) * np.arange(-7, 8)).sum(axis=1)
    right = (weights.sum(axis=1) * np.arange(-10, 11)).sum(axis=1)
    return np.stack([down, right], axis=1)


@pytest.mark.parametrize("shift", [1.0, 2.0, 3.5])
def test_pictures_move_by_up_to_the_shift_in_pixels_either_way(shift: float) -> None:
    moved = centres(augmented(dots(500), Augmentation(shift=shift)))
    assert np.abs(moved).max() <= shift + 0.05  # grey levels are rounded
    assert (moved.max(axis=0) > 0.9 * shift).all()
    assert (moved.min(axis=0) < -0.9 * shift).all()


@pytest.mark.parametrize("axis", [1, 2])
def test_elastic_displacements_have_their_standard_deviation(axis: int) -> None:
    """On a ramp of 10 grey levels a pixel, in whose middle a displacement is one of those drawn."""
    ramp = np.moveaxis(np.broadcast_to(10 * np.arange(21, dtype=np.uint8), (2000, 21, 21)), 2, axis)
    pixels = (augmented(np.ascontiguousarray(ramp), Augmentation(elastic=0.8))[:, 10, 10].astype(float) - 100) / 10
    assert pixels.std() == pytest.approx(0.8, rel=0.1)
    assert pixels.mean() == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("how", [Augmentation(rotation=0.3), Augmentation(scale=0.3), Augmentation(shear=0.3)])
def test_turning_and_stretching_leave_the_middle_where_it_is(how: Augmentation) -> None:
    images = dots(100)
    images[:, 3, 14] = 255
    after = augmented(images, how)
    assert (after[:, 7, 10] == 255).all()
    assert changed(images, after).mean() > 0.9

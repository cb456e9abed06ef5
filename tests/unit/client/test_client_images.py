"""Pictures that the tests draw: whatever file they come in, the grid shows the same strokes in the same place."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from epaas_client import images
from epaas_client.images import Grid, preview, read_image
from epaas_shared.errors import InvalidRecord
from epaas_shared.features import ImageFeature

DIGIT = ImageFeature(name="image", height=28, width=28, thresholds=(128,), framing="digit")
WHOLE = ImageFeature(name="image", height=10, width=20, thresholds=(128,), framing="whole")


def saved(picture: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def seven(size: int = 280, mode: str = "L", ink: Any = 0, paper: Any = 255) -> Image.Image:
    """A seven of a third of the picture's height, below and right of its middle."""
    picture = Image.new(mode, (size, size), paper)
    points = [(size * x // 100, size * y // 100) for x, y in ((55, 60), (75, 60), (60, 93))]
    ImageDraw.Draw(picture).line(points, fill=ink, width=max(size // 25, 1), joint="curve")
    return picture


def framed(picture: Image.Image, form: str = "PNG", **options: Any) -> Grid:
    return read_image(saved(picture, form, **options), "a.png", DIGIT)


def centre(grid: Grid) -> tuple[float, float]:
    rows, columns = np.indices(grid.shape)
    return float(np.average(rows, weights=grid)), float(np.average(columns, weights=grid))


def difference(one: Grid, other: Grid) -> float:
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


SEVEN = framed(seven())
CLOSE = 9.0
"""The same strokes, up to a pixel more or less of a side of their box; of 255."""


def test_a_digit_is_framed_as_in_mnist() -> None:
    assert (SEVEN.shape, SEVEN.dtype, SEVEN.max()) == ((28, 28), np.uint8, 255)
    assert centre(SEVEN) == pytest.approx((14, 14), abs=0.6)
    box = np.argwhere(SEVEN)
    assert (box.max(axis=0) - box.min(axis=0) + 1).max() == 20
    # A seven has its bar at the top and its foot in the left half.
    assert SEVEN[7:10].sum() > 2 * SEVEN[24:27].sum()
    assert SEVEN[20:, :14].sum() > 5 * SEVEN[20:, 14:].sum()


def rotated_by_the_camera() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter, clockwise
    return saved(seven().transpose(Image.Transpose.ROTATE_90), "JPEG", quality=95, exif=exif)


def on_uneven_paper() -> bytes:
    light = np.linspace(1, 0.4, 700)[None, :] * np.linspace(1, 0.8, 700)[:, None]
    grain = np.random.default_rng(0).normal(0, 5, (700, 700))
    return saved(Image.fromarray((np.asarray(seven(700, ink=30)) * light + grain).clip(0, 255).astype(np.uint8)))


def sixteen_bits() -> bytes:
    return saved(Image.fromarray(np.asarray(seven()).astype(np.uint16) * 257))


@pytest.mark.parametrize(
    "file",
    [
        saved(seven(ink=255, paper=0)),
        saved(seven(ink=60, paper=140)),
        saved(seven(1400)),
        saved(seven(mode="RGB", ink=(20, 20, 160), paper=(250, 240, 200))),
        saved(seven(mode="RGBA", ink=(0, 0, 0, 255), paper=(0, 0, 0, 0))),
        saved(seven(mode="LA", ink=(0, 255), paper=(0, 0))),
        saved(seven(mode="P", ink=1, paper=0), transparency=0),
        saved(seven(mode="1", ink=0, paper=1)),
        saved(seven(mode="CMYK", ink=(0, 0, 0, 255), paper=0), "TIFF"),
        saved(seven(), "JPEG"),
        saved(seven(), "GIF"),
        saved(seven(), "BMP"),
        saved(seven(), "WEBP"),
        rotated_by_the_camera(),
        on_uneven_paper(),
        sixteen_bits(),
    ],
    ids=lambda _: "file",
)
def test_the_same_digit_from_any_file(file: bytes) -> None:
    grid = read_image(file, "a", DIGIT)
    assert difference(grid, SEVEN) < CLOSE
    assert difference(grid[:, ::-1], SEVEN) > 2 * CLOSE


@settings(max_examples=25)
@given(st.integers(-80, 10), st.integers(-80, 5))
def test_where_a_digit_is_does_not_matter(right: int, down: int) -> None:
    moved = Image.new("L", (280, 280), 255)
    moved.paste(seven(), (right, down))
    moved.paste(255, (0, 0, 280, max(down, 0)))
    assert difference(framed(moved), SEVEN) < CLOSE


def test_a_grid_with_a_dark_border_is_taken_as_it_is() -> None:
    off_centre = np.roll(SEVEN, (-3, -2), axis=(0, 1))
    assert (framed(Image.fromarray(off_centre)) == off_centre).all()
    # In the colours of paper it is framed, and comes out nearly the same, in the middle again.
    assert difference(framed(Image.fromarray(255 - off_centre)), SEVEN) < CLOSE


def test_a_speck_of_dust_does_not_shrink_the_digit() -> None:
    dusty = seven(700)
    dusty.putpixel((20, 30), 0)
    assert difference(framed(dusty), framed(seven(700))) < 2


def test_the_box_is_in_proportion_to_the_grid() -> None:
    larger = read_image(saved(seven()), "a", DIGIT.model_copy(update={"height": 56, "width": 42}))
    box = np.argwhere(larger)
    assert larger.shape == (56, 42)
    height, width = box.max(axis=0) - box.min(axis=0) + 1
    assert (height, width) == (40, pytest.approx(25, abs=5))


@pytest.mark.parametrize("size", [(1, 1), (28, 28), (300, 200), (1, 5000)])
@pytest.mark.parametrize("colour", [0, 128, 255])
def test_a_blank_picture_is_no_digit(size: tuple[int, int], colour: int) -> None:
    with pytest.raises(InvalidRecord, match=r"^a\.png: there is no stroke in the picture") as raised:
        framed(Image.new("L", size, colour))
    assert raised.value.hint


def test_empty_paper_with_its_grain_is_no_digit() -> None:
    grain = np.random.default_rng(0).normal(200, 6, (500, 500))
    with pytest.raises(InvalidRecord, match="no stroke"):
        framed(Image.fromarray(grain.astype(np.uint8)))


def test_a_whole_picture_is_cut_to_the_proportions_and_resized() -> None:
    picture = Image.new("RGB", (60, 100), (255, 0, 0))
    picture.paste((0, 0, 255), (0, 35, 60, 65))  # the middle, 60 x 30
    grid = read_image(saved(picture), "a", WHOLE)
    assert (grid.shape, grid.dtype) == ((10, 20), np.uint8)
    assert (grid[1:-1] == 29).all()  # the luminance of blue
    assert (read_image(saved(Image.new("L", (1, 1), 77)), "a", WHOLE) == 77).all()


def claiming(width: int, height: int) -> bytes:
    """A small file that says that it is a huge picture."""
    bitmap = bytearray(saved(Image.new("L", (1, 1)), "BMP"))
    bitmap[18:26] = width.to_bytes(4, "little") + height.to_bytes(4, "little")
    return bytes(bitmap)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is not a picture"),
        (b"radius,texture\n1,2\n", "the file is not a picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "the file is not a picture"),
        (saved(seven())[:300], "the picture is damaged"),
        (saved(seven(), "JPEG")[:700], "the picture is damaged"),
        (saved(seven(), "GIF")[:200], "the picture is damaged"),
        (saved(Image.new("F", (9, 9)), "TIFF"), "of no known range"),
        (saved(Image.new("I", (9, 9)), "TIFF"), "of no known range"),
        (claiming(10_000, 5_001), "more than 50 million pixels"),
        (claiming(50_000, 50_000), "more than 50 million pixels"),
    ],
    ids=lambda value: value if isinstance(value, str) else "file",
)
def test_what_is_no_usable_picture_says_so(data: bytes, message: str) -> None:
    with pytest.raises(InvalidRecord, match=rf"^me\.png: .*{message}") as raised:
        read_image(data, "me.png", DIGIT)
    assert raised.value.hint


@given(st.binary(max_size=8), st.integers(0, 400), st.sampled_from(["PNG", "GIF", "BMP", "TIFF", "JPEG"]))
def test_damage_is_an_error_of_ours_or_none(damage: bytes, place: int, form: str) -> None:
    data = saved(seven(40), form)
    try:
        grid = read_image(data[:place] + damage + data[place + len(damage) :], "a", DIGIT)
    except InvalidRecord:
        return
    assert (grid.shape, grid.dtype, grid.max()) == ((28, 28), np.uint8, 255)


@pytest.mark.parametrize(
    ("grid", "text"),
    [
        ([[0, 255], [255, 0]], "▄▀"),
        ([[0, 60, 120, 180, 255]] * 2, " ░▒▓█"),
        ([[255], [255], [255]], "█\n▀"),
    ],
)
def test_preview(grid: list[list[int]], text: str) -> None:
    assert preview(np.array(grid, dtype=np.uint8)) == text


def test_preview_of_a_wide_grid_fits_a_terminal() -> None:
    lines = preview(np.full((300, 300), 255, dtype=np.uint8)).split("\n")
    assert {len(line) for line in lines} == {75}
    assert len(lines) == 38


def test_a_large_picture_is_refused_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    def unpacked(*_: Any) -> Callable[[], None]:
        raise AssertionError("the picture was unpacked")

    monkeypatch.setattr(images, "MAX_PIXELS", 280 * 280 - 1)
    monkeypatch.setattr(images, "_flat", unpacked)
    with pytest.raises(InvalidRecord, match="more than"):
        framed(seven())

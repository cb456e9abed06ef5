"""Pictures as grids of grey levels: reading an image file, framing it for an image feature, showing it as text.

The preparation is public and the same for every model of a task. This module knows neither folders nor terminals; it is
loaded only where there is a picture, and Pillow only where one is read.
"""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from epaas_shared.errors import InvalidRecord
from epaas_shared.features import ImageFeature

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

Grid = NDArray[np.uint8]
"""Grey levels, 0 (black) to 255 (white), shape (height, width)."""

MAX_PIXELS = 50_000_000
"""A larger picture is refused before it is unpacked: a small file can claim to be a huge picture."""

# Named, since Pillow would else look for what a file is by itself and start other programs for some of them.
_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF")
_SAVE_AGAIN = "save it again as PNG or JPEG"
_WORKING_SIDE = 256
"""Strokes are looked for in a picture of at most this side."""
_DARK = 32
"""Below this grey level the border of a picture is black."""
_FAINTEST = 0.1
"""How much darker than the paper the darkest stroke is at least."""
_GRAIN = 0.25
"""What is less dark, as a share of the darkest stroke, is the paper's grain."""
_SPECK = 0.001
"""The share of the ink that may lie beyond each side of a digit's box, such as a speck of dust."""
_SHADES = " ░▒▓█"
_PREVIEW_COLUMNS = 80


def read_image(data: bytes, name: str, feature: ImageFeature) -> Grid:
    """The picture in an image file's bytes, framed for ``feature``: shape (height, width).

    The first picture of several; upright, as a camera's EXIF data say; transparent parts white; colours by luminance.
    Raises :class:`InvalidRecord` naming the file (``name``) where it is no picture, too large or, for a digit, blank.
    """
    picture = _grey(data, name)
    if feature.framing == "whole":
        return _whole(picture, feature)
    grid = _digit(picture, feature)
    if grid is None:
        hint = "write one digit with a clear contrast to its background; a transparent background counts as white"
        raise InvalidRecord("there is no stroke in the picture", field=name, hint=hint)
    return grid


def preview(grid: NDArray[np.uint8] | NDArray[np.float64]) -> str:
    """The grid as lines of text, a character for two pixels one above the other; light pixels are filled."""
    skipped = -(-grid.shape[1] // _PREVIEW_COLUMNS)
    pixels = grid[::skipped, ::skipped].astype(int)
    if len(pixels) % 2:
        pixels = np.vstack([pixels, np.zeros_like(pixels[:1])])
    shades = (pixels * len(_SHADES)) // 256
    return "\n".join(
        "".join(map(_half_block, upper, lower)) for upper, lower in zip(shades[::2], shades[1::2], strict=True)
    )


def _half_block(upper: int, lower: int) -> str:
    if abs(upper - lower) < 2:
        return _SHADES[max(upper, lower)]
    return "▀" if upper > lower else "▄"


def _grey(data: bytes, name: str) -> Picture:
    """The picture of an image file, of mode L."""
    from PIL import Image, UnidentifiedImageError

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Pillow warns of is refused below, or does not matter
        try:
            with Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
                if picture.width * picture.height > MAX_PIXELS:
                    raise _too_large(name)
                return _flat(picture, name)
        except InvalidRecord:
            raise
        except UnidentifiedImageError:
            hint = f"give a file of the format {', '.join(_FORMATS)}"
            raise InvalidRecord("the file is not a picture", field=name, hint=hint) from None
        except Image.DecompressionBombError:
            raise _too_large(name) from None
        except Exception as error:  # damaged files make Pillow's readers raise errors of nearly any kind
            reason = str(error) or type(error).__name__
            raise InvalidRecord(f"the picture is damaged: {reason}", field=name, hint=_SAVE_AGAIN) from None


def _too_large(name: str) -> InvalidRecord:
    limit = f"{MAX_PIXELS // 1_000_000} million pixels"
    return InvalidRecord(f"the picture has more than {limit}", field=name, hint="make it smaller")


def _flat(picture: Picture, name: str) -> Picture:
    """Upright, on white, grey: an opened picture in mode L."""
    from PIL import Image, ImageOps

    picture = ImageOps.exif_transpose(picture)
    if picture.mode in ("F", "I"):
        raise InvalidRecord("the picture has grey levels of no known range", field=name, hint=_SAVE_AGAIN)
    if picture.mode.startswith("I;16"):  # which Pillow would cut off at 255
        return Image.fromarray((np.asarray(picture) // 257).astype(np.uint8))
    if picture.has_transparency_data:
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture.convert("RGBA"))
    return picture.convert("L")


def _whole(picture: Picture, feature: ImageFeature) -> Grid:
    """The middle of the picture in the grid's proportions, resized."""
    from PIL import Image, ImageOps

    size = (feature.width, feature.height)
    return np.asarray(ImageOps.fit(picture, size, Image.Resampling.BILINEAR))


def _digit(picture: Picture, feature: ImageFeature) -> Grid | None:
    """As MNIST was made (LeCun et al. 1998); None for a blank picture.

    Light strokes on black; their box scaled into 20 x 20 of 28 x 28 (in proportion for other grids) with anti-aliasing
    and in its own proportions; then moved to have its centre of mass in the middle. A picture that has the grid's size
    and a black border is taken as it is.
    """
    from PIL import Image

    height, width = feature.height, feature.width
    levels: Grid = np.asarray(picture)
    if levels.shape == (height, width) and np.median(_border(levels)) < _DARK <= levels.max():
        return levels
    ink = _ink(picture)
    if ink is None:
        return None
    ink = ink[_extent(ink.sum(axis=1)), _extent(ink.sum(axis=0))]
    scale = min(round(height * 20 / 28) / ink.shape[0], round(width * 20 / 28) / ink.shape[1])
    size = [max(1, round(side * scale)) for side in ink.shape]
    scaled = Image.fromarray(ink.astype(np.float32)).resize((size[1], size[0]), Image.Resampling.BILINEAR)
    strokes = np.asarray(scaled).astype(np.float64)
    grid = np.zeros((height, width), dtype=np.uint8)
    top, left = _start(strokes.sum(axis=1), height), _start(strokes.sum(axis=0), width)
    grid[top : top + size[0], left : left + size[1]] = (strokes * (255 / strokes.max())).round()
    return grid


def _ink(picture: Picture) -> NDArray[np.float64] | None:
    """How much ink each pixel has, 0 to 1, with the paper at 0; None where all is paper.

    The colour that most of the border has is the paper. The light on it may be uneven, so ink is how much darker a
    pixel is than the paper about it, which is the upper quartile of the picture within an eighth of its side.
    """
    from PIL import Image, ImageFilter, ImageOps

    picture = picture.copy()
    picture.thumbnail((_WORKING_SIDE, _WORKING_SIDE), Image.Resampling.BILINEAR)
    levels: Grid = np.asarray(picture)
    if (_border(levels) > _otsu(levels)).mean() < 0.5:
        picture = ImageOps.invert(picture)
    coarse = picture.resize((32, 32), Image.Resampling.BOX)
    coarse = coarse.filter(ImageFilter.RankFilter(9, 60)).filter(ImageFilter.BoxBlur(1))
    paper = np.asarray(coarse.resize(picture.size, Image.Resampling.BILINEAR)).clip(1)
    ink = (1 - np.asarray(picture) / paper).clip(0)
    smooth = np.asarray(Image.fromarray((ink * 255).astype(np.uint8)).filter(ImageFilter.BoxBlur(1))) / 255
    darkest = smooth.max()
    if darkest < _FAINTEST:
        return None
    stretched: NDArray[np.float64] = ((ink / darkest - _GRAIN) / (1 - _GRAIN)).clip(0, 1)
    stretched[smooth < _GRAIN * darkest] = 0
    return stretched if stretched.any() else None


def _border(levels: Grid) -> Grid:
    """The outermost pixels, a twentieth of the picture on each side."""
    depth = max(1, min(levels.shape) // 20)
    sides = (levels[:depth], levels[-depth:], levels[:, :depth], levels[:, -depth:])
    return np.concatenate([side.ravel() for side in sides])


def _otsu(levels: Grid) -> int:
    """The grey level that parts the levels up to it best from those above it (Otsu 1979)."""
    counts = np.bincount(levels.ravel(), minlength=256).astype(np.float64)
    below, sums = counts.cumsum(), (counts * np.arange(256)).cumsum()
    sizes = below * (below[-1] - below)
    between = (sums[-1] * below / below[-1] - sums) ** 2 / np.where(sizes, sizes, np.inf)
    return int(between.argmax())


def _extent(ink: NDArray[np.float64]) -> slice:
    """From the first to the last row (or column) with ink, less the specks beyond them."""
    shares = ink.cumsum() / ink.sum()
    return slice(int(np.searchsorted(shares, _SPECK, "right")), int(np.searchsorted(shares, 1 - _SPECK)) + 1)


def _start(ink: NDArray[np.float64], room: int) -> int:
    """Where to put rows (or columns) with this ink so that its centre of mass is at ``room / 2``, and all within."""
    centre = float((ink * np.arange(len(ink))).sum() / ink.sum())
    return min(max(round(room / 2 - centre), 0), room - len(ink))

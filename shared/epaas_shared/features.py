"""Features: one column of a record, which values it may have, and how they become bits.

Owns the check of a single raw value and the encoding of a column of checked ones. Knows nothing of files or terminals,
nor which features make up a task (``schema``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from epaas_shared.errors import InvalidRecord

Bits = NDArray[np.uint8]
"""Zeros and ones; the last axis has one entry a bit."""

WHITE = 255.0
"""The greatest grey level of an image; black is 0."""

_SHOWN_VALUES = 10
"""How many values of a category an error lists."""


@dataclass(frozen=True)
class Encoding:
    """Which bits of an input belong together, and the values that they can take together."""

    bits: slice
    """With ends that are given and perhaps a step: the bits of a pixel are apart from one another."""
    patterns: Bits
    """Every possible value of these bits, shape (values, number of bits)."""

    @property
    def free(self) -> bool:
        """Whether the bits are independent of one another."""
        values, bits = self.patterns.shape
        return bool(values == 2**bits)

    def moved(self, by: int) -> Encoding:
        """The same values of bits that come ``by`` places later."""
        return Encoding(slice(self.bits.start + by, self.bits.stop + by, self.bits.step), self.patterns)


class _Column(BaseModel):
    """What all features have. A feature also has ``bits``, ``encodings`` from bit 0 on, ``value`` and ``encode``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    dtype: ClassVar[type] = np.float64
    """Of an array of checked values."""

    name: str = Field(min_length=1)


class NumberFeature(_Column):
    """A number as bits.

    ``one-hot-bins``: one bit a bin, of which exactly one is set (thesis B.1 for Cancer); bin i holds the values v with
    edges[i-1] <= v < edges[i]. ``thresholds``: one bit an edge, set for v >= edges[i]; with a single edge it is a
    binary pixel. ``minimum`` and ``maximum`` bound what is plausible at all: a value outside is a mistake in the
    record, not a rare patient.
    """

    kind: Literal["one-hot-bins", "thresholds"] = "one-hot-bins"
    edges: tuple[float, ...] = Field(min_length=1)
    minimum: float
    maximum: float
    description: str = ""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        _check_increasing(self.name, (self.minimum, *self.edges, self.maximum), "minimum, edges and maximum")
        return self

    @property
    def bits(self) -> int:
        return len(self.edges) + (self.kind == "one-hot-bins")

    @property
    def patterns(self) -> Bits:
        """The bits of a value in each of the bins, shape (bins, bits)."""
        return _one_hot(self.bits) if self.kind == "one-hot-bins" else _thermometer(self.bits)

    @property
    def encodings(self) -> list[Encoding]:
        return [Encoding(slice(0, self.bits), self.patterns)]

    def value(self, raw: Any) -> float:
        """The value as a number within the plausible range. Raises :class:`InvalidRecord` naming this feature."""
        if _is_missing(raw):
            raise InvalidRecord("the value is missing", field=self.name, hint="give a number in every column")
        try:
            number = math.nan if _no_number(raw) else float(raw)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not math.isfinite(number):
            hint = "give a plain number such as 17.3"
            raise InvalidRecord(f"{_shown(raw)} is not a number", field=self.name, hint=hint)
        if not self.minimum <= number <= self.maximum:
            raise InvalidRecord(
                f"{number:g} is outside the plausible range {self.minimum:g} to {self.maximum:g}",
                field=self.name,
                hint="check the unit and the decimal point",
            )
        return number

    def encode(self, column: NDArray[Any]) -> Bits:
        """Checked values, shape (records,), to bits, shape (records, bits)."""
        return self.patterns[np.searchsorted(np.array(self.edges), column, side="right")]


class CategoryFeature(_Column):
    """One of several named values as bits, of which exactly one is set: that of the value.

    With ``other`` there is one more bit, the last, for any other value or none. Surrounding spaces do not count, and
    whole numbers are their digits: 3 and 3.0 are "3".
    """

    dtype: ClassVar[type] = object

    kind: Literal["categories"] = "categories"
    values: tuple[str, ...] = Field(min_length=1)
    other: bool = False
    description: str = ""

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len(set(self.values)) < len(self.values) or any(not text or text != text.strip() for text in self.values):
            raise ValueError(f"feature {self.name}: values must be distinct, not empty and without spaces around them")
        return self

    @property
    def bits(self) -> int:
        return len(self.values) + self.other

    @property
    def encodings(self) -> list[Encoding]:
        return [Encoding(slice(0, self.bits), _one_hot(self.bits))]

    def value(self, raw: Any) -> str:
        """The value as text, empty if it is missing. Raises :class:`InvalidRecord` naming this feature."""
        text = _text(raw)
        if text is None:
            raise InvalidRecord(f"{_shown(raw)} is not a category", field=self.name, hint=self._hint)
        if not self.other and text not in self.values:
            detail = f"{_shown(text)} is not one of its values" if text else "the value is missing"
            raise InvalidRecord(detail, field=self.name, hint=self._hint)
        return text

    @property
    def _hint(self) -> str:
        more = ", ..." if len(self.values) > _SHOWN_VALUES else ""
        return f"give one of {', '.join(self.values[:_SHOWN_VALUES])}{more}"

    def encode(self, column: NDArray[Any]) -> Bits:
        """Checked values, shape (records,), to bits, shape (records, bits)."""
        places = {text: place for place, text in enumerate(self.values)}
        other = len(self.values)  # no such bit without ``other``, but then no checked value needs it
        return _one_hot(self.bits)[np.array([places.get(text, other) for text in column], dtype=np.intp)]


class ImageFeature(_Column):
    """A picture of ``height`` by ``width`` grey levels, 0 (black) to 255 (white), as a few bits a pixel.

    Bit t*height*width + y*width + x is set if pixel (y, x) >= thresholds[t], so that a convolution sees the thresholds
    as the channels of an image. With ``standardised`` each image is first brought to mean 0 and standard deviation 1
    over its own pixels (one of a single colour to zeros), and the thresholds are in those units instead of grey levels.

    ``framing`` says how a picture that is not of this size becomes this grid; whoever reads the picture does it.
    ``digit``, as in MNIST: light strokes on black, the box of the strokes scaled into 20 x 20 of 28 x 28 and their
    centre of mass in the middle. ``whole``: the whole picture resized.
    """

    kind: Literal["image"] = "image"
    height: int = Field(ge=1)
    width: int = Field(ge=1)
    thresholds: tuple[float, ...] = Field(min_length=1)
    standardised: bool = False
    framing: Literal["digit", "whole"]
    description: str = ""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        _check_increasing(self.name, self.thresholds, "thresholds")
        if not self.standardised and not 0 < self.thresholds[0] <= self.thresholds[-1] <= WHITE:
            raise ValueError(f"feature {self.name}: thresholds of grey levels must be over 0 and at most {WHITE:g}")
        return self

    @property
    def pixels(self) -> int:
        return self.height * self.width

    @property
    def bits(self) -> int:
        return len(self.thresholds) * self.pixels

    @property
    def encodings(self) -> list[Encoding]:
        """One a pixel, in the order of the pixels."""
        patterns, last = _thermometer(len(self.thresholds)), self.bits - self.pixels
        return [Encoding(slice(pixel, last + pixel + 1, self.pixels), patterns) for pixel in range(self.pixels)]

    def value(self, raw: Any) -> NDArray[np.float64]:
        """The picture as an array (height, width), from an array or nested lists of exactly this shape.

        Raises :class:`InvalidRecord` naming this feature.
        """
        hint = f"give {self.height} rows of {self.width} grey levels each, from 0 (black) to {WHITE:g} (white)"
        try:
            grid = np.asarray(raw)
        except (TypeError, ValueError, OverflowError):
            raise InvalidRecord("the rows of the picture are not alike", field=self.name, hint=hint) from None
        if grid.dtype.kind not in "uif":
            raise InvalidRecord("the picture is not made of numbers", field=self.name, hint=hint)
        if grid.shape != (self.height, self.width):
            size = " x ".join(map(str, grid.shape)) or "a single number"
            raise InvalidRecord(f"the picture is {size}, not {self.height} x {self.width}", field=self.name, hint=hint)
        if not ((grid >= 0) & (grid <= WHITE)).all():
            raise InvalidRecord(f"a grey level is not within 0 to {WHITE:g}", field=self.name, hint=hint)
        return grid.astype(np.float64)

    def encode(self, column: NDArray[Any]) -> Bits:
        """Checked values, shape (records, height, width), to bits, shape (records, bits)."""
        levels = column.reshape(len(column), self.pixels).astype(np.float64)
        if self.standardised:
            levels = standardise(levels)
        above = levels[:, None, :] >= np.array(self.thresholds)[:, None]
        return above.reshape(len(column), self.bits).view(np.uint8)


Feature = Annotated[NumberFeature | CategoryFeature | ImageFeature, Field(discriminator="kind")]


def standardise(pictures: NDArray[Any]) -> NDArray[np.float64]:
    """Grey levels, shape (pictures, pixels), with mean 0 and standard deviation 1 a picture, or 0 for one colour."""
    # One colour is told from its extremes, since the mean of equal numbers may be rounded.
    varied = pictures.min(axis=1, keepdims=True) < pictures.max(axis=1, keepdims=True)
    deviations = np.where(varied, pictures - pictures.mean(axis=1, keepdims=True), 0.0)
    deviation = np.sqrt((deviations**2).mean(axis=1, keepdims=True))
    standardised: NDArray[np.float64] = deviations / np.where(deviation > 0, deviation, 1.0)
    return standardised


def _one_hot(bits: int) -> Bits:
    return np.eye(bits, dtype=np.uint8)


def _thermometer(bits: int) -> Bits:
    """0...0, 10...0, 110...0, ..., 1...1."""
    return np.tri(bits + 1, bits, -1, dtype=np.uint8)


def _check_increasing(name: str, bounds: Sequence[float], what: str) -> None:
    if not all(math.isfinite(bound) for bound in bounds):
        raise ValueError(f"feature {name}: {what} must be finite")
    if any(low >= high for low, high in pairwise(bounds)):
        raise ValueError(f"feature {name}: {what} must increase")


def _is_missing(raw: Any) -> bool:
    return raw is None or (isinstance(raw, str) and not raw.strip())


def _no_number(raw: Any) -> bool:
    """What ``float`` would take although nobody means a number by it."""
    return isinstance(raw, bool | np.bool_) or (isinstance(raw, str) and "_" in raw)


def _text(raw: Any) -> str | None:
    """A single value as the text of a category, empty if it is missing; None for anything else."""
    if isinstance(raw, float) and raw.is_integer():
        raw = int(raw)
    if not isinstance(raw, str | int | float | np.generic | None) or (isinstance(raw, int) and abs(raw) >= 2**63):
        return None
    return "" if raw is None else str(raw).strip()


def _shown(raw: Any) -> str:
    return repr(str(raw)[:40]) if isinstance(raw, str | float) else f"a value of type {type(raw).__name__}"

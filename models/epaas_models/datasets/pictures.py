"""Colour pictures decoded from JPEG files once and kept in the cache. Knows no data set."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from epaas_models.datasets.files import CACHE_HINT, Progress
from epaas_models.whole_files import write_atomically
from epaas_shared.errors import ConfigurationError

Colours = NDArray[np.uint8]
"""Levels of red, green and blue, (pictures, height, width, 3)."""


def decoded(
    names: Sequence[str], content: Callable[[str], bytes], side: int, kept: Path, progress: Progress
) -> Colours:
    """The pictures of these names, (names, side, side, 3), where ``content`` gives the bytes of the JPEG file.

    A picture of another size is resized (bilinear). What was decoded is kept at ``kept``, since reading all takes a
    while: its name must change with the pictures. Raises :class:`ConfigurationError` for what is no JPEG file.
    """
    if (found := _kept(kept, (len(names), side, side, 3))) is not None:
        return found
    pictures = np.empty((len(names), side, side, 3), dtype=np.uint8)
    for place, name in enumerate(names):
        try:
            with Image.open(io.BytesIO(content(name)), formats=["JPEG"]) as picture:
                colours = picture.convert("RGB")
        except (OSError, Image.DecompressionBombError) as error:
            raise ConfigurationError(f"this is no JPEG picture: {error}", field=name) from None
        if colours.size != (side, side):
            colours = colours.resize((side, side), Image.Resampling.BILINEAR)
        pictures[place] = colours
        progress("decode pictures", place + 1, len(names))
    buffer = io.BytesIO()
    np.save(buffer, pictures, allow_pickle=False)
    write_atomically(kept, buffer.getbuffer(), hint=CACHE_HINT)
    return pictures


def _kept(path: Path, shape: tuple[int, ...]) -> Colours | None:
    """What an earlier load kept; None if there is nothing, or nothing whole."""
    try:
        found: Colours = np.load(io.BytesIO(path.read_bytes()), allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return found if found.shape == shape and found.dtype == np.uint8 else None

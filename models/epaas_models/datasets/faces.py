"""Faces of Labeled Faces in the Wild (Huang et al. 2007), frontalised, with the gender of each: 13,233 pictures.

These are not the LFW-a of the thesis, which were aligned by commercial software: results are not comparable.
"""

from __future__ import annotations

import csv
import io
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from epaas_models.datasets.dataset import Dataset
from epaas_models.datasets.files import CACHE_HINT, DataFile, DataSettings, Progress, read
from epaas_models.whole_files import write_atomically
from epaas_shared.errors import ConfigurationError

_SOURCE = "whoever has the frontalised LFW pictures (the originals are of the University of Massachusetts)"

PICTURES = DataFile(
    folder="faces",
    name="lfw-frontalised-90x90.zip",
    sha256="84109ad35136ee8178a851ff11ae3e1e5c70fdaf942b2aae79965dde56b77cb2",
    source=_SOURCE,
)
GENDERS = DataFile(
    folder="faces",
    name="gender.csv",
    sha256="de5d707888678a132c06b88e606680634ff31473267847f98599c14b813161f6",
    source=_SOURCE,
)
CLASSES = ("female", "male")
SIDE = 50
"""Height and width that the pictures are resized to (thesis B.1)."""


def load(
    settings: DataSettings, progress: Progress, *, pictures: DataFile = PICTURES, genders: DataFile = GENDERS
) -> Dataset:
    """Female (0) or male (1), from 50 x 50 grey levels. Groups are persons, many of whom have several pictures."""
    lines = csv.DictReader(io.StringIO(read(genders, settings, progress).decode()))
    classes = {line["file"]: CLASSES.index(line["gender"]) for line in lines}
    names, images = _resized(pictures, settings, progress)
    if sorted(classes) != names:
        raise ConfigurationError(f"the pictures are not those of {genders.name}", field=pictures.name)
    _, groups = np.unique([PurePosixPath(name).parent.name for name in names], return_inverse=True)
    return Dataset(
        name="faces",
        source="Labeled Faces in the Wild, frontalised (not LFW-a)",
        target="gender",
        classes=CLASSES,
        columns={"image": images},
        labels=np.array([classes[name] for name in names], dtype=np.int64),
        groups=groups.astype(np.int64),
    )


def _resized(file: DataFile, settings: DataSettings, progress: Progress) -> tuple[list[str], NDArray[np.uint8]]:
    """The sorted names of the pictures and their grey levels; kept in the cache, since reading all takes a while."""
    kept = settings.data_cache_dir / file.folder / f"{file.sha256}-{SIDE}x{SIDE}.npz"
    if (found := _kept(kept)) is not None:
        return found
    with zipfile.ZipFile(io.BytesIO(read(file, settings, progress))) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))
        images = np.empty((len(names), SIDE, SIDE), dtype=np.uint8)
        for place, name in enumerate(names):
            with Image.open(io.BytesIO(archive.read(name)), formats=["JPEG"]) as picture:
                # As the client resizes what it sends (framing "whole").
                images[place] = picture.convert("L").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
            progress("resize pictures", place + 1, len(names))
    buffer = io.BytesIO()
    np.savez(buffer, names=np.array(names), images=images)
    write_atomically(kept, buffer.getvalue(), hint=CACHE_HINT)
    return names, images


def _kept(path: Path) -> tuple[list[str], NDArray[np.uint8]] | None:
    """What an earlier load kept; None if there is nothing, or nothing whole."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
            found: dict[str, NDArray[Any]] = dict(arrays)
        return [str(name) for name in found["names"]], found["images"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None

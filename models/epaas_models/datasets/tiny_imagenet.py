"""Tiny ImageNet (Stanford CS231n; thesis B.1): 110,000 colour pictures of 64 x 64 in 200 classes."""

from __future__ import annotations

import io
import zipfile
from pathlib import PurePosixPath

import numpy as np

from epaas_models.datasets.dataset import Dataset
from epaas_models.datasets.files import DataFile, DataSettings, Progress, read
from epaas_models.datasets.pictures import decoded
from epaas_shared.errors import ConfigurationError

_PAGE = "http://cs231n.stanford.edu/"

ARCHIVE = DataFile(
    folder="tiny-imagenet",
    name="tiny-imagenet-200.zip",
    sha256="6198c8ae015e2b3e007c7841da39ec069199b9aa3bfa943a462022fe5e43c821",
    source=f"the course's page, {_PAGE}",
    url=f"{_PAGE}tiny-imagenet-200.zip",
)
SIDE = 64


def load(settings: DataSettings, progress: Progress, *, file: DataFile = ARCHIVE) -> Dataset:
    """``image`` (110000, 64, 64, 3) uint8, 1.4 GB, and labels; classes are named by their WordNet numbers.

    The last 10,000 rows, the published validation pictures, are the test, since those of the test have no labels: the
    thesis does so, and takes its own validation rows, 50 a class, from the training rows, which go round the classes.
    """
    with zipfile.ZipFile(io.BytesIO(read(file, settings, progress))) as archive:
        paths = [PurePosixPath(name) for name in archive.namelist()]
        labelled = {path: path.parts[2] for path in paths if path.match("train/*/images/*.JPEG")}
        training = sorted(labelled, key=lambda path: (_number(path), labelled[path]))
        (listed,) = [path for path in paths if path.name == "val_annotations.txt"]
        annotated = [line.split("\t") for line in archive.read(str(listed)).decode().splitlines()]
        for name, number, *_box in annotated:
            labelled[listed.parent / "images" / name] = number
        test = [listed.parent / "images" / name for name, *_ in annotated]
        if missing := set(test) - set(paths):
            raise ConfigurationError(f"there is no {min(missing)} in the archive", field=file.name)
        rows = [*training, *test]
        kept = settings.data_cache_dir / file.folder / f"{file.sha256}-{SIDE}x{SIDE}x3.npy"
        images = decoded([str(path) for path in rows], archive.read, SIDE, kept, progress)
    classes = tuple(sorted(set(labelled.values())))
    return Dataset(
        name="tiny-imagenet",
        source=f"Tiny ImageNet, {_PAGE}",
        target="class",
        classes=classes,
        columns={"image": images},
        labels=np.searchsorted(classes, [labelled[path] for path in rows]).astype(np.int64),
        published_test=len(test),
    )


def _number(path: PurePosixPath) -> int:
    """That of a training picture in its class: ``n01443537_12.JPEG``."""
    return int(path.stem.rpartition("_")[2])

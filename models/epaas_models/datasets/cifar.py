"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009; thesis B.1): 60,000 colour pictures of 32 x 32, the last 10,000 the test.

``load_cifar10_jpeg`` gives CIFAR-10 from JPEG files of quality 75: a lossy copy, called "CIFAR-10 (JPEG-75)" in every
result, since its numbers are not those of CIFAR-10. The others read the authors' binary archives: their Python archives
are pickles, which run whatever code is in them.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from epaas_models.datasets.archives import member, tar_members
from epaas_models.datasets.dataset import Dataset
from epaas_models.datasets.files import DataFile, DataSettings, Progress, read
from epaas_models.datasets.pictures import Colours, decoded
from epaas_shared.errors import ConfigurationError

SIDE = 32
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

_PAGE = "https://www.cs.toronto.edu/~kriz/"
_SOURCE = f"the authors' page, {_PAGE}cifar.html"
_PIXELS = 3 * SIDE * SIDE

JPEG = DataFile(
    folder="cifar10-jpeg75",
    name="cifar10-jpeg75.zip",
    sha256="41adc03ddffb88a9fe1bc6f665e683c4c79bac2aa613bb557d4d7bbf7c7a16b7",
    source=f"whoever has CIFAR-10 as JPEG files of quality 75 (the original: {_SOURCE})",
)
CIFAR10 = DataFile(
    folder="cifar10",
    name="cifar-10-binary.tar.gz",
    sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    source=_SOURCE,
    url=f"{_PAGE}cifar-10-binary.tar.gz",
)
CIFAR100 = DataFile(
    folder="cifar100",
    name="cifar-100-binary.tar.gz",
    sha256="58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
    source=_SOURCE,
    url=f"{_PAGE}cifar-100-binary.tar.gz",
)


def load_cifar10_jpeg(settings: DataSettings, progress: Progress, *, file: DataFile = JPEG) -> Dataset:
    """CIFAR-10 (JPEG-75): ``image`` (60000, 32, 32, 3) uint8 and labels; the last 10,000 rows are the test.

    Training rows, and test rows, go round the classes, so that the first n are as good as balanced.
    """
    with zipfile.ZipFile(io.BytesIO(read(file, settings, progress))) as archive:
        paths = [PurePosixPath(name) for name in archive.namelist() if name.endswith(".jpg")]
        names = {
            part: sorted((p for p in paths if p.parts[0] == part), key=lambda path: (path.name, path.parts[1]))
            for part in ("train", "test")
        }
        rows = [*names["train"], *names["test"]]
        kept = settings.data_cache_dir / file.folder / f"{file.sha256}-{SIDE}x{SIDE}x3.npy"
        images = decoded([str(path) for path in rows], archive.read, SIDE, kept, progress)
    return Dataset(
        name="cifar10-jpeg75",
        source=f"CIFAR-10 (JPEG-75), a lossy copy of {_PAGE}cifar.html",
        target="class",
        classes=CLASSES,
        columns={"image": images},
        labels=np.array([CLASSES.index(path.parts[1]) for path in rows], dtype=np.int64),
        published_test=len(names["test"]),
    )


def load_cifar10(settings: DataSettings, progress: Progress, *, file: DataFile = CIFAR10) -> Dataset:
    """CIFAR-10: ``image`` (60000, 32, 32, 3) uint8 and labels, in the authors' order; the last 10,000 are the test."""
    members = tar_members(file, settings, progress)
    names = [*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"]
    parts = [_records(member(members, name, file), 1, name) for name in names]
    return Dataset(
        name="cifar10",
        source=f"CIFAR-10, {_PAGE}cifar.html",
        target="class",
        classes=CLASSES,
        columns={"image": np.concatenate([images for _, images in parts])},
        labels=np.concatenate([labels[:, 0] for labels, _ in parts]),
        published_test=len(parts[-1][0]),
    )


def load_cifar100(settings: DataSettings, progress: Progress, *, file: DataFile = CIFAR100) -> Dataset:
    """CIFAR-100: ``image`` (60000, 32, 32, 3) uint8, ``superclass`` (the coarse class's name) and the fine labels."""
    members = tar_members(file, settings, progress)
    parts = [_records(member(members, name, file), 2, name) for name in ("train.bin", "test.bin")]
    coarse = np.array(_names(member(members, "coarse_label_names.txt", file)), dtype=object)
    labels = np.concatenate([labels for labels, _ in parts])
    return Dataset(
        name="cifar100",
        source=f"CIFAR-100, {_PAGE}cifar.html",
        target="class",
        classes=tuple(_names(member(members, "fine_label_names.txt", file))),
        columns={"image": np.concatenate([images for _, images in parts]), "superclass": coarse[labels[:, 0]]},
        labels=labels[:, 1],
        published_test=len(parts[-1][0]),
    )


def _records(data: bytes, labels: int, name: str) -> tuple[NDArray[np.int64], Colours]:
    """Labels (rows, labels) and pictures of a binary file: in each record the labels, then all red, green, blue."""
    if not data or len(data) % (labels + _PIXELS):
        raise ConfigurationError(f"its {len(data)} bytes are no whole records of {labels + _PIXELS}", field=name)
    records = np.frombuffer(data, dtype=np.uint8).reshape(-1, labels + _PIXELS)
    images = records[:, labels:].reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1)
    return records[:, :labels].astype(np.int64), np.ascontiguousarray(images)


def _names(data: bytes) -> list[str]:
    return data.decode("ascii").split()

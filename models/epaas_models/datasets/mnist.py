"""MNIST: 70,000 handwritten digits of 28 x 28 grey levels, in the authors' four files of the idx format."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from epaas_models.datasets.dataset import Dataset
from epaas_models.datasets.files import DataFile, DataSettings, Progress, read
from epaas_shared.errors import ConfigurationError

_PAGE = "http://yann.lecun.com/exdb/mnist/"
_UNSIGNED_BYTES = 8


def _file(name: str, sha256: str) -> DataFile:
    return DataFile("mnist", name, sha256, source=f"the authors' page, {_PAGE}", url=f"{_PAGE}{name}")


IMAGES = (
    _file("train-images-idx3-ubyte.gz", "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
    _file("t10k-images-idx3-ubyte.gz", "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
)
LABELS = (
    _file("train-labels-idx1-ubyte.gz", "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    _file("t10k-labels-idx1-ubyte.gz", "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
)


def load(
    settings: DataSettings,
    progress: Progress,
    *,
    images: tuple[DataFile, DataFile] = IMAGES,
    labels: tuple[DataFile, DataFile] = LABELS,
) -> Dataset:
    """The digits; the last file of ``images`` and of ``labels`` is the published test set."""
    pictures = [idx(read(file, settings, progress), 3, file.name) for file in images]
    digits = [idx(read(file, settings, progress), 1, file.name) for file in labels]
    return Dataset(
        name="mnist",
        source=f"MNIST, {_PAGE}",
        target="digit",
        classes=tuple(str(digit) for digit in range(10)),
        columns={"image": np.concatenate(pictures)},
        labels=np.concatenate(digits).astype(np.int64),
        published_test=len(digits[-1]),
    )


def idx(data: bytes, dimensions: int, name: str) -> NDArray[np.uint8]:
    """The array of an idx file of unsigned bytes. Raises :class:`ConfigurationError` naming the file if it is none."""
    header = 4 + 4 * dimensions
    shape = struct.unpack(f">{dimensions}I", data[4:header]) if len(data) >= header else ()
    if not shape or data[:4] != bytes((0, 0, _UNSIGNED_BYTES, dimensions)) or len(data) != header + np.prod(shape):
        raise ConfigurationError(f"this is no idx file of {dimensions} dimensions of bytes", field=name)
    return np.frombuffer(data, dtype=np.uint8, offset=header).reshape(shape)

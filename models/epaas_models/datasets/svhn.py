"""Street View House Numbers (Netzer et al. 2011; thesis B.1): colour pictures of 32 x 32 around a digit."""

from __future__ import annotations

import io
import zlib

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from epaas_models.datasets.dataset import Dataset
from epaas_models.datasets.files import DataFile, DataSettings, Progress, read
from epaas_models.datasets.pictures import Colours
from epaas_shared.errors import ConfigurationError

_PAGE = "http://ufldl.stanford.edu/housenumbers/"


def _file(name: str, sha256: str) -> DataFile:
    return DataFile("svhn", name, sha256, source=f"the authors' page, {_PAGE}", url=f"{_PAGE}{name}")


TRAINING = _file("train_32x32.mat", "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8")
EXTRA = _file("extra_32x32.mat", "a133a4beb38a00fcdda90c9489e0c04f900b660ce8a316a5e854838379a71eb3")
"""531,131 more and easier training pictures, 1.6 GB in memory."""
TEST = _file("test_32x32.mat", "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b")


def load(settings: DataSettings, progress: Progress, *, files: tuple[DataFile, ...] = (TRAINING, TEST)) -> Dataset:
    """``image`` (99289, 32, 32, 3) uint8 and the digits; the last of the files is the test (26,032 rows)."""
    parts = [_pictures(file, settings, progress) for file in files]
    return Dataset(
        name="svhn",
        source=f"Street View House Numbers, cropped digits, {_PAGE}",
        target="digit",
        classes=tuple(str(digit) for digit in range(10)),
        columns={"image": np.concatenate([images for images, _ in parts])},
        labels=np.concatenate([digits for _, digits in parts]),
        published_test=len(parts[-1][1]),
    )


def _pictures(file: DataFile, settings: DataSettings, progress: Progress) -> tuple[Colours, NDArray[np.int64]]:
    """Pictures (rows, 32, 32, 3) and digits (rows,): Matlab has rows last, and 10 for the digit 0."""
    try:
        arrays = loadmat(io.BytesIO(read(file, settings, progress)), variable_names=("X", "y"))
        images, labels = np.moveaxis(arrays["X"], 3, 0), arrays["y"].astype(np.int64).ravel()
    except (MatReadError, ValueError, TypeError, KeyError, NotImplementedError, OSError, zlib.error) as error:
        raise ConfigurationError(f"this is no file of pictures X and digits y: {error}", field=file.name) from None
    return np.ascontiguousarray(images, dtype=np.uint8), labels % 10

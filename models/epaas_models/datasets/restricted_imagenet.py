"""Restricted ImageNet (thesis Table B.1): 60 classes of ImageNet, six in each of ten coarse ones, of 64 x 64.

ImageNet may not be passed on: the pictures are taken from a folder of the user's own.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from epaas_models.datasets.dataset import Dataset
from epaas_models.datasets.files import DataSettings, Progress
from epaas_models.datasets.pictures import decoded
from epaas_shared.digest import digest_json
from epaas_shared.errors import ConfigurationError

SIDE = 64
FOLDER = "restricted-imagenet"

COARSE = {
    "dog": ("n02085620", "n02085782", "n02085936", "n02086079", "n02086240", "n02086646"),
    "bird": ("n01514668", "n01514859", "n01518878", "n01530575", "n01531178", "n01532829"),
    "insect": ("n02165105", "n02165456", "n02167151", "n02168699", "n02169497", "n02172182"),
    "monkey": ("n02484975", "n02486261", "n02486410", "n02487347", "n02488291", "n02488702"),
    "car": ("n03594945", "n03670208", "n02930766", "n02814533", "n02701002", "n03100240"),
    "feline": ("n02128385", "n02128757", "n02128925", "n02129165", "n02125311", "n02127052"),
    "truck": ("n04461696", "n03796401", "n03345487", "n03417042", "n03930630", "n03977966"),
    "fruit": ("n07742313", "n11879895", "n12144580", "n12267677", "n12620546", "n12768682"),
    "fungus": ("n13037406", "n13052670", "n12985857", "n13040303", "n12998815", "n13044778"),
    "boat": ("n03447447", "n03344393", "n04273569", "n03662601", "n04612504", "n02951358"),
}
"""WordNet numbers of the fine classes, in the order of Table B.1."""


def load(settings: DataSettings, progress: Progress) -> Dataset:
    """``image`` (rows, 64, 64, 3) uint8, ``coarse`` names, and fine labels; the pictures of ``val`` are the test.

    From ``restricted-imagenet/{train,val}/<WordNet number>/*.JPEG`` in the data directory: ImageNet's own folders, of
    which only those of the 60 classes are read. Whole pictures are resized, whatever their shape. Nobody publishes a
    digest of them: the thesis has 77,237 to train on and 3,000 as the test. Raises :class:`ConfigurationError` without
    a picture of each class.
    """
    root = (settings.data_dir or settings.data_cache_dir) / FOLDER
    coarse = {number: name for name, numbers in COARSE.items() for number in numbers}
    training, test = (
        [path for number in coarse for path in _pictures(root / part / number)] for part in ("train", "val")
    )
    rows = [*training, *test]
    names = [str(path.relative_to(root)) for path in rows]
    found = digest_json([[name, path.stat().st_size] for name, path in zip(names, rows, strict=True)])
    kept = settings.data_cache_dir / FOLDER / f"{found}-{SIDE}x{SIDE}x3.npy"
    images = decoded(names, lambda name: (root / name).read_bytes(), SIDE, kept, progress)
    fine = tuple(coarse)
    return Dataset(
        name="restricted-imagenet",
        source="ImageNet, the classes of thesis Table B.1",
        target="class",
        classes=fine,
        columns={"image": images, "coarse": np.array([coarse[path.parent.name] for path in rows], dtype=object)},
        labels=np.array([fine.index(path.parent.name) for path in rows], dtype=np.int64),
        published_test=len(test),
    )


def _pictures(folder: Path) -> list[Path]:
    if not (found := sorted(folder.glob("*.JPEG"))):
        hint = f"get ImageNet from image-net.org and put pictures of this class at {folder}, or set EPAAS_DATA_DIR"
        raise ConfigurationError(f"there are no pictures in {folder}", field=folder.name, hint=hint)
    return found

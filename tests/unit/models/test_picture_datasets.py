"""Sets of colour pictures from small files of their publishers' formats."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from data_making import jpeg, placed, plain, tarred, zipped
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.io import savemat

from epaas_models.datasets import cifar, restricted_imagenet, split, svhn, tiny_imagenet
from epaas_models.datasets.archives import tar_members
from epaas_models.datasets.dataset import Dataset
from epaas_models.datasets.files import DataFile, DataSettings
from epaas_models.datasets.pictures import decoded
from epaas_shared.digest import digest_bytes
from epaas_shared.errors import ConfigurationError

RANDOM = np.random.default_rng(0)


def quiet(_what: str, _done: int, _of: int) -> None:
    """Nobody watches."""


@pytest.fixture
def at(tmp_path: Path) -> DataSettings:
    return DataSettings(data_dir=tmp_path / "data", data_cache_dir=tmp_path / "cache")


def shade(level: int, side: int = 32) -> bytes:
    """A picture of one colour: red of this level, green a half of it, no blue."""
    return jpeg(np.broadcast_to(np.array([level, level // 2, 0], dtype=np.uint8), (side, side, 3)))


def pictures(count: int) -> NDArray[np.uint8]:
    return RANDOM.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)


def records(labels: NDArray[np.uint8], images: NDArray[np.uint8]) -> bytes:
    """As CIFAR's authors say: the labels, then 1,024 bytes of red, of green, of blue, each row by row."""
    return b"".join(
        bytes(label) + b"".join(image[:, :, colour].tobytes() for colour in range(3))
        for label, image in zip(labels, images, strict=True)
    )


def archived(folder: Path, name: str, data: bytes) -> DataFile:
    return placed(folder, DataFile("toy", name, digest_bytes(data), source="here"), data)


def jpeg_cifar(at: DataSettings, missing: str | None = None) -> Dataset:
    classes = {"train": ("cat", "airplane"), "test": ("airplane",)}
    files = {
        f"{part}/{name}/000{number}.jpg": shade(100 + 40 * number + 20 * cifar.CLASSES.index(name))
        for part, names in classes.items()
        for name in names
        for number in range(2)
    }
    assert at.data_dir is not None
    return cifar.load_cifar10_jpeg(at, quiet, file=plain(at.data_dir, "cifar.zip", zipped({"train/": b"", **files})))


def test_cifar_jpegs_go_round_the_classes_and_the_test_comes_last(at: DataSettings) -> None:
    dataset = jpeg_cifar(at)
    assert dataset.labels.tolist() == [0, 3, 0, 3, 0, 0]
    assert dataset.columns["image"].shape == (6, 32, 32, 3)
    assert dataset.columns["image"][..., 0].mean(axis=(1, 2)) == pytest.approx([100, 160, 140, 200, 100, 140], abs=3)
    assert dataset.columns["image"][..., 1].mean(axis=(1, 2)) == pytest.approx([50, 80, 70, 100, 50, 70], abs=3)
    assert split(dataset, 3).test.tolist() == [4, 5]
    assert "JPEG-75" in dataset.source


def test_pictures_are_decoded_once_and_again_if_what_was_kept_is_damaged(
    at: DataSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = jpeg_cifar(at)
    (kept,) = at.data_cache_dir.rglob("*.npy")
    with monkeypatch.context() as patch:
        patch.setattr("PIL.Image.open", lambda *_, **__: pytest.fail("a picture is read again"))
        assert jpeg_cifar(at).digest == first.digest
    whole = kept.read_bytes()
    other = io.BytesIO()
    np.save(other, np.zeros((5, 32, 32, 3), dtype=np.uint8))
    for damaged in (b"", whole[:-30], b"no array", other.getvalue()):
        kept.write_bytes(damaged)
        assert jpeg_cifar(at).digest == first.digest
        assert kept.read_bytes() == whole


def test_what_is_no_picture_is_named_and_nothing_kept(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        decoded(["a.jpg"], lambda _name: b"no picture", 32, tmp_path / "kept.npy", quiet)
    assert caught.value.field == "a.jpg"
    assert not (tmp_path / "kept.npy").exists()


def test_grey_pictures_and_those_of_another_size_become_colour_of_this_size(tmp_path: Path) -> None:
    grey = jpeg(np.full((50, 40), 90, dtype=np.uint8))
    found = decoded(["a", "b"], {"a": grey, "b": shade(80, side=16)}.__getitem__, 8, tmp_path / "kept.npy", quiet)
    assert found.shape == (2, 8, 8, 3)
    assert found.mean(axis=(1, 2)).ravel().tolist() == pytest.approx([90, 90, 90, 80, 40, 0], abs=3)


def cifar10_members() -> tuple[dict[str, bytes], NDArray[np.uint8], NDArray[np.uint8]]:
    images, labels = pictures(12), RANDOM.integers(0, 10, (12, 1), dtype=np.uint8)
    names = [*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"]
    members = {
        f"cifar-10-batches-bin/{name}": records(labels[2 * place : 2 * place + 2], images[2 * place : 2 * place + 2])
        for place, name in enumerate(names)
    }
    return members, images, labels[:, 0]


def test_cifar10_is_read_from_the_binary_archive(at: DataSettings, tmp_path: Path) -> None:
    members, images, labels = cifar10_members()
    archive = tarred(dict(sorted(members.items(), reverse=True)))
    dataset = cifar.load_cifar10(at, quiet, file=archived(tmp_path / "data", "cifar.tar.gz", archive))
    assert (dataset.columns["image"] == images).all()
    assert (dataset.labels == labels).all()
    assert dataset.published_test == 2


def test_cifar100_has_fine_labels_and_the_names_of_superclasses(at: DataSettings, tmp_path: Path) -> None:
    images = pictures(3)
    labels = np.array([[1, 2], [0, 0], [1, 1]], dtype=np.uint8)
    archive = tarred(
        {
            "cifar-100-binary/train.bin": records(labels[:2], images[:2]),
            "cifar-100-binary/test.bin": records(labels[2:], images[2:]),
            "cifar-100-binary/fine_label_names.txt": b"oak\npike\ntrout\n",
            "cifar-100-binary/coarse_label_names.txt": b"trees\nfish\n",
        }
    )
    dataset = cifar.load_cifar100(at, quiet, file=archived(tmp_path / "data", "cifar.tar.gz", archive))
    assert (dataset.columns["image"] == images).all()
    assert [dataset.classes[label] for label in dataset.labels] == ["trout", "oak", "pike"]
    assert dataset.columns["superclass"].tolist() == ["fish", "trees", "fish"]
    assert dataset.published_test == 1


@pytest.mark.parametrize("change", ["cut", "empty", "missing", "twice"])
def test_an_archive_of_something_else_is_refused(change: str, at: DataSettings, tmp_path: Path) -> None:
    members, _, _ = cifar10_members()
    name = "cifar-10-batches-bin/data_batch_3.bin"
    data = members.pop(name)
    changed: Mapping[str, bytes] = {
        "cut": {name: data[:-1]},
        "empty": {name: b""},
        "missing": {},
        "twice": {name: data, "other/data_batch_3.bin": data},
    }[change]
    file = archived(tmp_path / "data", "cifar.tar.gz", tarred({**members, **changed}))
    with pytest.raises(ConfigurationError) as caught:
        cifar.load_cifar10(at, quiet, file=file)
    assert caught.value.field in {"cifar.tar.gz", "data_batch_3.bin"}


def test_only_plain_files_of_an_archive_are_read(at: DataSettings, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        link = tarfile.TarInfo("a/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        archive.addfile(link)
        plain_file = tarfile.TarInfo("../outside")
        plain_file.size = 2
        archive.addfile(plain_file, io.BytesIO(b"hi"))
    file = archived(tmp_path / "data", "some.tar.gz", buffer.getvalue())
    assert tar_members(file, at, quiet) == {"../outside": b"hi"}
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize("data", [b"no archive", tarred({"a": RANDOM.bytes(9000)})[:-4000]])
def test_a_damaged_archive_is_named(data: bytes, at: DataSettings, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        tar_members(archived(tmp_path / "data", "some.tar.gz", data), at, quiet)
    assert caught.value.field == "some.tar.gz"


def mat(images: NDArray[np.uint8], digits: list[int]) -> bytes:
    """As Matlab has it: rows last, and 10 for a 0."""
    buffer = io.BytesIO()
    savemat(buffer, {"X": images.transpose(1, 2, 3, 0), "y": np.array([[digit or 10] for digit in digits], "u1")})
    return buffer.getvalue()


def test_svhn_has_zeros_and_its_last_file_is_the_test(at: DataSettings, tmp_path: Path) -> None:
    images = pictures(5)
    files = (
        plain(tmp_path / "data", "a.mat", mat(images[:3], [1, 0, 9])),
        plain(tmp_path / "data", "b.mat", mat(images[3:], [0, 5])),
    )
    dataset = svhn.load(at, quiet, files=files)
    assert (dataset.columns["image"] == images).all()
    assert dataset.labels.tolist() == [1, 0, 9, 0, 5]
    assert dataset.published_test == 2


@pytest.mark.parametrize("data", [b"", b"some text that is no mat file" * 20, mat(pictures(2), [1, 2])[:4000]])
def test_what_is_no_mat_file_is_named(data: bytes, at: DataSettings, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        svhn.load(at, quiet, files=(plain(tmp_path / "data", "a.mat", data),))
    assert caught.value.field == "a.mat"


def tiny(at: DataSettings, annotated: str) -> Dataset:
    root = "tiny-imagenet-200"
    files = {
        f"{root}/train/n02/images/n02_10.JPEG": shade(200, 64),
        f"{root}/train/n02/images/n02_9.JPEG": shade(180, 64),
        f"{root}/train/n01/images/n01_9.JPEG": shade(160, 64),
        f"{root}/train/n01/n01_boxes.txt": b"n01_9.JPEG\t0\t0\t9\t9\n",
        f"{root}/val/images/val_0.JPEG": shade(100, 64),
        f"{root}/val/images/val_1.JPEG": shade(120, 64),
        f"{root}/test/images/test_0.JPEG": shade(10, 64),
        f"{root}/val/val_annotations.txt": annotated.encode(),
    }
    assert at.data_dir is not None
    return tiny_imagenet.load(at, quiet, file=plain(at.data_dir, "tiny.zip", zipped(files)))


def test_tiny_imagenet_is_tested_with_its_validation_pictures(at: DataSettings) -> None:
    dataset = tiny(at, "val_1.JPEG\tn02\t0\t0\t9\t9\nval_0.JPEG\tn01\t0\t0\t9\t9\n")
    assert dataset.classes == ("n01", "n02")
    assert dataset.labels.tolist() == [0, 1, 1, 1, 0]
    assert dataset.columns["image"].shape == (5, 64, 64, 3)
    assert dataset.columns["image"][..., 0].mean(axis=(1, 2)) == pytest.approx([160, 180, 200, 120, 100], abs=3)
    assert dataset.published_test == 2


def test_tiny_imagenet_without_a_picture_is_refused(at: DataSettings) -> None:
    with pytest.raises(ConfigurationError, match="val_7"):
        tiny(at, "val_7.JPEG\tn02\t0\t0\t9\t9\n")


def imagenet(root: Path, per_class: int = 1) -> None:
    for part in ("train", "val"):
        for number in (number for numbers in restricted_imagenet.COARSE.values() for number in numbers):
            folder = root / restricted_imagenet.FOLDER / part / number
            folder.mkdir(parents=True)
            for place in range(per_class):
                (folder / f"{number}_{place}.JPEG").write_bytes(shade(int(number[-2:]), 8))


def test_restricted_imagenet_has_ten_times_six_classes(at: DataSettings) -> None:
    assert at.data_dir is not None
    imagenet(at.data_dir)
    dataset = restricted_imagenet.load(at, quiet)
    assert dataset.labels.tolist() == [*range(60), *range(60)]
    assert dataset.columns["coarse"].tolist() == 2 * [name for name in restricted_imagenet.COARSE for _ in range(6)]
    assert dataset.classes[0] == "n02085620"
    levels = [int(number[-2:]) for number in dataset.classes]
    assert dataset.columns["image"][:60, :, :, 0].mean(axis=(1, 2)) == pytest.approx(levels, abs=4)
    assert dataset.published_test == 60


def test_restricted_imagenet_is_asked_for(at: DataSettings) -> None:
    with pytest.raises(ConfigurationError) as caught:
        restricted_imagenet.load(at, quiet)
    assert f"at {at.data_dir}/restricted-imagenet/train/n02085620" in str(caught.value.hint)


@pytest.mark.parametrize("file", [cifar.CIFAR10, cifar.CIFAR100, svhn.TRAINING, svhn.TEST, tiny_imagenet.ARCHIVE])
def test_what_is_published_says_where(file: DataFile) -> None:
    assert file.url is not None
    assert file.url.endswith(file.name)


def test_what_nobody_publishes_is_asked_for(at: DataSettings) -> None:
    with pytest.raises(ConfigurationError) as caught:
        cifar.load_cifar10_jpeg(at, quiet)
    assert f"put it at {at.data_dir}/cifar10-jpeg75/cifar10-jpeg75.zip" in str(caught.value.hint)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 3), st.integers(1, 2), st.integers(0, 99))
def test_records_of_any_number_of_labels_are_read(count: int, labels: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    tags = random.integers(0, 256, (count, labels), dtype=np.uint8)
    found_labels, found_images = cifar._records(records(tags, images), labels, "a.bin")
    assert (found_labels == tags).all()
    assert (found_images == images).all()

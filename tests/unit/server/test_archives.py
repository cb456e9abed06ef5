"""Uploaded archives: the four files of a bundle come out, or nothing does."""

from __future__ import annotations

import io
import struct
import tracemalloc
import warnings
import zipfile
from pathlib import Path

import pytest
from archive_making import bundle_files, zipped, zipped_bundle
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from epaas_server.archives import MEMBERS, unpack
from epaas_shared.errors import InvalidBundle

FILES = bundle_files()
GOOD = zipped(FILES.items())


def unpacked(data: bytes, root: Path) -> dict[str, bytes]:
    """What comes out of an archive, in a folder of its own below ``root``; nothing else may appear there."""
    archive, folder = root / "bundle.zip", root / "bundle"
    archive.write_bytes(data)
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    try:
        unpack(archive, folder)
    finally:
        assert {path.name for path in root.iterdir()} == {"bundle.zip", "bundle"}
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def refused(data: bytes, root: Path) -> InvalidBundle:
    with pytest.raises(InvalidBundle) as caught:
        unpacked(data, root)
    assert list((root / "bundle").iterdir()) == [], "nothing is written of an archive that is refused"
    assert caught.value.field == "body"
    assert "zip -0 -j" in str(caught.value.hint)
    return caught.value


def test_what_went_in_comes_out(tmp_path: Path) -> None:
    assert unpacked(GOOD, tmp_path) == FILES
    assert unpacked(zipped(reversed(FILES.items())), tmp_path) == FILES


def test_a_stream_writer_may_have_made_it(tmp_path: Path) -> None:
    """One that cannot go back puts sizes behind the members, and may add extra fields."""

    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.written = b""

        def writable(self) -> bool:
            return True

        def write(self, data: bytes) -> int:  # type: ignore[override]
            self.written += bytes(data)
            return len(data)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w") as archive:
        for name, content in FILES.items():
            archive.writestr(name, content)
    assert unpacked(pipe.written, tmp_path) == FILES


@pytest.mark.parametrize(
    "name",
    [
        "../manifest.json",
        "/etc/passwd",
        "/manifest.json",
        "..\\manifest.json",
        "C:\\manifest.json",
        "./manifest.json",
        "bundle/manifest.json",
        "manifest.json/",
        "MANIFEST.JSON",
        "manifest.json ",
        "manifest.jsön",
        "",
    ],
)
def test_other_names_are_refused_wherever_they_lead(tmp_path: Path, name: str) -> None:
    members = {name if old == "manifest.json" else old: content for old, content in FILES.items()}
    assert "members" in refused(zipped(members.items()), tmp_path).detail


def test_a_name_twice_is_refused(tmp_path: Path) -> None:
    members = [(name, content) for name, content in FILES.items() if name != "schema.json"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = zipped([*members, ("manifest.json", b"{}")])
    assert "members" in refused(data, tmp_path).detail


def test_one_member_more_or_less_is_refused(tmp_path: Path) -> None:
    assert "5 members" in refused(zipped([*FILES.items(), ("notes.txt", b"")]), tmp_path).detail
    assert "3 members" in refused(zipped(list(FILES.items())[:3]), tmp_path).detail
    refused(zipped([]), tmp_path)


def test_a_directory_of_more_members_than_its_end_says_is_refused(tmp_path: Path) -> None:
    data = bytearray(zipped([*FILES.items(), ("notes.txt", b"")]))
    data[-14:-10] = struct.pack("<2H", 4, 4)
    assert "notes.txt" in refused(bytes(data), tmp_path).detail


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compressed_members_are_refused_before_they_are_read(tmp_path: Path, compression: int) -> None:
    """Whatever they would grow to: here a gigabyte of zeros would be 1 MB."""
    members = {**FILES, "weights.safetensors": bytes(4_000_000)}
    assert "compressed" in refused(zipped(members.items(), compression), tmp_path).detail


def directory_entries(data: bytes) -> list[int]:
    """Where the entries of the central directory begin."""
    found, place = [], data.find(b"PK\x01\x02")
    while place >= 0:
        found.append(place)
        place = data.find(b"PK\x01\x02", place + 1)
    return found


def test_members_that_overlap_are_refused(tmp_path: Path) -> None:
    """All entries of the directory lead to the first member's bytes, each with all of the archive's size."""
    data = bytearray(GOOD)
    for entry in directory_entries(GOOD):
        data[entry + 20 : entry + 28] = struct.pack("<2L", len(GOOD) - 100, len(GOOD) - 100)
        data[entry + 42 : entry + 46] = struct.pack("<L", 0)
    assert "larger than it is" in refused(bytes(data), tmp_path).detail


@pytest.mark.parametrize(("compressed", "whole"), [(10, 10), (1, None), (None, 1), (2**32 - 2, 2**32 - 2)])
def test_wrong_sizes_are_refused(tmp_path: Path, compressed: int | None, whole: int | None) -> None:
    data = bytearray(GOOD)
    entry = directory_entries(GOOD)[0]
    sizes = struct.unpack("<2L", data[entry + 20 : entry + 28])
    changed = [old if new is None else new for old, new in zip(sizes, (compressed, whole), strict=True)]
    data[entry + 20 : entry + 28] = struct.pack("<2L", *changed)
    refused(bytes(data), tmp_path)


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    data = bytearray(GOOD)
    data[directory_entries(GOOD)[2] + 8] |= 1
    assert "encrypted" in refused(bytes(data), tmp_path).detail


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    for length in [*range(0, len(GOOD), 97), *range(len(GOOD) - 60, len(GOOD))]:
        refused(GOOD[:length], tmp_path)


@pytest.mark.parametrize("garbage", [b"PK", b"not a zip archive at all" * 9, b"\x1f\x8b" + bytes(100), bytes(200)])
def test_what_is_no_archive_is_refused(tmp_path: Path, garbage: bytes) -> None:
    refused(garbage, tmp_path)


def test_a_comment_or_bytes_before_or_behind_are_refused(tmp_path: Path) -> None:
    for data in (GOOD + b"x", b"x" + GOOD, GOOD[:-2] + b"\x02\x00hi"):
        refused(data, tmp_path)


def test_the_format_for_more_than_4_gigabytes_is_refused(tmp_path: Path) -> None:
    """The standard library would believe the sizes of its records, which may name a directory of any length."""
    end = GOOD[-22:]
    (directory_bytes, offset) = struct.unpack("<2L", end[12:20])
    larger = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 4, 4, directory_bytes, offset)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, len(GOOD) - 22, 1)
    grown = end[:12] + struct.pack("<L", directory_bytes + len(larger) + len(locator)) + end[16:]
    data = GOOD[:-22] + larger + locator + grown
    buffer = io.BytesIO(data)
    assert len(zipfile.ZipFile(buffer).infolist()) == len(MEMBERS), "the library reads it"
    assert "4 GB" in refused(data, tmp_path).detail


def test_a_directory_is_not_read_into_memory_before_its_size_is_known(tmp_path: Path) -> None:
    count = 60_000
    entry = struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"
    directory = entry * count
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 4, 4, len(directory), 0, 0)
    tracemalloc.start()
    refused(directory + end, tmp_path)
    assert tracemalloc.get_traced_memory()[1] < 5_000_000 + len(directory), "60,000 entries would be 30 MB"
    tracemalloc.stop()


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=6),
    at_end=st.booleans(),
)
def test_damage_is_refused_or_does_no_harm(tmp_path: Path, changes: list[tuple[int, int]], at_end: bool) -> None:
    """In the last few hundred bytes, where the directory is, or anywhere."""
    data = bytearray(GOOD)
    directory = len(GOOD) - directory_entries(GOOD)[0]
    for place, value in changes:
        data[-1 - place % directory if at_end else place] = value
    try:
        found = unpacked(bytes(data), tmp_path)
    except InvalidBundle:
        return
    assert found == FILES


def test_the_example_is_a_bundle() -> None:
    assert zipped_bundle() == GOOD
    assert set(FILES) == set(MEMBERS)

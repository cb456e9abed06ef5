"""Blobs appear whole or not at all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from epaas_server.blobs import Blobs
from epaas_shared.digest import digest_bytes
from epaas_shared.errors import DigestMismatch


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path / "blobs")


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_blob_is_read_as_it_was_written(blobs: Blobs) -> None:
    blobs.put("jobs/a/record", b"one")
    assert blobs.has("jobs/a/record")
    assert blobs.read("jobs/a/record") == b"one"
    blobs.put("jobs/a/record", b"two")
    assert blobs.read("jobs/a/record") == b"two"


def test_a_blob_is_there_only_after_its_commit(blobs: Blobs, tmp_path: Path) -> None:
    name = f"keys/{digest_bytes(b'onetwo')}"
    with blobs.writer() as writer:
        writer.write(b"one")
        writer.write(b"two")
        assert writer.bytes == 6
        assert not blobs.has(name)
        writer.commit(name, digest_bytes(b"onetwo"))
        assert blobs.has(name)
    assert blobs.read(name) == b"onetwo"
    assert files_below(tmp_path) == [f"blobs/{name}"]


def test_nothing_appears_where_writing_is_broken_off(blobs: Blobs, tmp_path: Path) -> None:
    def write() -> None:
        with blobs.writer() as writer:
            writer.write(b"half of")
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        write()
    with blobs.writer() as writer:
        writer.write(b"never committed")
    assert files_below(tmp_path) == []


def test_bytes_of_another_digest_do_not_appear(blobs: Blobs, tmp_path: Path) -> None:
    name = f"keys/{digest_bytes(b'announced')}"

    def write() -> None:
        with blobs.writer() as writer:
            writer.write(b"received")
            writer.commit(name, digest_bytes(b"announced"))

    with pytest.raises(DigestMismatch) as caught:
        write()
    assert caught.value.field == "digest"
    assert digest_bytes(b"received") in caught.value.detail
    assert files_below(tmp_path) == []


@pytest.mark.parametrize(
    "name",
    ["", "keys", "keys/", "/keys/a", "../a/b", "keys/..", "keys/../a", "jobs/a/../../b", "keys/a.b", "keys/a/b/c/d",
     "keys/a\n", "keys/a\0", "keys//a", "Keys/a", "/etc/passwd", "keys/ä"],
)  # fmt: skip
def test_a_name_that_could_lead_elsewhere_is_refused(blobs: Blobs, tmp_path: Path, name: str) -> None:
    (tmp_path / "a").write_bytes(b"not a blob")
    for use in (blobs.path, blobs.has, blobs.read, blobs.remove, lambda name: blobs.put(name, b"")):
        with pytest.raises(ValueError, match="not the name of a blob"):
            use(name)
    assert files_below(tmp_path) == ["a"]


def test_removing_is_done_once_and_asked_for_twice(blobs: Blobs) -> None:
    blobs.put("keys/a", b"")
    blobs.remove("keys/a")
    blobs.remove("keys/a")
    assert not blobs.has("keys/a")


def test_of_a_finished_job_only_the_result_is_kept(blobs: Blobs, tmp_path: Path) -> None:
    for name in ("jobs/a/record", "jobs/a/1-layer-1", "jobs/a/1-result", "jobs/b/record", "keys/a"):
        blobs.put(name, b"x")
    blobs.keep_only("jobs/a", "jobs/a/1-result")
    assert files_below(tmp_path / "blobs") == ["jobs/a/1-result", "jobs/b/record", "keys/a"]
    blobs.keep_only("jobs/a", None)
    blobs.keep_only("jobs/a", None)
    assert files_below(tmp_path / "blobs") == ["jobs/b/record", "keys/a"]
    assert not (tmp_path / "blobs" / "jobs" / "a").exists()


FULL_DISK = """
import resource, sys
from pathlib import Path
from epaas_server.blobs import Blobs
from epaas_shared.errors import StorageFull

blobs = Blobs(Path(sys.argv[1]))
blobs.put("jobs/a/record", b"small")
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    blobs.put("jobs/a/record", b"x" * int(sys.argv[2]))
except StorageFull as error:
    print("full", blobs.read("jobs/a/record").decode())
else:
    print("written")
"""


@pytest.mark.parametrize(("size", "outcome"), [(100_000, "written"), (100_001, "full small"), (200_000, "full small")])
def test_a_full_disk_is_told_and_loses_nothing(tmp_path: Path, size: int, outcome: str) -> None:
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path), str(size)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (run.stdout.strip(), run.stderr) == (outcome, "")
    assert files_below(tmp_path) == ["jobs/a/record"]

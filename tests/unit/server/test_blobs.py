"""Blobs appear whole or not at all, in a folder and in an object store: one suite for both."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest
from tests.object_store import ObjectStore, addresses

from epaas_server.blobs import Blobs, open_blobs
from epaas_shared.digest import digest_bytes
from epaas_shared.errors import DigestMismatch

OpenAgain = Callable[[], Blobs]


@pytest.fixture(params=["folder", "objects"])
def location(request: pytest.FixtureRequest) -> str:
    """As in the settings."""
    if request.param == "folder":
        return ""
    request.getfixturevalue("aws")
    store: ObjectStore = request.getfixturevalue("object_store")
    return f"s3://{store.new_bucket()}/some/prefix"


@pytest.fixture
def blobs(location: str, tmp_path: Path) -> Blobs:
    return open_blobs(location, tmp_path / "blobs")


def names(blobs: Blobs) -> list[str]:
    """Everything that is there, whole or not."""
    return sorted(blob.name for folder in ("bundles", "incoming", "jobs", "keys") for blob in blobs.stored(folder))


def test_a_blob_is_read_as_it_was_written(blobs: Blobs) -> None:
    blobs.put("jobs/a/record", b"one")
    assert blobs.has("jobs/a/record")
    assert blobs.read("jobs/a/record") == b"one"
    blobs.put("jobs/a/record", b"two")
    assert blobs.read("jobs/a/record") == b"two"
    blobs.put("jobs/a/nothing", b"")
    assert blobs.read("jobs/a/nothing") == b""
    assert type(blobs.read("jobs/a/nothing")) is bytes


def test_what_was_written_is_there_for_another_process_of_the_store(
    blobs: Blobs, location: str, tmp_path: Path
) -> None:
    blobs.put("keys/tenant/digest", b"one")
    folder = tmp_path / ("elsewhere" if location else "blobs")
    assert open_blobs(location, folder).read("keys/tenant/digest") == b"one"


def test_a_blob_is_there_only_after_its_commit(blobs: Blobs) -> None:
    name = f"keys/{digest_bytes(b'onetwo')}"
    with blobs.writer() as writer:
        writer.write(b"one")
        writer.write(b"two")
        assert writer.bytes == 6
        assert not blobs.has(name)
        writer.commit(name, digest_bytes(b"onetwo"))
        assert blobs.has(name)
    assert blobs.read(name) == b"onetwo"
    assert names(blobs) == [name]


def test_a_blob_of_several_parts_is_read_and_mapped_as_it_was_written(blobs: Blobs) -> None:
    data = np.random.default_rng(1).bytes(20_000_000)
    with blobs.writer() as writer:
        for start in range(0, len(data), 999_999):
            writer.write(data[start : start + 999_999])
        writer.commit("jobs/a/1-layer-1", digest_bytes(data))
        written = np.memmap(writer.file, dtype="<u8", mode="r", shape=(len(data) // 8,))
    assert written.tobytes() == data
    assert blobs.read("jobs/a/1-layer-1") == data
    with blobs.open("jobs/a/1-layer-1") as file:
        assert file.read(7) == data[:7]
        mapped = np.memmap(file, dtype="<u8", mode="r", shape=(len(data) // 8,))
    blobs.remove("jobs/a/1-layer-1")
    assert mapped.tobytes() == data, "what is mapped stays until nobody uses it"


def test_nothing_appears_where_writing_is_broken_off(blobs: Blobs) -> None:
    def write() -> None:
        with blobs.writer() as writer:
            writer.write(b"half of")
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        write()
    with blobs.writer() as writer:
        writer.write(b"never committed")
    assert names(blobs) == []


def test_bytes_of_another_digest_do_not_appear(blobs: Blobs) -> None:
    name = f"keys/{digest_bytes(b'announced')}"

    def write() -> None:
        with blobs.writer() as writer:
            writer.write(b"received")
            writer.commit(name, digest_bytes(b"announced"))

    with pytest.raises(DigestMismatch) as caught:
        write()
    assert caught.value.field == "digest"
    assert digest_bytes(b"received") in caught.value.detail
    assert names(blobs) == []


@pytest.mark.parametrize(
    "name",
    ["", "keys", "keys/", "/keys/a", "../a/b", "keys/..", "keys/../a", "jobs/a/../../b", "keys/.a", "keys/a/b/c/d",
     "keys/a\n", "keys/a\0", "keys//a", "Keys/a", "/etc/passwd", "keys/ä", "keys/a.b/c", "keys/a..b", "keys/a.B"],
)  # fmt: skip
def test_a_name_that_could_lead_elsewhere_is_refused(blobs: Blobs, tmp_path: Path, name: str) -> None:
    (tmp_path / "a").write_bytes(b"not a blob")
    for use in (blobs.has, blobs.read, blobs.open, blobs.remove, lambda name: blobs.put(name, b"")):
        with pytest.raises(ValueError, match="not the name of a blob"):
            use(name)
    assert names(blobs) == []
    assert (tmp_path / "a").read_bytes() == b"not a blob"


@pytest.mark.parametrize("folder", ["", "..", "keys/..", "/", "keys/", "jobs/a/b", "."])
def test_a_folder_that_could_lead_elsewhere_is_refused(blobs: Blobs, folder: str) -> None:
    with pytest.raises(ValueError, match="not a folder of blobs"):
        blobs.keep_only(folder, None)
    with pytest.raises(ValueError, match="not a folder of blobs"):
        list(blobs.stored(folder))


def test_what_is_not_there_is_told(blobs: Blobs) -> None:
    blobs.put("keys/abc", b"")
    for use in (blobs.read, blobs.open):
        with pytest.raises(FileNotFoundError):
            use("keys/ab")
    assert not blobs.has("keys/ab")
    assert not blobs.has("keys/abc/d")


def test_removing_is_done_once_and_asked_for_twice(blobs: Blobs) -> None:
    blobs.put("keys/a", b"")
    blobs.remove("keys/a")
    blobs.remove("keys/a")
    assert not blobs.has("keys/a")


def test_of_a_finished_job_only_the_result_is_kept(blobs: Blobs) -> None:
    for name in ("jobs/a/record", "jobs/a/1-layer-1", "jobs/a/1-result", "jobs/ab/record", "keys/a"):
        blobs.put(name, b"x")
    blobs.keep_only("jobs/a", "jobs/a/1-result")
    assert names(blobs) == ["jobs/a/1-result", "jobs/ab/record", "keys/a"]
    blobs.keep_only("jobs/a", None)
    blobs.keep_only("jobs/a", None)
    assert names(blobs) == ["jobs/ab/record", "keys/a"]


def test_an_emptied_folder_is_gone(tmp_path: Path) -> None:
    blobs = open_blobs("", tmp_path)
    blobs.put("jobs/a/record", b"x")
    blobs.keep_only("jobs/a", None)
    assert list((tmp_path / "jobs").iterdir()) == []


def test_a_listing_says_how_large_and_how_old(blobs: Blobs) -> None:
    blobs.put("keys/tenant/a", b"four")
    blobs.put("keys/b", b"")
    blobs.put("keysets/c", b"of another folder")
    found = {blob.name: blob for blob in blobs.stored("keys")}
    assert {name: blob.bytes for name, blob in found.items()} == {"keys/tenant/a": 4, "keys/b": 0}
    assert [blob.name for blob in blobs.stored("keys/tenant")] == ["keys/tenant/a"]
    assert all(-2 < blob.age_seconds < 600 for blob in found.values()), "S3 counts whole seconds"
    assert list(blobs.stored("jobs")) == []


def test_a_listing_of_many_is_whole(blobs: Blobs) -> None:
    """More than S3 puts on a page."""
    count = 1203
    for number in range(count):
        blobs.put(f"jobs/a/{number}", b"")
    assert {blob.name for blob in blobs.stored("jobs")} == {f"jobs/a/{number}" for number in range(count)}
    blobs.keep_only("jobs/a", "jobs/a/7")
    assert names(blobs) == ["jobs/a/7"]


def test_what_others_put_there_is_no_blob(blobs: Blobs, location: str, tmp_path: Path) -> None:
    blobs.put("jobs/a/record", b"")
    if location:
        bucket, _, prefix = location.removeprefix("s3://").partition("/")
        httpx.put(f"{os.environ['AWS_ENDPOINT_URL']}/{bucket}/{prefix}/jobs/.hidden", content=b"").raise_for_status()
    else:
        (tmp_path / "blobs" / "jobs" / ".hidden").touch()
    assert names(blobs) == ["jobs/a/record"]


def test_a_store_that_works_passes_its_check(blobs: Blobs) -> None:
    blobs.check()
    assert names(blobs) == []


IN_ANOTHER_PROCESS = """
import os, resource, signal, sys
from pathlib import Path
from epaas_server.blobs import open_blobs
from epaas_shared.errors import StorageFull

def peak():
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024

location, folder, what, size = sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
blobs = open_blobs(location, folder)
blobs.put("jobs/a/record", b"small")
if what == "full":
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
before = peak()
try:
    with blobs.writer() as writer:
        for _ in range(size // 10_000):
            writer.write(os.urandom(10_000))
        if what == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        writer.commit("jobs/a/record")
except StorageFull as error:
    print("full", blobs.read("jobs/a/record").decode())
else:
    print("written", peak() - before)
"""


def elsewhere(location: str, folder: Path, what: str, size: int, endpoint: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", IN_ANOTHER_PROCESS, location, str(folder), what, str(size)]
    environment = {**os.environ, **addresses(endpoint)}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.parametrize(("size", "outcome"), [(100_000, "written"), (110_000, "full small"), (200_000, "full small")])
def test_a_full_disk_is_told_and_loses_nothing(
    blobs: Blobs, location: str, tmp_path: Path, size: int, outcome: str
) -> None:
    run = elsewhere(location, tmp_path / "blobs", "full", size, os.environ.get("AWS_ENDPOINT_URL", ""))
    assert run.stdout.strip().startswith(outcome), run.stderr
    assert run.stderr == ""
    assert names(blobs) == ["jobs/a/record"]


def test_who_is_killed_in_mid_upload_leaves_nothing_visible(blobs: Blobs, location: str, tmp_path: Path) -> None:
    """What a folder keeps of it is listed as ``incoming``, for whoever tidies up; nameless files are gone."""
    run = elsewhere(location, tmp_path / "blobs", "killed", 1_000_000, os.environ.get("AWS_ENDPOINT_URL", ""))
    assert run.returncode == -signal.SIGKILL, run.stderr
    assert blobs.read("jobs/a/record") == b"small"
    left = list(blobs.stored("incoming"))
    assert [blob.bytes for blob in left] == ([] if location else [1_000_000])
    for blob in left:
        blobs.remove(blob.name)
    assert names(blobs) == ["jobs/a/record"]
    assert list((tmp_path / "blobs" / "incoming").iterdir()) == []


def test_sixty_megabytes_pass_without_being_held_in_memory(blobs: Blobs, location: str, tmp_path: Path) -> None:
    run = elsewhere(location, tmp_path / "blobs", "large", 60_000_000, os.environ.get("AWS_ENDPOINT_URL", ""))
    outcome, grown = run.stdout.split()
    assert outcome == "written", run.stderr
    assert int(grown) < 40_000_000

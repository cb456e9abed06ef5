"""A disk that is really full, of the database, the blobs and everything: clear answers, and jobs that wait for room."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from epaas_shared.protocol import PROBLEM_MEDIA_TYPE
from tests.conftest import ClientKeys, Server
from tests.faults.conftest import check_finished, frame_of, submit, with_model
from tests.integration.processes import wait_until

MEGABYTES = 220


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own. Skips where none may be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "epaas-test", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("no file system may be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def server(disk: Path, keys: ClientKeys, tmp_path: Path) -> Iterator[Server]:
    """One whose data folder is the disk; its log is elsewhere, as the operator's are."""
    log = tmp_path / "server.log"
    log.touch()
    (disk / "data").mkdir()
    (disk / "data" / "server.log").symlink_to(log)
    started = Server(disk / "data", {"lease_seconds": "3", "heartbeat_seconds": "0.2", "threads": "1"}).start()
    try:
        yield with_model(started, keys, tmp_path / "bundle")
    finally:
        started.stop()


def fill(disk: Path) -> Path:
    """A file that takes all the room there is."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(1 << 16))
    with ballast.open("ab", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"0")
    assert os.statvfs(disk).f_bavail == 0
    return ballast


def test_a_full_disk_loses_nothing(server: Server, disk: Path, keys: ClientKeys, other_keys: ClientKeys) -> None:
    before = submit(server, keys)
    check_finished(server, before, keys)
    running = submit(server, keys)
    wait_until(lambda: list(server.data_dir.glob(f"blobs/jobs/{running}/*-layer-1")))
    ballast = fill(disk)
    with server.http() as http:
        refused = [
            http.post("/v1/predictions", params={"model": "toy"}, content=frame_of(keys)),
            http.put(f"/v1/evaluation-keys/{other_keys.digest}", content=other_keys.frame),
            http.get(f"/v1/predictions/{before}/result"),  # which the audit log could not say
        ]
        for answer in refused:
            assert answer.status_code == 507, answer.text
            assert answer.headers["content-type"] == PROBLEM_MEDIA_TYPE
            assert answer.json()["code"] == "storage-full"
            assert answer.json()["detail"]
        assert http.get(f"/v1/predictions/{running}").json()["state"] in ("queued", "running")
        assert http.get("/healthz").status_code == 200
        assert http.get("/readyz").status_code == 503
        assert http.get("/v1/models/toy").status_code == 200
    wait_until(lambda: not list((server.data_dir / "blobs" / "incoming").iterdir()))  # but for the worker's next try
    wait_until(lambda: b"full" in server.log_file.read_bytes())
    ballast.unlink()
    check_finished(server, running, keys)
    check_finished(server, submit(server, keys), keys)
    with server.http() as http:
        assert http.get(f"/v1/evaluation-keys/{other_keys.digest}").status_code == 404
        assert http.get("/readyz").status_code == 200
        assert http.get(f"/v1/predictions/{before}/result").status_code == 200
    assert "Traceback" not in server.log_file.read_text()

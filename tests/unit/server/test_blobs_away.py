"""An object store that is away, refuses, is full or is not what the settings say: what is told, and what is not."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import structlog
from tests.object_store import ObjectStore, Wire

from epaas_server.blobs import Blobs, open_blobs
from epaas_server.blobs.objects import open_object_store
from epaas_shared.digest import digest_bytes
from epaas_shared.errors import ConfigurationError, EpaasError, StorageFull, Unavailable

MEGABYTE = 1_000_000
LARGE = os.urandom(30 * MEGABYTE)


@pytest.fixture
def bucket(object_store: ObjectStore) -> str:
    return object_store.new_bucket()


@pytest.fixture
def far(aws: None, bucket: str, wire: Wire, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Blobs:
    """The bucket at the other end of the wire."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", wire.url)
    return open_blobs(f"s3://{bucket}", tmp_path)


@pytest.fixture
def impatient(aws: None, bucket: str, wire: Wire, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Blobs:
    """The same, which gives up sooner."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", wire.url)
    return open_object_store(bucket, "", tmp_path / "incoming", patience_seconds=0.5)


@pytest.fixture
def near(aws: None, bucket: str, object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Blobs:
    """The same bucket without a wire."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", object_store.url)
    return open_blobs(f"s3://{bucket}", tmp_path)


def upload(blobs: Blobs, data: bytes = LARGE) -> None:
    with blobs.writer() as writer:
        writer.write(data)
        writer.commit("keys/a", digest_bytes(data))


def after(seconds: float, wire: Wire) -> threading.Timer:
    timer = threading.Timer(seconds, wire.mend)
    timer.start()
    return timer


@pytest.mark.parametrize("use", ["read", "open", "has", "put", "upload", "remove", "keep_only", "stored"])
def test_a_store_that_is_away_for_a_moment_is_not_noticed(far: Blobs, wire: Wire, use: str) -> None:
    far.put("keys/a", b"old")
    wire.cut()
    timer = after(1.0, wire)
    match use:
        case "read":
            assert far.read("keys/a") == b"old"
        case "open":
            with far.open("keys/a") as file:
                assert file.read() == b"old"
        case "has":
            assert far.has("keys/a")
        case "put":
            far.put("keys/a", b"new")
        case "upload":
            upload(far)
        case "remove":
            far.remove("keys/a")
        case "keep_only":
            far.keep_only("keys/x", None)
        case "stored":
            assert [blob.name for blob in far.stored("keys")] == ["keys/a"]
    timer.join()


def test_an_upload_that_is_cut_goes_on_when_the_store_is_back(far: Blobs, near: Blobs, wire: Wire) -> None:
    wire.cut_after_bytes = 12 * MEGABYTE
    mender = threading.Timer(2.0, wire.mend)
    mender.start()
    upload(far)
    mender.join()
    assert near.read("keys/a") == LARGE


def test_a_truncated_upload_leaves_what_was_there_before(
    far: Blobs, impatient: Blobs, near: Blobs, wire: Wire, object_store: ObjectStore, bucket: str
) -> None:
    near.put("keys/a", b"old")
    wire.cut_after_bytes = 12 * MEGABYTE
    with pytest.raises(Unavailable) as caught:
        upload(impatient)
    assert (caught.value.hint, caught.value.retry_after) == ("try again in a moment", 5)
    assert near.read("keys/a") == b"old"
    near.remove("keys/a")
    assert object_store.objects(bucket) == []
    assert object_store.unfinished_uploads(bucket) == 1, "its parts are hidden; a rule of the bucket removes them"
    wire.mend()
    upload(far)
    assert near.read("keys/a") == LARGE


def test_a_download_that_is_cut_goes_on_where_it_was(far: Blobs, near: Blobs, wire: Wire, tmp_path: Path) -> None:
    upload(near)
    done = threading.Event()

    def cut_again_and_again() -> None:
        while not done.wait(0.05):
            wire.cut()
            wire.mend()

    thread = threading.Thread(target=cut_again_and_again)
    thread.start()
    try:
        with far.open("keys/a") as file:
            assert file.read() == LARGE
    finally:
        done.set()
        thread.join()


def test_a_store_that_stays_away_is_told(impatient: Blobs, wire: Wire, tmp_path: Path) -> None:
    wire.cut()
    for use in (impatient.check, lambda: impatient.put("keys/a", b"x"), lambda: list(impatient.stored("keys"))):
        with pytest.raises(Unavailable, match="does not answer"):
            use()
    assert list((tmp_path / "incoming").iterdir()) == []


@pytest.mark.slow
def test_a_store_that_takes_connections_and_answers_nothing_is_given_up(near: Blobs, object_store: ObjectStore) -> None:
    object_store.freeze()
    try:
        with pytest.raises(Unavailable, match="does not answer"):
            near.read("keys/a")
    finally:
        object_store.thaw()
    near.check()


def test_credentials_that_are_not_known_are_told_and_never_shown(
    near: Blobs, object_store: ObjectStore, caplog: pytest.LogCaptureFixture
) -> None:
    structlog.configure(logger_factory=structlog.stdlib.LoggerFactory())
    object_store.ask_for_credentials()
    errors: list[EpaasError] = []
    try:
        with caplog.at_level(logging.DEBUG):
            for use in (
                near.check,
                lambda: near.has("keys/a"),
                lambda: near.read("keys/a"),
                lambda: near.put("keys/a", b"x"),
                lambda: upload(near),
                lambda: near.remove("keys/a"),
                lambda: list(near.stored("keys")),
            ):
                with pytest.raises(Unavailable, match="refuses the server") as caught:
                    use()
                errors.append(caught.value)
    finally:
        object_store.ask_for_none()
        structlog.reset_defaults()
    assert {error.hint for error in errors} == {"tell the operator"}
    assert "InvalidAccessKeyId" in caplog.text
    assert all(error.__cause__ is None and error.__suppress_context__ for error in errors)
    for text in (caplog.text, *map(str, errors)):
        assert "access-key" not in text
        assert "Signature" not in text


def test_a_bucket_that_is_not_there_is_no_missing_blob(aws: None, tmp_path: Path, object_store: ObjectStore) -> None:
    blobs = open_blobs("s3://no-such-bucket/prefix", tmp_path)
    for use in (blobs.check, lambda: blobs.has("keys/a"), lambda: blobs.read("keys/a"), lambda: upload(blobs)):
        with pytest.raises(Unavailable, match="NoSuchBucket"):
            use()


class Full(BaseHTTPRequestHandler):
    """Answers as MinIO does on a full disk."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body = b"<?xml version='1.0'?><Error><Code>XMinioStorageFull</Code><Message>no room</Message></Error>"
        self.send_response(507)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None: ...


def test_a_full_store_is_told(aws: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with HTTPServer(("127.0.0.1", 0), Full) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        with pytest.raises(StorageFull):
            open_object_store("bucket", "", tmp_path, patience_seconds=0.5).put("keys/a", b"x")
        server.shutdown()


@pytest.mark.parametrize("endpoint", ["http://", "store:9000", "ftp://store", "http://[", "/store"])
def test_an_endpoint_that_is_no_address_is_refused(
    aws: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, endpoint: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    with pytest.raises(ConfigurationError) as caught:
        open_blobs("s3://bucket", tmp_path)
    assert caught.value.field == "AWS_ENDPOINT_URL"


@pytest.mark.parametrize(
    "location",
    ["s3:/bucket", "s3://", "s3:///prefix", "S3://bucket", "bucket", "/srv/blobs", "https://bucket.example/x",
     "s3://user:secret@bucket", "s3://bucket/a?b=c", "s3://Bucket"],
)  # fmt: skip
def test_what_is_no_address_of_a_store_is_refused(tmp_path: Path, location: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_blobs(location, tmp_path)
    assert caught.value.field == "blob_store"
    assert "secret" not in str(caught.value)


WITHOUT_OBSTORE = """
import sys
sys.modules["obstore"] = None
from pathlib import Path
from epaas_server.blobs import open_blobs
from epaas_shared.errors import ConfigurationError

open_blobs("", Path(sys.argv[1])).check()
try:
    open_blobs("s3://bucket", Path(sys.argv[1]))
except ConfigurationError as error:
    print(error.field, error.hint)
"""


def test_without_its_package_a_folder_works_and_an_object_store_says_what_is_missing(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT_OBSTORE, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert run.stdout == "blob_store `pip install epaas[s3]`\n", run.stderr


class TestCredentialsOfAFile:
    @pytest.fixture
    def file(self, aws: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
        """A file instead of variables."""
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
        return tmp_path / "credentials"

    def test_they_are_used(self, file: Path, bucket: str, tmp_path: Path) -> None:
        file.write_text("[default]\naws_access_key_id = a-key\naws_secret_access_key = a%secret\n")
        blobs = open_blobs(f"s3://{bucket}", tmp_path)
        blobs.put("keys/a", b"x")
        assert blobs.read("keys/a") == b"x"

    def test_those_of_a_profile_are_used(
        self, file: Path, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_PROFILE", "epaas")
        file.write_text("[epaas]\naws_access_key_id = a\naws_secret_access_key = b\naws_session_token = c\n")
        open_blobs(f"s3://{bucket}", tmp_path).check()

    @pytest.mark.parametrize(
        "content",
        [None, "", "aws_secret_access_key = not-for-eyes\n", "[default]\naws_secret_access_key = not-for-eyes\n",
         "[other]\naws_access_key_id = a\naws_secret_access_key = not-for-eyes\n",
         "[default]\nnot-for-eyes\n"],
    )  # fmt: skip
    def test_a_file_without_them_is_refused(self, file: Path, tmp_path: Path, content: str | None) -> None:
        if content is not None:
            file.write_text(content)
        with pytest.raises(ConfigurationError) as caught:
            open_blobs("s3://bucket", tmp_path)
        assert caught.value.field == "AWS_SHARED_CREDENTIALS_FILE"
        assert "not-for-eyes" not in str(caught.value)

    def test_a_file_that_is_gone_later_is_told(self, file: Path, bucket: str, tmp_path: Path) -> None:
        file.write_text("[default]\naws_access_key_id = a\naws_secret_access_key = not-for-eyes\n")
        blobs = open_blobs(f"s3://{bucket}", tmp_path)
        file.unlink()
        with pytest.raises(Unavailable) as caught:
            blobs.check()
        assert "not-for-eyes" not in str(caught.value)

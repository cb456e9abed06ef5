"""Publishing over HTTP: what is sent, and what becomes of every kind of answer."""

from __future__ import annotations

import io
import json
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.full_report_making import write_digits

from epaas_models.publishing import publish, read_token
from epaas_shared.bundle_archive import MEMBERS, packed
from epaas_shared.errors import BundleFallsShort, ConfigurationError, InvalidBundle, ServerUnreachable, Shortfall
from epaas_shared.protocol import PROBLEM_MEDIA_TYPE, Alias, Problem

Request = tuple[str, str, dict[str, str], bytes]


@contextmanager
def answering(status: int, body: bytes, media_type: str = "application/json") -> Iterator[tuple[str, list[Request]]]:
    """A server that keeps what it is sent and always says the same."""
    seen: list[Request] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            seen.append(("POST", self.path, dict(self.headers), content))
            self.send_response(status)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    write_digits(tmp_path / "digits", "digits")
    return tmp_path / "digits"


def test_the_bundle_travels_as_it_is_and_the_problem_comes_back(bundle: Path) -> None:
    falls = BundleFallsShort(
        "too bad",
        field="report",
        shortfalls=(Shortfall(measure="accuracy", required=0.9, bound="at least", measured=0.5),),
    )
    document = Problem.of(falls).model_dump_json().encode()
    with answering(422, document, PROBLEM_MEDIA_TYPE) as (address, seen):
        with pytest.raises(BundleFallsShort) as caught:
            publish(bundle, f"{address}/", "secret", alias=Alias.STABLE, strategies=["accumulate"])
        assert caught.value.shortfalls == falls.shortfalls
        ((_, path, headers, content),) = seen
    assert urlsplit(path).path == "/v1/models/digits/versions"
    assert parse_qs(urlsplit(path).query) == {
        "alias": ["stable"],
        "strategy": ["accumulate"],
        "trust_measured_ranges": ["false"],
    }
    assert headers["Authorization"] == "Bearer secret"
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.namelist() == list(MEMBERS)
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        for name in MEMBERS:
            assert archive.read(name) == (bundle / name).read_bytes()


@pytest.mark.parametrize(
    ("status", "body"), [(200, b"{}"), (404, b"<html>"), (500, b""), (422, json.dumps({}).encode())]
)
def test_what_is_no_prediction_server_is_said_to_be_none(bundle: Path, status: int, body: bytes) -> None:
    with answering(status, body) as (address, _), pytest.raises(ServerUnreachable, match="no document"):
        publish(bundle, address, "secret")


def test_a_server_that_is_not_there(bundle: Path) -> None:
    for address in ("http://127.0.0.1:1", "nonsense"):
        with pytest.raises(ServerUnreachable):
            publish(bundle, address, "secret")


def test_the_same_bundle_is_the_same_bytes(bundle: Path) -> None:
    first = packed(bundle)
    (bundle / "notes.txt").write_text("not part of it")
    for name in MEMBERS:
        (bundle / name).touch()
    assert packed(bundle) == first


def test_a_bundle_without_all_its_files_is_none(bundle: Path) -> None:
    (bundle / MEMBERS[1]).unlink()
    with pytest.raises(InvalidBundle) as caught:
        packed(bundle)
    assert caught.value.field == MEMBERS[1]


@pytest.mark.parametrize("content", [b"", b"two words", b"\xff\xfe"])
def test_a_file_that_holds_no_token(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "token").write_bytes(content)
    with pytest.raises(ConfigurationError):
        read_token(tmp_path / "token")
    with pytest.raises(ConfigurationError):
        read_token(tmp_path / "nothing")

"""Small files of data, as their publishers would write them, and a server to download them from."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from epaas_models.datasets.files import DataFile
from epaas_shared.digest import digest_bytes


def idx_bytes(array: NDArray[np.uint8]) -> bytes:
    return bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def zipped(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            # Without the time of day, so that the same files give the same bytes.
            archive.writestr(zipfile.ZipInfo(name), data)
    return buffer.getvalue()


def tarred(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def jpeg(pixels: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def gzipped(folder: Path, name: str, content: bytes) -> DataFile:
    """A file that is written to a data directory, and what is known of it."""
    return placed(folder, DataFile("toy", name, digest_bytes(content), source="here"), gzip.compress(content))


def plain(folder: Path, name: str, content: bytes) -> DataFile:
    return placed(folder, DataFile("toy", name, digest_bytes(content), source="here"), content)


def placed(folder: Path, file: DataFile, data: bytes) -> DataFile:
    path = folder / file.folder / file.name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return file


@contextmanager
def serving(
    data: bytes, fault: Literal["", "missing", "cut", "moved"] = "", asked: list[str] | None = None
) -> Iterator[str]:
    """The address of a server that answers every request with ``data``, or with a fault."""
    paths = asked if asked is not None else []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            moved = fault == "moved" and len(paths) == 1
            self.send_response(404 if fault == "missing" else 301 if moved else 200)
            if moved:
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", str(0 if moved else len(data)))
            self.end_headers()
            self.wfile.write(b"" if moved else data[: len(data) // 2] if fault == "cut" else data)

        def log_message(self, *_: Any) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/data"
        finally:
            server.shutdown()
            thread.join()

"""An object store that speaks S3, as a process of its own on loopback, and a wire to it that can be cut."""

from __future__ import annotations

import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import httpx
import pytest

START_SECONDS = 60.0


@dataclass
class ObjectStore:
    """Its buckets are in its memory. It takes any credentials until :meth:`ask_for_credentials`."""

    process: subprocess.Popen[bytes]
    port: int
    buckets: int = 0

    @classmethod
    def start(cls) -> ObjectStore:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        command = [sys.executable, "-W", "ignore", "-m", "moto.server", "--port", str(port)]
        quiet = subprocess.DEVNULL
        store = cls(subprocess.Popen(command, stdout=quiet, stderr=quiet), port)
        wait_for_port(port)
        return store

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def new_bucket(self) -> str:
        self.buckets += 1
        self._http("PUT", f"bucket-{self.buckets}")
        return f"bucket-{self.buckets}"

    def objects(self, bucket: str) -> list[str]:
        """The names in a bucket, as one who is not under test sees them."""
        listing = self._http("GET", f"{bucket}?list-type=2")
        return sorted(part.split("</Key>")[0] for part in listing.split("<Key>")[1:])

    def unfinished_uploads(self, bucket: str) -> int:
        return self._http("GET", f"{bucket}?uploads").count("<Upload>")

    def ask_for_credentials(self, after: int = 0) -> None:
        """From the request after the next ``after`` on, refuse who is not known, which nobody is."""
        self._http("POST", "moto-api/reset-auth", str(after).encode())

    def ask_for_none(self) -> None:
        self.ask_for_credentials(10**9)

    def _http(self, method: str, path: str, content: bytes = b"") -> str:
        """As one who needs no credentials."""
        answer = httpx.request(method, f"{self.url}/{path}", content=content, timeout=START_SECONDS)
        return answer.raise_for_status().text

    def freeze(self) -> None:
        """It takes connections from now on and answers nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        self.thaw()
        self.process.kill()
        self.process.wait()


@dataclass
class Wire:
    """Passes connections on to a port of this machine, until it is cut."""

    target: int
    port: int = 0
    passed_bytes: int = 0
    """From clients, since the last mending."""
    cut_after_bytes: int | None = None
    _listener: socket.socket | None = None
    _open: list[socket.socket] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def mend(self) -> Wire:
        """Listen, at the same port as ever."""
        self.passed_bytes, self.cut_after_bytes = 0, None
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()
        return self

    def cut(self) -> None:
        """End all connections and refuse new ones."""
        with self._lock:
            listener, self._listener = self._listener, None
            if listener is not None:
                with suppress(OSError):
                    listener.shutdown(socket.SHUT_RDWR)
                listener.close()
            for end in self._open:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                return
            with self._lock:
                self._open += [near, far]
            threading.Thread(target=self._pass_on, args=(near, far), daemon=True).start()

    def _pass_on(self, near: socket.socket, far: socket.socket) -> None:
        with near, far, selectors.DefaultSelector() as selector, suppress(OSError):
            selector.register(near, selectors.EVENT_READ, far)
            selector.register(far, selectors.EVENT_READ, near)
            while True:
                for key, _ in selector.select():
                    source = key.fileobj
                    assert isinstance(source, socket.socket)
                    data = source.recv(65536)
                    if not data:
                        return
                    key.data.sendall(data)
                    if source is near:
                        self._count(len(data))

    def _count(self, data: int) -> None:
        with self._lock:
            self.passed_bytes += data
            due = self.cut_after_bytes is not None and self.passed_bytes > self.cut_after_bytes
        if due:
            self.cut()


def wait_for_port(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        assert time.monotonic() < deadline, "nobody listens"
        time.sleep(0.05)


def addresses(url: str) -> dict[str, str]:
    """Variables with which a store at ``url`` is found."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "an-access-key",
        "AWS_SECRET_ACCESS_KEY": "a-secret-access-key",
    }


@pytest.fixture(scope="session")
def object_store() -> Iterator[ObjectStore]:
    store = ObjectStore.start()
    yield store
    store.stop()


@pytest.fixture
def wire(object_store: ObjectStore) -> Iterator[Wire]:
    wire = Wire(object_store.port).mend()
    yield wire
    wire.cut()


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, object_store: ObjectStore) -> None:
    """Address and credentials of the store in this process's environment, and nothing of the machine's own."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in addresses(object_store.url).items():
        monkeypatch.setenv(name, value)

"""The HTTP interface on a thread of this process, over a folder of the test's; and pages, taken apart."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path

import httpx
import uvicorn
from tests.full_report_making import write_digits
from tests.postgresql import SHARED

from epaas_server.api.app import create_app
from epaas_server.registry import Registry
from epaas_server.services import Services
from epaas_server.settings import Settings
from epaas_shared.bundle import REPORT_FILE
from epaas_shared.protocol import ModelVersion

VOID = {"meta", "link", "br", "hr", "img", "input"}


@contextmanager
def serving(folder: Path, **options: object) -> Iterator[tuple[httpx.Client, Registry]]:
    """A client of the interface, which sends no ``Accept`` of its own, and the registry behind it."""
    data = folder / "data"
    app = create_app(Settings.model_validate({"data_dir": data, "workers": 0, **SHARED.settings(data), **options}))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, ws="none"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server does not start"
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    services: Services = app.state.services
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        del client.headers["accept"]
        yield client, services.registry
    server.should_exit = True
    thread.join()


def publish_older(registry: Registry, folder: Path, name: str, report: bytes = b"{}") -> ModelVersion:
    """A version as an earlier release published it, when any JSON was a report."""
    write_digits(folder, name)
    model = registry.publish(folder)
    (registry.bundle_folder(model.digest) / REPORT_FILE).write_bytes(report)
    return model


class Page(HTMLParser):
    """A page as elements: their tags, attributes and text. Every element that is opened must be closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == [], f"left open: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str, style: str | None = None) -> list[dict[str, str]]:
        """Attributes of the elements of a tag, of a class where one is given."""
        return [
            attributes
            for found, attributes in self.elements
            if found == tag and (style is None or style in attributes.get("class", "").split())
        ]

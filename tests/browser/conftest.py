"""A headless Chromium, and a server with models to look at.

The browser is Debian's; it talks to the server of the test alone, over loopback.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.remote.webdriver import WebDriver

from epaas_shared.bundle import REPORT_FILE
from tests.conftest import Server
from tests.full_report_making import write_digits

HERE = Path(__file__).parent
_INSTALL = "install Chromium for the browser tests: apt-get install --yes chromium chromium-driver"
_OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDriver]:
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.fail(_INSTALL, pytrace=False)
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for option in (*_OPTIONS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    started = webdriver.Chrome(options=options, service=Service(executable_path=driver))
    yield started
    started.quit()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that evaluates nothing, with a full report and one of an older format."""
    folder = tmp_path_factory.mktemp("site")
    server = Server(folder / "data", {"workers": "0"}).start()
    try:
        for name in ("digits", "older"):
            write_digits(folder / name, name)
            published = server.publish(folder / name)
            assert published.returncode == 0, published.stderr
        # as an earlier release published it, when any JSON was a report
        older = server.data_dir / "bundles" / json.loads(published.stdout)["digest"]
        (older / REPORT_FILE).write_bytes(b"{}")
        yield server.url
    finally:
        server.stop()

"""A headless Chromium, and a server with models to look at.

The browser is Debian's; it talks to the server of the test alone, over loopback.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.remote.webdriver import WebDriver

from epaas_models.configuration import load_shipped
from epaas_models.jobs.folder import JobFolder
from epaas_models.jobs.request import TrainingRequest
from epaas_shared.bundle import MANIFEST_FILE, REPORT_FILE, BundleManifest
from epaas_shared.digest import canonical_json, digest_bytes
from tests.conftest import START_SECONDS, Server
from tests.full_report_making import write_digits
from tests.integration.processes import wait_until

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
        for name in ("digits", "rival", "older"):
            write_digits(folder / name, name)
            if name == "rival":
                worsen(folder / name)
            published = server.publish(folder / name)
            assert published.returncode == 0, published.stderr
        # as an earlier release published it, when any JSON was a report
        older = server.data_dir / "bundles" / json.loads(published.stdout)["digest"]
        (older / REPORT_FILE).write_bytes(b"{}")
        yield server.url
    finally:
        server.stop()


DONE, RUNNING = "d" * 32, "e" * 32


def worsen(bundle: Path) -> None:
    """Give a bundle a report with half the accuracy."""
    manifest = json.loads((bundle / MANIFEST_FILE).read_bytes())
    report = json.loads((bundle / REPORT_FILE).read_bytes())
    report["accuracy"]["accuracy"] |= {"value": 0.5, "interval": [0.49, 0.51]}
    content = canonical_json(report)
    manifest["files"][REPORT_FILE] = digest_bytes(content)
    (bundle / REPORT_FILE).write_bytes(content)
    (bundle / MANIFEST_FILE).write_bytes(BundleManifest.model_validate(manifest).to_bytes())


@pytest.fixture(scope="session")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, JobFolder]]:
    """One that succeeded and one that this process runs, as far as anybody can tell."""
    folder = tmp_path_factory.mktemp("trainings") / "jobs"
    request = TrainingRequest(configuration=load_shipped("mnist-small"), command="a test")
    made = {name: JobFolder.create(folder / name, request) for name in (DONE, RUNNING)}
    with made[RUNNING].lock() as free:
        assert free
        for job in made.values():
            job.begin()
            for epoch in range(1, 9):
                right = 1 - 0.5**epoch
                job.add_event(
                    {"event": "epoch", "epoch": epoch, "epochs": 8, "loss": 1 / epoch, "validation_accuracy": right}
                )
        made[RUNNING].write_progress("train", 30, 100)
        write_digits(made[DONE].bundle, "mnist-small")
        made[DONE].end("succeeded")
        yield made


@pytest.fixture(scope="session")
def trainings(jobs: dict[str, JobFolder]) -> Iterator[str]:
    """The address of a training service that has these jobs."""
    folder = jobs[DONE].path.parents[1]
    log = folder / "service.log"
    command = [sys.executable, "-m", "epaas_models", "serve", "--port", "0", "--data-dir", str(folder)]
    with log.open("wb") as file:
        process = subprocess.Popen(command, stderr=file)
    try:
        wait_until(lambda: '"listening"' in log.read_text(), START_SECONDS)
        yield log.read_text().split('"url": "')[1].split('"')[0]
    finally:
        process.terminate()
        process.wait(60)

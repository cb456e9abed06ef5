"""The pages of both services in a real browser: they render without an error, show the documents' numbers, and can be
read on a wide and on a narrow screen, by keyboard alone. Screenshots are left in ``build/screenshots``."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webdriver import WebDriver

from epaas_models.jobs.folder import JobFolder
from epaas_shared.report import Report
from epaas_shared.report.comparison import compare
from epaas_shared.report.words import family

from .conftest import DONE, RUNNING

SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
REPORT = "/v1/models/digits/versions/1/report"
PATHS = {
    "list": "/",
    "report": f"{REPORT}.html",
    "older": "/v1/models/older/versions/1/report",
    "comparison": "/compare?model=digits@1&model=rival",
    "versions": "/v1/models/digits/versions.html",
}
TRAINING_PATHS = {"jobs": "/", "job": f"/jobs/{DONE}", "running-job": f"/jobs/{RUNNING}"}
SCREENS = {"wide": 1280, "narrow": 390, "narrower": 360, "narrowest": 320}

Open = Callable[..., None]


@pytest.fixture
def page(browser: WebDriver, site: str, trainings: str) -> Open:
    """Open one of the pages, and fail on whatever the browser has to say about it."""

    def look(name: str, width: int = 1280, scheme: str = "light", media: str = "") -> None:
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})
        browser.get_log("browser")
        browser.get(site + PATHS[name] if name in PATHS else trainings + TRAINING_PATHS[name])
        assert browser.get_log("browser") == []

    return look


@pytest.fixture(scope="module")
def report(site: str) -> Report:
    return Report.model_validate(httpx.get(f"{site}{REPORT}.json").json())


def ask(browser: WebDriver, script: str) -> Any:
    return browser.execute_script(f"return {script}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("name", [*PATHS, *TRAINING_PATHS])
def test_a_page_fits_the_screen(browser: WebDriver, page: Open, name: str, screen: str, scheme: str) -> None:
    page(name, SCREENS[screen], scheme)
    take_screenshot(browser, f"{name}-{screen}-{scheme}")
    browser.execute_script("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert ask(browser, "document.documentElement.scrollWidth") == SCREENS[screen], "it scrolls sideways"
    assert ask(browser, "document.styleSheets.length") == 1
    assert ask(browser, "document.styleSheets[0].cssRules.length") > 50


def take_screenshot(browser: WebDriver, name: str) -> None:
    size = ask(browser, "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
    clip = {"x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1}
    picture = browser.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    (SCREENSHOTS / f"{name}.png").write_bytes(base64.b64decode(picture["data"]))


def test_the_bars_that_are_drawn_are_the_bins(browser: WebDriver, page: Open, report: Report) -> None:
    page("report")
    drawn = ask(
        browser,
        """[...document.querySelectorAll('#calibration figure')].slice(0, 2).flatMap(figure => {
            const frame = figure.querySelector('svg .diagonal').getBoundingClientRect();
            return [...figure.querySelectorAll('svg .bar[data-accuracy]')].map(
                bar => [bar.getBoundingClientRect().height / frame.height, Number(bar.dataset.rows)])})""",
    )
    bins = [found for found in (*report.calibration.before.bins, *report.calibration.after.bins) if found.rows]
    assert [rows for _, rows in drawn] == [found.rows for found in bins]
    assert [height for height, _ in drawn] == pytest.approx([found.accuracy for found in bins], abs=0.01)


def test_the_curves_that_are_drawn_are_the_attacks(browser: WebDriver, page: Open, report: Report) -> None:
    page("report")
    drawn = ask(
        browser,
        """['naive', 'straight', 'proof'].map(style => {
            const figure = document.querySelector('#robustness figure');
            const grid = [...figure.querySelectorAll('svg .grid')].map(line => line.getBoundingClientRect().y);
            const [top, bottom] = [Math.min(...grid), Math.max(...grid)];
            return [...figure.querySelectorAll('svg circle.' + style)].map(circle => {
                const box = circle.getBoundingClientRect();
                return (bottom - box.y - box.height / 2) / (bottom - top)})})""",
    )
    evaluation = report.robustness.evaluations[0]
    kinds = [
        [attack.points for attack in evaluation.attacks if family(attack) == name]
        for name in ("naive gradients", "straight-through gradients")
    ]
    kinds.append([certificate.points for certificate in evaluation.certificates])
    expected = [
        [min(points[index].accuracy.value for points in kind) for index in range(len(evaluation.worst))]
        for kind in kinds
    ]
    for seen, meant in zip(drawn, expected, strict=True):
        assert seen == pytest.approx(meant, abs=0.01)
    assert expected[0][-1] > 0.9, "naive attacks find nothing"
    assert expected[1][-1] < 0.1, "others find nearly all"


def test_the_comparison_shows_the_reports_numbers(browser: WebDriver, page: Open, site: str, report: Report) -> None:
    page("comparison")
    rival = Report.model_validate(httpx.get(f"{site}/v1/models/rival/versions/1/report.json").json())
    shown = ask(
        browser,
        """[...document.querySelectorAll('table.comparison tbody tr')].map(row =>
            [row.cells[0].textContent, ...[...row.cells].slice(1).map(cell => {
                const value = cell.querySelector('data');
                return [value ? Number(value.value) : null, cell.classList.contains('good')]})])""",
    )
    expected = [
        [row.measure, *[[value and value[0], row.best == place] for place, value in enumerate(row.values)]]
        for row in compare([report, rival])
    ]
    assert shown == expected
    assert next(row for row in expected if row[0] == "accuracy")[1:] == [[0.9777, True], [0.5, False]]
    assert "better" in browser.find_element(By.CSS_SELECTOR, "table.comparison td.good").text


def test_the_curve_of_a_training_is_its_epochs(browser: WebDriver, page: Open, jobs: dict[str, JobFolder]) -> None:
    page("job")
    drawn = ask(
        browser,
        """[...document.querySelectorAll('figure svg circle')].map(
            circle => [Number(circle.dataset.x), Number(circle.dataset.y)])""",
    )
    events = [event for event in jobs[DONE].events() if event["event"] == "epoch"]
    assert drawn == [[event["epoch"], event["validation_accuracy"]] for event in events]


def test_a_running_job_shows_how_far_it_is(browser: WebDriver, page: Open) -> None:
    page("running-job")
    bar = browser.find_element(By.TAG_NAME, "progress")
    assert (bar.get_property("value"), bar.get_property("max")) == (30, 100)


@pytest.mark.parametrize("name", ["comparison", "versions", "jobs", "job"])
def test_every_link_is_reached_by_keyboard(browser: WebDriver, page: Open, name: str) -> None:
    page(name)
    reachable = ask(browser, "document.querySelectorAll('a[href]').length")
    seen = set()
    for _ in range(100):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        focused = browser.switch_to.active_element
        if focused.tag_name == "body":
            break
        if focused.tag_name == "a":
            seen.add(focused.id)
    assert len(seen) == reachable > 1


def test_each_curve_has_a_colour_and_dashes_of_its_own(browser: WebDriver, page: Open) -> None:
    for scheme in ("light", "dark"):
        page("report", scheme=scheme)
        styles = ask(
            browser,
            """[...document.querySelectorAll('#robustness figure')[0].querySelectorAll('svg path.curve')].map(
                path => [getComputedStyle(path).stroke, getComputedStyle(path).strokeDasharray])""",
        )
        assert len(styles) >= 6
        for kinds in zip(*styles, strict=True):
            assert len(set(kinds)) == len(styles)


def test_texts_stand_out_from_the_paper(browser: WebDriver, page: Open) -> None:
    """WCAG's contrast of 4.5 for all texts, in light and dark."""
    for scheme in ("light", "dark"):
        page("report", scheme=scheme)
        colours = ask(
            browser,
            """['ink', 'soft', 'link', 'good', 'mixed', 'poor'].flatMap(name => ['paper', 'raised'].map(paper => {
                const style = getComputedStyle(document.documentElement);
                return [name, style.getPropertyValue('--' + name), style.getPropertyValue('--' + paper)]}))""",
        )
        for name, ink, paper in colours:
            assert contrast(ink, paper) >= 4.5, (scheme, name)


def contrast(one: str, other: str) -> float:
    lights = sorted(luminance(colour) for colour in (one, other))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def luminance(colour: str) -> float:
    channels = [int(colour.strip().lstrip("#")[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_the_report_is_read_by_keyboard_alone(browser: WebDriver, page: Open) -> None:
    page("report")
    reachable = ask(browser, "document.querySelectorAll('a[href], summary').length")
    seen = []
    for _ in range(200):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        focused = browser.switch_to.active_element
        if focused.tag_name == "body":
            break
        seen.append(focused)
        if focused.tag_name == "summary":
            assert ask(browser, "document.activeElement.matches(':focus-visible')")
    kinds = [element.tag_name for element in seen]
    hidden = ask(browser, "document.querySelectorAll('details:not([open]) summary').length")
    nested = ask(browser, "document.querySelectorAll('details details > summary').length")
    assert kinds.count("a") + kinds.count("summary") == reachable - nested
    assert hidden > nested > 0
    assert kinds.count("div") > 0, "tables that scroll can be scrolled by keys"


def test_details_open_by_key(browser: WebDriver, page: Open) -> None:
    page("report")
    summary = browser.find_element(By.CSS_SELECTOR, "#accuracy figure summary")
    table = browser.find_element(By.CSS_SELECTOR, "#accuracy figure details table")
    assert not table.is_displayed()
    summary.send_keys(Keys.ENTER)
    assert table.is_displayed()
    assert "0.9777" in table.text


def test_the_list_leads_to_the_report_and_back(browser: WebDriver, page: Open, site: str) -> None:
    page("list")
    browser.find_element(By.LINK_TEXT, "Test digits (made up)").send_keys(Keys.ENTER)
    assert browser.current_url == f"{site}{REPORT}.html"
    browser.find_element(By.LINK_TEXT, "Calibration").send_keys(Keys.ENTER)
    assert browser.current_url.endswith("#calibration")
    browser.find_element(By.LINK_TEXT, "EPAAS").send_keys(Keys.ENTER)
    assert browser.current_url == f"{site}/"


def test_a_browser_is_given_the_page(browser: WebDriver, page: Open, site: str) -> None:
    """Without a suffix, by what Chromium accepts."""
    browser.get(site + REPORT)
    assert browser.find_element(By.TAG_NAME, "h1").text == "Test digits (made up)"


def test_paper_shows_what_is_folded(browser: WebDriver, page: Open) -> None:
    visible = "document.querySelector('#accuracy figure details table').checkVisibility()"
    page("report")
    assert not ask(browser, visible)
    page("report", media="print")
    assert ask(browser, visible)
    assert not browser.find_element(By.TAG_NAME, "nav").is_displayed()

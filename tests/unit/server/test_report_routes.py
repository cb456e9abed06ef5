"""Reports over HTTP: which representation is sent, how it may be cached, and what becomes of older reports."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from api_making import Page, publish_older, serving
from tests.full_report_making import write_digits

from epaas_server.registry import Registry
from epaas_shared.bundle import REPORT_FILE
from epaas_shared.report import Report

REPORT = "/v1/models/digits/versions/1/report"
CHROMIUM = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8"


@dataclass
class Served:
    http: httpx.Client
    registry: Registry
    report: Report
    file: bytes


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("reports")
    report = write_digits(folder / "digits")
    with serving(folder) as (http, registry):
        registry.publish(folder / "digits")
        yield Served(http, registry, report, (folder / "digits" / REPORT_FILE).read_bytes())


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("text/html", "text/html"),
        ("text/*", "text/html"),
        (CHROMIUM, "text/html"),
        ("text/html;q=0.4, application/json;q=0.5", "application/json"),
        ("text/html;q=0.5, application/json;q=0.4", "text/html"),
        ("application/json;q=0, */*", "text/html"),
        ("TEXT/HTML", "text/html"),
        ("application/json, text/html", "application/json"),
        ("image/png", "application/json"),
        ("text/html;q=0", "application/json"),
        (";;;, q=", "application/json"),
    ],
)
def test_accept_chooses(served: Served, accept: str | None, media_type: str) -> None:
    response = served.http.get(REPORT, headers={} if accept is None else {"Accept": accept})
    assert response.status_code == 200
    assert response.headers["content-type"].split(";")[0] == media_type
    assert response.headers["vary"] == "Accept"


def test_accept_may_come_in_several_lines(served: Served) -> None:
    response = served.http.get(REPORT, headers=[("Accept", "application/json;q=0.1"), ("Accept", "text/html")])
    assert response.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("accept", ["application/json", "text/html"])
def test_a_suffix_chooses_whatever_is_accepted(served: Served, accept: str) -> None:
    found = [served.http.get(f"{REPORT}.{suffix}", headers={"Accept": accept}) for suffix in ("json", "html")]
    assert [each.headers["content-type"].split(";")[0] for each in found] == ["application/json", "text/html"]
    assert all("vary" not in each.headers for each in found)


def test_json_is_the_file_of_the_bundle(served: Served) -> None:
    for path in (REPORT, f"{REPORT}.json"):
        assert served.http.get(path).content == served.file
    assert Report.model_validate_json(served.file) == served.report


@pytest.mark.parametrize(
    ("path", "accept"),
    [
        (REPORT, "application/json"),
        (REPORT, "text/html"),
        (f"{REPORT}.json", "*/*"),
        (f"{REPORT}.html", "*/*"),
        ("/", "*/*"),
    ],
)
def test_what_a_client_has_is_not_sent_again(served: Served, path: str, accept: str) -> None:
    first = served.http.get(path, headers={"Accept": accept})
    assert first.status_code == 200
    etag = first.headers["etag"]
    assert etag.startswith('"'), "a strong one"
    for known in (etag, f'"other", {etag}', f"W/{etag}", "*"):
        again = served.http.get(path, headers={"Accept": accept, "If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
        for name in ("etag", "cache-control", "vary"):
            assert again.headers.get(name) == first.headers.get(name)
    assert served.http.get(path, headers={"Accept": accept, "If-None-Match": '"other"'}).content == first.content


def test_representations_have_etags_of_their_own(served: Served) -> None:
    etags = {
        accept: served.http.get(REPORT, headers={"Accept": accept}).headers["etag"] for accept in ("text/html", "*/*")
    }
    assert len(set(etags.values())) == 2
    known = {"Accept": "text/html", "If-None-Match": etags["*/*"]}
    assert served.http.get(REPORT, headers=known).status_code == 200


def test_json_never_changes_and_pages_may(served: Served) -> None:
    assert "immutable" in served.http.get(f"{REPORT}.json").headers["cache-control"]
    assert served.http.get(f"{REPORT}.html").headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("path", ["/", f"{REPORT}.html", "/v1/models/older/versions/1/report.html"])
def test_pages_load_nothing_from_elsewhere(served: Served, tmp_path: Path, path: str) -> None:
    publish_older(served.registry, tmp_path / "older", "older")
    response = served.http.get(path)
    assert response.status_code == 200
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert response.headers["x-content-type-options"] == "nosniff"
    page = Page(response.text)
    assert not any(tag in ("script", "style", "iframe", "img", "object") for tag, _ in page.elements)
    assert not any("style" in attributes for _, attributes in page.elements), "the policy would block it"
    links = [attributes["href"] for tag, attributes in page.elements if "href" in attributes]
    assert len(links) >= 5
    for link in links:
        assert "//" not in link
        if not link.startswith("#"):
            assert served.http.get(str(response.url.join(link))).status_code == 200, link


@pytest.mark.parametrize("suffix", ["", ".json", ".html"])
def test_no_such_version(served: Served, suffix: str) -> None:
    response = served.http.get(f"/v1/models/digits/versions/9/report{suffix}", headers={"Accept": "text/html"})
    assert response.status_code == 404
    assert response.json()["code"] == "model-not-found"


@pytest.mark.parametrize("report", [b"{}", b'{"accuracy":1.0}', b'{"format":"epaas-report/1","limits":[]}', b"[]"])
def test_an_older_report_is_json_only(tmp_path: Path, report: bytes) -> None:
    with serving(tmp_path) as (http, registry):
        model = publish_older(registry, tmp_path / "older", "older", report)
        assert registry.reliability(model) is None
        path = "/v1/models/older/versions/1/report"
        assert http.get(path).json() == json.loads(report)
        assert http.get(f"{path}.json").content == report
        for page in (http.get(path, headers={"Accept": "text/html"}), http.get("/")):
            assert page.status_code == 200
            assert "ublished before reports of this format" in page.text
            assert "report.json" in page.text


def test_no_models_yet(tmp_path: Path) -> None:
    with serving(tmp_path) as (http, _):
        response = http.get("/")
        assert response.status_code == 200
        assert "There is no model yet." in Page(response.text).text


def test_the_list_says_what_the_reports_come_down_to(served: Served) -> None:
    text = Page(served.http.get("/").text).text
    for part in (
        "Test digits (made up)",
        "digits , version 1, task digits/v1",
        "97.8 % (97.5 to 98.0 %)",
        "ECE 0.0049",
    ):
        assert part in text
    assert "Checks of the attacks FAILED" in text

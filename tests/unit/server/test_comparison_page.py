"""Models and versions side by side: a column each, and only what can be compared."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from api_making import Page, publish_older, serving
from tests.full_report_making import write_digits

from epaas_server.registry import Registry


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[httpx.Client, Registry, Path]]:
    with serving(tmp_path) as (client, registry):
        yield client, registry, tmp_path


def test_models_have_a_column_each(served: tuple[httpx.Client, Registry, Path]) -> None:
    client, registry, folder = served
    for name in ("digits", "others"):
        write_digits(folder / name, name)
        registry.publish(folder / name)
    answer = client.get("/compare", params={"model": ["digits", "others@1"]})
    assert answer.status_code == 200
    page = Page(answer.text)
    assert "script" not in answer.headers["Content-Security-Policy"]
    assert answer.text.count("digits@1") == answer.text.count("others@1") > 4
    assert "97.8 %" in answer.text
    assert not [words for words in page.words if words.endswith("better")], "they are the same"


def test_versions_of_a_model_have_a_column_each(served: tuple[httpx.Client, Registry, Path]) -> None:
    client, registry, folder = served
    publish_older(registry, folder / "old", "digits")
    write_digits(folder / "new", "digits")
    answer = client.get("/v1/models/digits/versions.html")
    assert answer.status_code == 200
    assert client.get("/v1/models/nothing/versions.html").status_code == 404
    assert 'href="../../../static/style.css"' in answer.text


@pytest.mark.parametrize(
    ("models", "status"),
    [(["digits"], 422), (["digits"] * 7, 422), (["digits", "digits@x"], 422), (["digits", "digits@0"], 422),
     (["digits", "nothing"], 404), (["digits", "digits@9"], 404), ([], 422)],
)  # fmt: skip
def test_what_cannot_be_compared_is_refused(
    served: tuple[httpx.Client, Registry, Path], models: list[str], status: int
) -> None:
    client, registry, folder = served
    write_digits(folder / "digits", "digits")
    registry.publish(folder / "digits")
    answer = client.get("/compare", params={"model": models})
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"

"""Frozen tasks: a version is written once, and the digest says whether there is a new one."""

from __future__ import annotations

from pathlib import Path
from threading import Thread

import pytest

from epaas_models.tables import freeze_task, frozen_tasks
from epaas_shared.errors import ConfigurationError
from epaas_shared.features import NumberFeature
from epaas_shared.schema import InputSchema


def schema(edge: float = 1.0, task: str = "visits") -> InputSchema:
    age = NumberFeature(name="age", edges=(edge,), minimum=0, maximum=100)
    return InputSchema(task=task, version=1, title="Again?", target="again", classes=("no", "yes"), features=(age,))


def test_versions_are_counted_and_the_same_schema_keeps_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "tasks"
    assert frozen_tasks(folder) == {}
    first, second = freeze_task(folder, schema(1.0)), freeze_task(folder, schema(2.0))
    assert (first.name, second.name) == ("visits/v1", "visits/v2")
    assert freeze_task(folder, schema(2.0)) == second
    assert freeze_task(folder, schema(1.0)) == first
    assert freeze_task(folder, second) == second
    assert freeze_task(folder, schema(1.0, "visits-v1")).name == "visits-v1/v1"
    assert sorted(path.name for path in folder.iterdir()) == ["visits-v1-v1.json", "visits-v1.json", "visits-v2.json"]


def test_what_is_loaded_is_what_was_frozen(tmp_path: Path) -> None:
    frozen = [freeze_task(tmp_path, schema(edge)) for edge in (0.1, 0.2)]
    frozen.append(freeze_task(tmp_path, schema(task="later")))
    assert frozen_tasks(tmp_path) == {each.name: each for each in frozen}
    assert {each.digest for each in frozen_tasks(tmp_path).values()} == {each.digest for each in frozen}


def test_a_frozen_file_is_never_written_again(tmp_path: Path) -> None:
    freeze_task(tmp_path, schema())
    before = (tmp_path / "visits-v1.json").stat()
    freeze_task(tmp_path, schema())
    freeze_task(tmp_path, schema(3.0))
    after = (tmp_path / "visits-v1.json").stat()
    assert (before.st_mtime_ns, before.st_ino) == (after.st_mtime_ns, after.st_ino)


def test_those_who_freeze_at_once_get_versions_of_their_own(tmp_path: Path) -> None:
    found: list[InputSchema] = []
    threads = [
        Thread(target=lambda edge=edge: found.append(freeze_task(tmp_path, schema(edge)))) for edge in range(1, 9)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(each.version for each in found) == list(range(1, 9))
    assert frozen_tasks(tmp_path) == {each.name: each for each in found}


@pytest.mark.parametrize("text", ["", "{}", "\xff", '{"task": "visits"}'])
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    freeze_task(tmp_path, schema())
    (tmp_path / "visits-v2.json").write_text(text, "latin-1")
    with pytest.raises(ConfigurationError) as caught:
        frozen_tasks(tmp_path)
    assert str(caught.value.field).endswith("visits-v2.json")


def test_a_file_under_another_name_is_refused(tmp_path: Path) -> None:
    freeze_task(tmp_path, schema())
    (tmp_path / "visits-v1.json").rename(tmp_path / "visits-v3.json")
    with pytest.raises(ConfigurationError, match="no frozen task of its name"):
        frozen_tasks(tmp_path)

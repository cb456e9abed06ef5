"""Aliases: promotions and roll backs against a plain list, under races, and of databases that had none."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from server_making import BundleParts
from sqlalchemy import Connection, Engine, insert, select

from epaas_server import releases
from epaas_server.database import connect, database_url, open_database
from epaas_server.registry import Registry
from epaas_server.tables import model_versions
from epaas_shared.errors import Conflict, ModelNotFound
from epaas_shared.protocol import Alias

VERSIONS = 4


def add_versions(connection: Connection, name: str = "toy", count: int = VERSIONS) -> None:
    """Rows of versions without bundles."""
    for version in range(1, count + 1):
        connection.execute(
            insert(model_versions).values(
                name=name,
                version=version,
                digest=f"{name} {version}",
                manifest={},
                task="toy/v1",
                plan={},
                cost={},
                published_at=datetime.now(UTC),
            )
        )


def stable(connection: Connection, name: str = "toy") -> int | None:
    return releases.aliases(connection, name).get(Alias.STABLE)


ACTIONS = st.one_of(
    st.tuples(st.just("promote"), st.integers(1, VERSIONS), st.none() | st.integers(1, VERSIONS)),
    st.tuples(st.just("roll back"), st.just(0), st.none() | st.integers(1, VERSIONS)),
    st.tuples(st.just("candidate"), st.integers(1, VERSIONS), st.none()),
)


@settings(max_examples=40, deadline=None)
@given(actions=st.lists(ACTIONS, max_size=20))
def test_any_history_is_that_of_a_plain_stack(actions: list[tuple[str, int, int | None]]) -> None:
    """The list of what is under the stable version is kept here by hand."""
    database = open_database("sqlite://")
    stack: list[int] = []
    seen: list[int] = []
    candidate: int | None = None
    with database.begin() as connection:
        add_versions(connection)
        add_versions(connection, "bystander", 2)
        releases.release(connection, "bystander", Alias.STABLE, 2)
        for action, version, expected in actions:
            top = stack[-1] if stack else None
            if action == "candidate":
                releases.release(connection, "toy", Alias.CANDIDATE, version)
                candidate = version
            elif action == "promote":
                if version != top and expected not in (None, top):
                    with pytest.raises(Conflict):
                        releases.release(connection, "toy", Alias.STABLE, version, expected)
                    continue
                releases.release(connection, "toy", Alias.STABLE, version, expected)
                if version != top:
                    stack.append(version)
                    seen.append(version)
            elif len(stack) < 2 or expected not in (None, top):
                with pytest.raises((Conflict, ModelNotFound)):
                    releases.roll_back(connection, "toy", expected)
            else:
                releases.roll_back(connection, "toy", expected)
                stack.pop()
                seen.append(stack[-1])
            assert stable(connection) == (stack[-1] if stack else None)
        assert [release.version for release in releases.history(connection, "toy")] == seen
        assert releases.aliases(connection, "toy").get(Alias.CANDIDATE) == candidate
        assert stable(connection, "bystander") == 2
    database.dispose()


@pytest.fixture
def versions(database: Engine) -> Engine:
    with database.begin() as connection:
        add_versions(connection)
        releases.release(connection, "toy", Alias.STABLE, 1)
    return database


def at_once(actions: list[Callable[[], object]]) -> list[str]:
    """Do all in threads that start together; ``done`` or the error's class of each."""
    barrier = threading.Barrier(len(actions))
    outcomes: list[str] = []

    def do(action: Callable[[], object]) -> None:
        barrier.wait()
        try:
            action()
            outcomes.append("done")
        except Conflict as conflict:
            outcomes.append(type(conflict).__name__)

    threads = [threading.Thread(target=do, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(outcomes)


def test_of_promotions_at_once_that_expect_the_same_one_wins(versions: Engine) -> None:
    def promote(version: int) -> None:
        with versions.begin() as connection:
            releases.lock(connection, "toy")
            releases.release(connection, "toy", Alias.STABLE, version, expected=1)

    outcomes = at_once([lambda version=version: promote(version) for version in (2, 3, 4)])  # type: ignore[misc]
    assert outcomes == ["Conflict", "Conflict", "done"]
    with versions.begin() as connection:
        assert stable(connection) in (2, 3, 4)
        assert len(releases.history(connection, "toy")) == 2


def test_promotions_at_once_are_all_in_the_history_and_can_be_taken_back(versions: Engine) -> None:
    def promote(version: int) -> None:
        with versions.begin() as connection:
            releases.lock(connection, "toy")
            releases.release(connection, "toy", Alias.STABLE, version)

    assert at_once([lambda version=version: promote(version) for version in (2, 3, 4)]) == ["done"] * 3  # type: ignore[misc]
    with versions.begin() as connection:
        order = [release.version for release in releases.history(connection, "toy")]
        assert (order[0], sorted(order)) == (1, [1, 2, 3, 4])
        for version in reversed(order[:-1]):
            releases.roll_back(connection, "toy")
            assert stable(connection) == version


def test_of_roll_backs_at_once_that_expect_the_same_one_goes_back(versions: Engine) -> None:
    with versions.begin() as connection:
        for version in (2, 3, 4):
            releases.release(connection, "toy", Alias.STABLE, version)

    def roll_back() -> None:
        with versions.begin() as connection:
            releases.lock(connection, "toy")
            releases.roll_back(connection, "toy", expected=4)

    assert at_once([roll_back] * 3) == ["Conflict", "Conflict", "done"]
    with versions.begin() as connection:
        assert stable(connection) == 3


def test_a_change_that_is_broken_off_changes_nothing(versions: Engine) -> None:
    class BrokenOff(Exception):
        pass

    def promote_and_break_off() -> None:
        with versions.begin() as connection:
            releases.release(connection, "toy", Alias.STABLE, 2)
            raise BrokenOff

    with pytest.raises(BrokenOff):
        promote_and_break_off()
    with versions.begin() as connection:
        assert stable(connection) == 1
        assert len(releases.history(connection, "toy")) == 1


def test_a_database_from_before_aliases_serves_what_it_served(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'epaas.db'}"
    earlier = connect(database_url(url))
    with earlier.begin() as connection:
        model_versions.create(connection)
        add_versions(connection, "toy", 3)
        add_versions(connection, "other", 1)
    earlier.dispose()
    for _ in range(2):  # the second time there is nothing left to be done
        database = open_database(url)
        with database.begin() as connection:
            assert releases.aliases(connection, "toy") == {Alias.STABLE: 3}
            assert releases.aliases(connection, "other") == {Alias.STABLE: 1}
            assert [release.version for release in releases.history(connection, "toy")] == [1, 2, 3]
        database.dispose()
    database = open_database(url)
    with database.begin() as connection:
        releases.roll_back(connection, "toy")
        assert stable(connection) == 2
        with pytest.raises(Conflict):
            releases.roll_back(connection, "other")
    database.dispose()


def test_a_model_with_a_candidate_alone_stays_unreleased_when_the_database_is_opened_again(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'epaas.db'}"
    for _ in range(2):
        database = open_database(url)
        with database.begin() as connection:
            if not connection.execute(select(model_versions)).first():
                add_versions(connection, "toy", 1)
                releases.release(connection, "toy", Alias.CANDIDATE, 1)
            assert releases.aliases(connection, "toy") == {Alias.CANDIDATE: 1}
        database.dispose()


# The registry


def titled(title: str, folder: Path) -> Path:
    return BundleParts(changes={"title": title}).write(folder / title)


def test_a_candidate_answers_nobody_who_does_not_name_it(registry: Registry, tmp_path: Path) -> None:
    first = registry.publish(titled("one", tmp_path))
    second = registry.publish(titled("two", tmp_path), alias=Alias.CANDIDATE)
    assert registry.version("toy") == first
    assert registry.version("toy", 2) == second
    assert registry.versions() == [first]
    assert registry.model("toy").aliases == {Alias.STABLE: 1, Alias.CANDIDATE: 2}
    promoted = registry.promote("toy", 2, expected=1)
    assert (promoted.version, promoted.title) == (2, "two")
    assert registry.version("toy") == second
    assert registry.roll_back("toy", expected=2).version == 1
    assert registry.versions() == [first]


def test_a_model_of_candidates_alone_is_not_offered(registry: Registry, tmp_path: Path) -> None:
    registry.publish(titled("one", tmp_path), alias=Alias.CANDIDATE)
    assert registry.versions() == []
    for ask in (registry.version, registry.model, registry.roll_back):
        with pytest.raises(ModelNotFound, match="no stable version"):
            ask("toy")
    found = registry.versions_of("toy")
    assert (len(found.versions), found.aliases, found.history) == (1, {Alias.CANDIDATE: 1}, [])
    assert registry.promote("toy", 1).aliases == {Alias.STABLE: 1, Alias.CANDIDATE: 1}


def test_an_older_bundle_published_again_is_promoted(registry: Registry, tmp_path: Path) -> None:
    old, new = titled("one", tmp_path), titled("two", tmp_path)
    first = registry.publish(old)
    second = registry.publish(new)
    assert registry.publish(old) == first
    assert registry.version("toy") == first
    assert registry.roll_back("toy").version == second.version
    assert registry.publish(old, alias=Alias.CANDIDATE) == first
    assert registry.version("toy") == second
    found = registry.versions_of("toy")
    assert found.versions == [first, second]
    assert [release.version for release in found.history] == [1, 2, 1, 2]
    assert found.history == sorted(found.history, key=lambda release: release.released_at)


def test_what_is_not_there_is_neither_promoted_nor_rolled_back(registry: Registry, tmp_path: Path) -> None:
    registry.publish(titled("one", tmp_path))
    for name, version in (("toy", 2), ("other", 1)):
        with pytest.raises(ModelNotFound) as caught:
            registry.promote(name, version)
        assert caught.value.field == "model"
    with pytest.raises(Conflict, match="none to go back to"):
        registry.roll_back("toy")
    for ask in (registry.roll_back, registry.versions_of):
        with pytest.raises(ModelNotFound):
            ask("other")
    assert registry.model("toy").aliases == {Alias.STABLE: 1}


def test_a_candidate_is_planned_by_its_number(registry: Registry, tmp_path: Path) -> None:
    registry.publish(titled("one", tmp_path))
    registry.publish(titled("two", tmp_path), alias=Alias.CANDIDATE)
    changed = registry.change_plan("toy", ["reduce-tree"], version=2)
    assert changed.version == 2
    assert registry.served(changed.name, changed.version).plan.strategies == ["reduce-tree"] * 2
    assert registry.served("toy").plan.strategies == ["accumulate"] * 2

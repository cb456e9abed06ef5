"""Publishing: versions count up, nothing half is ever seen, and a task's schema never changes."""

from __future__ import annotations

import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cost_making import RATES
from server_making import BundleParts, canonical, layer, toy_schema

from epaas_server.registry import Registry
from epaas_shared.errors import InvalidBundle, ModelNotFound, SchemaNotFound
from epaas_shared.network import Network
from epaas_shared.profile import Profile

NARROW = 5
"""Bootstraps of a neuron whose sums reach no further than -32 to 31."""


def titled(title: str, folder: Path, **changes: str) -> Path:
    """A bundle that differs from others by its title."""
    return BundleParts(changes={"title": title, **changes}).write(folder / title)


def test_a_published_bundle_is_listed_with_its_cost(registry: Registry, tmp_path: Path, profile: Profile) -> None:
    before = datetime.now(UTC)
    parts = BundleParts()
    model = registry.publish(parts.write(tmp_path / "bundle"))
    assert (model.name, model.version, model.title, model.task) == ("toy", 1, "A toy", "toy/v1")
    assert (model.input_schema, model.profile) == (parts.schema.digest, profile.digest)
    assert (model.security_bits, model.log2_p_error) == (profile.security_bits, profile.log2_p_error)
    assert (model.cost.bootstraps, model.cost.depth) == (3 * NARROW, 2 * NARROW)
    assert (model.cost.record_bytes, model.cost.result_bytes) == (5 * 24, 2049 * 8)
    assert model.cost.seconds is model.cost.memory_bytes is None
    assert before - timedelta(seconds=1) <= model.published_at <= datetime.now(UTC) + timedelta(seconds=1)
    assert registry.versions() == [model]
    assert registry.version("toy") == registry.version("toy", 1) == model


def test_the_published_copy_is_the_bundle(registry: Registry, tmp_path: Path) -> None:
    source = BundleParts().write(tmp_path / "bundle")
    (source / "notes.txt").write_text("stays at home")
    model = registry.publish(source)
    folder = registry.bundle_folder(model.digest)
    copied = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert copied == {path.name: path.read_bytes() for path in source.iterdir() if path.name != "notes.txt"}
    assert registry.manifest(model.digest).digest == model.digest
    assert registry.report_file(model) == BundleParts().files()["report.json"]
    assert registry.schema(model.input_schema) == BundleParts().schema


def test_versions_count_up_a_name(registry: Registry, tmp_path: Path) -> None:
    published = [registry.publish(titled(title, tmp_path)) for title in ("one", "two", "three")]
    other = registry.publish(titled("four", tmp_path, name="other"))
    assert [model.version for model in published] == [1, 2, 3]
    assert other.version == 1
    assert registry.versions() == [other, published[2]]
    assert registry.version("toy").title == "three"
    assert [registry.version("toy", version) for version in (1, 2, 3)] == published


def test_bundles_published_at_once_get_a_version_each(registry: Registry, tmp_path: Path) -> None:
    folders = [titled(f"title-{number}", tmp_path) for number in range(24)]
    queue = iter(folders)
    versions: list[int] = []

    def publish() -> None:
        for folder in queue:
            versions.append(registry.publish(folder).version)

    threads = [threading.Thread(target=publish) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(versions) == len(folders)
    assert registry.version("toy").version == len(folders)
    published = {registry.version("toy", version).title for version in range(1, len(folders) + 1)}
    assert published == {folder.name for folder in folders}


def test_the_same_bundle_twice_is_published_once(registry: Registry, tmp_path: Path) -> None:
    first = registry.publish(titled("one", tmp_path / "a"))
    assert registry.publish(titled("one", tmp_path / "b")) == first
    with pytest.raises(ModelNotFound):
        registry.version("toy", 2)


def test_a_task_is_not_published_again_with_another_schema(registry: Registry, tmp_path: Path) -> None:
    first = registry.publish(BundleParts().write(tmp_path / "one"))
    changed = BundleParts(schema=toy_schema(2, 3, title="another"), changes={"name": "other"})
    with pytest.raises(InvalidBundle) as caught:
        registry.publish(changed.write(tmp_path / "two"))
    assert caught.value.field == "input_schema"
    assert registry.versions() == [first]
    with pytest.raises(SchemaNotFound):
        registry.schema(changed.schema.digest)
    renamed = BundleParts(schema=toy_schema(2, 3, task="other"), changes={"name": "other"})
    assert registry.publish(renamed.write(tmp_path / "three")).task == "other/v1"


def test_depth_and_width_may_change_under_a_task(registry: Registry, tmp_path: Path) -> None:
    registry.publish(BundleParts().write(tmp_path / "one"))
    deeper = Network((layer([[0] * 5] * 7, [0] * 7), layer([[1] * 7] * 4, [1] * 4), layer([[1] * 4], [2])))
    model = registry.publish(BundleParts.of(deeper, toy_schema(2, 3)).write(tmp_path / "two"))
    assert model.version == 2
    assert model.cost.bootstraps == 12 * NARROW


def test_a_refused_bundle_leaves_nothing(registry: Registry, tmp_path: Path) -> None:
    source = BundleParts().write(tmp_path / "bundle")
    (source / "report.json").write_bytes(b"{}")
    with pytest.raises(InvalidBundle) as caught:
        registry.publish(source)
    assert caught.value.field == "files.report.json"
    assert registry.versions() == []
    assert not registry.bundles.local.exists() or list(registry.bundles.local.iterdir()) == []


def test_what_was_not_published_is_not_found(registry: Registry, tmp_path: Path) -> None:
    for version in (None, 1):
        with pytest.raises(ModelNotFound) as caught:
            registry.version("toy", version)
        assert caught.value.field == "model"
    with pytest.raises(SchemaNotFound):
        registry.schema("0" * 64)
    assert registry.versions() == []


def test_measured_rates_price_a_model(registry: Registry, tmp_path: Path, profile: Profile) -> None:
    model = registry.publish(BundleParts().write(tmp_path / "bundle"))
    registry.calibration.measured("0" * 64, RATES)
    assert registry.version("toy").cost == model.cost
    assert registry.served("toy").seconds(1) is None
    registry.calibration.measured(profile.digest, RATES)
    alone = (1 + 0.14) + (1 + 0.14) + (2 * 5 + 1 * 2) * 0.001 + 5 * 0.0001 + 0.00001
    priced = registry.version("toy").cost
    assert priced.seconds == pytest.approx(alone)
    assert priced.memory_bytes == RATES.base_bytes + (5 + 2 * 2) * 2049 * 8
    assert registry.served("toy").seconds(1) == priced.seconds
    assert registry.served("toy").seconds(2) == pytest.approx(2 * alone - 2 * 1.14)
    assert priced.model_copy(update={"seconds": None, "memory_bytes": None}) == model.cost


BREAK_OFF = """
import resource, sys
from pathlib import Path
from epaas_server.bundle_store import BundleStore
from epaas_server.database import open_database
from epaas_server.registry import Registry

root = Path(sys.argv[1])
registry = Registry(open_database(f"sqlite:///{root}/epaas.db"), BundleStore(root / "published"))
registry.versions()
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
try:
    registry.publish(root / "bundle")
except Exception as error:
    print("broken off", getattr(error, "errno", None))
print([path.name for path in registry.bundles.local.iterdir()], registry.versions())
"""


def test_a_copy_that_is_broken_off_is_never_seen(tmp_path: Path) -> None:
    wide = Network((layer([[0, 0]] * 20_000, [0] * 20_000), layer([[0] * 20_000], [0])))
    BundleParts.of(wide, toy_schema(2)).write(tmp_path / "bundle")
    command = [sys.executable, "-c", BREAK_OFF, str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    broken, left = run.stdout.splitlines()
    assert broken.startswith("broken off"), run.stderr
    assert left == "[] []"


def test_a_folder_left_by_a_killed_publisher_is_no_bundle(registry: Registry, tmp_path: Path) -> None:
    registry.bundles.local.mkdir()
    half = registry.bundles.local / ".0123456789abcdef"
    half.mkdir()
    (half / "manifest.json").write_bytes(canonical({}))
    model = registry.publish(BundleParts().write(tmp_path / "bundle"))
    assert registry.versions() == [model]


def publish_at_once(registry: Registry, bundles: list[Path]) -> list[str]:
    """Publish all bundles in threads that start together; the outcome of each."""
    barrier = threading.Barrier(len(bundles))
    outcomes: list[str] = []

    def publish(bundle: Path) -> None:
        barrier.wait()
        try:
            outcomes.append(f"version {registry.publish(bundle).version}")
        except InvalidBundle as error:
            outcomes.append(str(error.field))

    threads = [threading.Thread(target=publish, args=(bundle,)) for bundle in bundles]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(outcomes)


def test_of_several_schemas_of_a_task_published_at_once_one_wins(registry: Registry, tmp_path: Path) -> None:
    for attempt in range(10):
        task = f"task-{attempt}"
        bundles = []
        for number in range(3):
            schema = toy_schema(2).model_copy(update={"task": task, "title": f"schema {number}"})
            network = Network((layer([[1] * schema.bits], [1]),))
            parts = BundleParts.of(network, schema)
            parts.changes = {"name": f"{task}-{number}"}
            bundles.append(parts.write(tmp_path / task / str(number)))
        assert publish_at_once(registry, bundles) == ["input_schema", "input_schema", "version 1"]


def test_the_same_bundle_published_at_once_is_one_version(registry: Registry, tmp_path: Path) -> None:
    for attempt in range(10):
        bundle = titled(f"attempt-{attempt}", tmp_path, name=f"model-{attempt}")
        assert publish_at_once(registry, [bundle] * 4) == ["version 1"] * 4

"""Bundles by digest: on this machine and in the store that machines share."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest
from server_making import BundleParts
from sqlalchemy import Engine
from tests.object_store import ObjectStore, Wire

from epaas_server.blobs import Blobs, open_blobs
from epaas_server.blobs.objects import open_object_store
from epaas_server.bundle_store import BundleStore
from epaas_server.bundles import Bundle, read_bundle
from epaas_server.registry import Registry
from epaas_shared.bundle import MANIFEST_FILE, REPORT_FILE, WEIGHTS_FILE
from epaas_shared.errors import InvalidBundle, ModelNotFound, Unavailable

FILES = ["manifest.json", "report.json", "schema.json", "weights.safetensors"]


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return read_bundle(BundleParts().write(tmp_path / "written"))


@pytest.fixture
def shared(aws: None, object_store: ObjectStore, tmp_path: Path) -> Blobs:
    return open_blobs(f"s3://{object_store.new_bucket()}", tmp_path / "passing")


@pytest.fixture
def here(shared: Blobs, tmp_path: Path) -> BundleStore:
    return BundleStore(tmp_path / "here", shared)


@pytest.fixture
def elsewhere(shared: Blobs, tmp_path: Path) -> BundleStore:
    """The same store, on another machine."""
    return BundleStore(tmp_path / "elsewhere", shared)


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_bundle_is_found_on_another_machine_and_kept_there(
    here: BundleStore, elsewhere: BundleStore, shared: Blobs, bundle: Bundle
) -> None:
    here.keep(bundle)
    assert sorted(blob.name for blob in shared.stored("bundles")) == [
        f"bundles/{bundle.digest}/{file}" for file in FILES
    ]
    assert elsewhere.file(bundle.digest, REPORT_FILE) == bundle.files[REPORT_FILE]
    found = read_bundle(elsewhere.folder(bundle.digest))
    assert (found.digest, found.files) == (bundle.digest, bundle.files)
    shared.keep_only(f"bundles/{bundle.digest}", None)
    assert elsewhere.folder(bundle.digest) == elsewhere.local / bundle.digest, "no store is asked for what is here"
    assert files_below(elsewhere.local) == [f"{bundle.digest}/{file}" for file in FILES]


def test_several_that_fetch_it_at_once_get_the_same(here: BundleStore, elsewhere: BundleStore, bundle: Bundle) -> None:
    here.keep(bundle)
    folders: list[Path] = []
    threads = [threading.Thread(target=lambda: folders.append(elsewhere.folder(bundle.digest))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert folders == [elsewhere.local / bundle.digest] * 8
    assert files_below(elsewhere.local) == [f"{bundle.digest}/{file}" for file in FILES]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("how", ["damaged", "missing"])
def test_what_is_damaged_on_this_machine_is_fetched_again(
    here: BundleStore, bundle: Bundle, name: str, how: str
) -> None:
    here.keep(bundle)
    spoilt = here.local / bundle.digest / name
    spoilt.unlink()
    if how == "damaged":
        spoilt.write_bytes(bundle.files[name][:-1] + b"?")
    assert read_bundle(here.folder(bundle.digest)).files == bundle.files


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("how", ["damaged", "missing"])
def test_what_is_damaged_in_the_store_is_refused_until_it_is_published_again(
    here: BundleStore, elsewhere: BundleStore, shared: Blobs, bundle: Bundle, name: str, how: str
) -> None:
    here.keep(bundle)
    if how == "damaged":
        shared.put(f"bundles/{bundle.digest}/{name}", bundle.files[name][:-1] + b"?")
    else:
        shared.remove(f"bundles/{bundle.digest}/{name}")
    with pytest.raises(InvalidBundle, match=how) as caught:
        elsewhere.folder(bundle.digest)
    assert caught.value.field == name
    with pytest.raises(Unavailable):
        elsewhere.file(bundle.digest, WEIGHTS_FILE)
    assert not elsewhere.local.exists() or list(elsewhere.local.iterdir()) == []
    here.keep(bundle)
    assert read_bundle(elsewhere.folder(bundle.digest)).files == bundle.files


def test_folders_of_an_earlier_release_are_found(bundle: Bundle, tmp_path: Path) -> None:
    store = BundleStore(tmp_path / "bundles")
    shutil.copytree(tmp_path / "written", tmp_path / "bundles" / bundle.digest)
    assert store.folder(bundle.digest) == tmp_path / "bundles" / bundle.digest
    assert store.file(bundle.digest, MANIFEST_FILE) == bundle.files[MANIFEST_FILE]
    with pytest.raises(Unavailable, match="not where they must be"):
        store.file("0" * 64, MANIFEST_FILE)


def test_a_bundle_that_was_kept_on_one_machine_is_shared_when_it_is_published_again(
    here: BundleStore, elsewhere: BundleStore, bundle: Bundle
) -> None:
    """As when an operator goes over to an object store."""
    BundleStore(here.local).keep(bundle)
    here.keep(bundle)
    assert read_bundle(elsewhere.folder(bundle.digest)).files == bundle.files


def test_nothing_is_published_while_the_store_is_away(
    database: Engine, aws: None, wire: Wire, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", wire.url)
    far = open_object_store("bucket", "", tmp_path / "passing", patience_seconds=0.5)
    registry = Registry(database, BundleStore(tmp_path / "bundles", far))
    wire.cut()
    with pytest.raises(Unavailable):
        registry.publish(tmp_path / "written")
    with pytest.raises(ModelNotFound):
        registry.version("toy")

"""Files of data: found, downloaded and checked; a wrong one is named and leaves nothing behind."""

from __future__ import annotations

import gzip
import socket
from dataclasses import replace
from pathlib import Path

import pytest
from data_making import gzipped, placed, plain, serving, tarred, zipped

from epaas_models.datasets.files import DataFile, DataSettings, read
from epaas_shared.digest import digest_bytes
from epaas_shared.errors import ConfigurationError, EpaasError, ServerUnreachable

CONTENT = b"some rows\n" * 1000
GZIP = DataFile("toy", "rows.gz", digest_bytes(CONTENT), source="the toy shop")
ZIP = replace(GZIP, name="rows.zip", member="rows.csv")


@pytest.fixture
def settings(tmp_path: Path) -> DataSettings:
    return DataSettings(data_dir=tmp_path / "data", data_cache_dir=tmp_path / "cache")


def quiet(_what: str, _done: int, _of: int) -> None:
    """Nobody watches."""


def refused(file: DataFile, settings: DataSettings, error: type[EpaasError] = ConfigurationError) -> EpaasError:
    with pytest.raises(error) as caught:
        read(file, settings, quiet)
    assert caught.value.field == file.name
    assert caught.value.hint is not None
    assert f"get it from the toy shop and put it at {settings.data_dir}/toy/{file.name}" in caught.value.hint
    return caught.value


@pytest.mark.parametrize("name", ["data", "cache"])
def test_a_file_at_hand_is_read_and_unpacked(name: str, settings: DataSettings, tmp_path: Path) -> None:
    folder = tmp_path / name
    assert read(gzipped(folder, "rows.gz", CONTENT), settings, quiet) == CONTENT
    assert read(plain(folder, "rows.csv", CONTENT), settings, quiet) == CONTENT
    assert (
        read(placed(folder, ZIP, zipped({"a/": b"", "a/rows.csv": CONTENT, "b.csv": b""})), settings, quiet) == CONTENT
    )


def test_the_digest_is_that_of_the_content_however_it_is_packed(settings: DataSettings, tmp_path: Path) -> None:
    for level in (0, 9):
        placed(tmp_path / "data", GZIP, gzip.compress(CONTENT, level))
        assert read(GZIP, settings, quiet) == CONTENT


def test_an_archive_is_checked_as_it_is_or_as_it_was_packed_anew(settings: DataSettings, tmp_path: Path) -> None:
    first, anew = tarred({"a/rows.csv": CONTENT}), tarred({"b/rows.csv": CONTENT})
    file = DataFile("toy", "rows.tar.gz", digest_bytes(first), source="the toy shop")
    assert read(placed(tmp_path / "data", file, first), settings, quiet) == first
    placed(tmp_path / "data", file, anew)
    refused(file, settings)
    assert read(replace(file, repacked=(digest_bytes(anew),)), settings, quiet) == anew


def test_the_data_directory_is_looked_in_before_the_cache(settings: DataSettings, tmp_path: Path) -> None:
    gzipped(tmp_path / "cache", GZIP.name, b"wrong")
    placed(tmp_path / "data", GZIP, gzip.compress(CONTENT))
    assert read(GZIP, settings, quiet) == CONTENT


def test_another_content_is_refused_with_both_digests(settings: DataSettings, tmp_path: Path) -> None:
    placed(tmp_path / "data", GZIP, gzip.compress(b"other"))
    error = refused(GZIP, settings)
    assert digest_bytes(b"other") in error.detail
    assert GZIP.sha256 in error.detail
    assert f"remove {tmp_path}/data/toy/rows.gz" in str(error.hint)


@pytest.mark.parametrize(
    ("file", "data"),
    [
        (GZIP, gzip.compress(CONTENT)[:-20]),
        (GZIP, gzip.compress(CONTENT)[:-4]),
        (GZIP, CONTENT),
        (GZIP, gzip.compress(CONTENT)[:20] + b"\0" * 20),
        (ZIP, zipped({"rows.csv": CONTENT})[:-30]),
        (ZIP, zipped({"rows.csv": CONTENT}).replace(b"some", b"gone", 1)),
        (ZIP, zipped({"other.csv": CONTENT})),
        (ZIP, zipped({"a/rows.csv": CONTENT, "b/rows.csv": CONTENT})),
        (ZIP, b""),
    ],
    ids=[f"damage-{number}" for number in range(9)],  # the bytes tell the time: names must not, or processes differ
)
def test_a_damaged_archive_is_named(file: DataFile, data: bytes, settings: DataSettings, tmp_path: Path) -> None:
    placed(tmp_path / "data", file, data)
    assert "damaged" in refused(file, settings).detail


def test_a_file_that_nobody_publishes_is_asked_for(settings: DataSettings) -> None:
    assert "not on this machine" in refused(GZIP, settings).detail


def test_a_download_is_checked_kept_and_told_of(settings: DataSettings, tmp_path: Path) -> None:
    data, seen, asked = gzip.compress(CONTENT), list[tuple[str, int, int]](), list[str]()
    with serving(data, asked=asked) as address:
        file = replace(GZIP, url=address)
        assert read(file, settings, lambda *step: seen.append(step)) == CONTENT
        assert read(file, settings, quiet) == CONTENT
    assert asked == ["/data"]
    assert seen[-1] == ("download rows.gz", len(data), len(data))
    assert [path.name for path in (tmp_path / "cache/toy").iterdir()] == ["rows.gz"]
    assert not (tmp_path / "data").exists()


def test_a_download_may_have_moved(settings: DataSettings) -> None:
    with serving(gzip.compress(CONTENT), "moved") as address:
        assert read(replace(GZIP, url=address), settings, quiet) == CONTENT


@pytest.mark.parametrize("fault", ["cut", "missing"])
def test_a_broken_download_leaves_nothing(fault: str, settings: DataSettings, tmp_path: Path) -> None:
    with serving(gzip.compress(CONTENT), fault) as address:  # type: ignore[arg-type]
        error = refused(replace(GZIP, url=address), settings, ServerUnreachable)
    assert address in error.detail
    assert not (tmp_path / "cache").exists()


def test_a_download_of_something_else_leaves_nothing(settings: DataSettings, tmp_path: Path) -> None:
    with serving(gzip.compress(b"a page that says that the data have moved")) as address:
        error = refused(replace(GZIP, url=address), settings)
    assert address in str(error.hint)
    assert not (tmp_path / "cache").exists()


def test_without_a_network_the_error_says_what_to_do(settings: DataSettings) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))  # and does not listen
        refused(replace(GZIP, url=f"http://127.0.0.1:{listener.getsockname()[1]}/"), settings, ServerUnreachable)


def test_a_cache_that_cannot_be_written_is_named(settings: DataSettings, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file in the way")
    with serving(gzip.compress(CONTENT)) as address, pytest.raises(ConfigurationError) as caught:
        read(replace(GZIP, url=address), settings, quiet)
    assert "EPAAS_DATA_CACHE_DIR" in str(caught.value.hint)


def test_the_folders_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EPAAS_DATA_DIR", str(tmp_path))
    assert DataSettings().data_dir == tmp_path
    monkeypatch.setenv("EPAAS_DATA_DIR", "")
    assert DataSettings().data_dir is None

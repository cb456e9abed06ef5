"""What the doctor says of stores that are away, damaged, behind, or full of what nobody needs."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from tests.object_store import ObjectStore
from tests.postgresql import PASSWORD, USER, Cluster
from tests.unit.server.cost_making import RATES
from tests.unit.server.job_making import prediction
from tests.unit.server.patient_making import healthy, installation, look, the_only
from tests.unit.server.server_making import BundleParts

from epaas_server.doctor.examination import examine
from epaas_server.doctor.patient import Verdict
from epaas_server.services import Services
from epaas_server.settings import Settings
from epaas_shared.profile import default_profile


@pytest.fixture(scope="module")
def object_store() -> Iterator[ObjectStore]:
    store = ObjectStore.start()
    yield store
    store.stop()


def on_postgresql(folder: Path, postgresql: Cluster, database: str, **changes: object) -> Settings:
    url = postgresql.url(database, with_password=False).render_as_string()
    password = {"database_password_file": str(postgresql.password_file())}
    return installation(folder, **{"database_url": url, **password, **changes})


# the database


def test_a_database_that_does_not_answer(tmp_path: Path) -> None:
    settings = installation(tmp_path, database_url="postgresql+psycopg://epaas@127.0.0.1:9/epaas")
    found = the_only(look("database", settings))
    assert found.verdict is Verdict.ERROR
    assert "EPAAS_SERVER_DATABASE_URL" in str(found.remedy)


def test_an_address_that_is_none_and_a_password_that_is_wrong(tmp_path: Path, postgresql: Cluster) -> None:
    nonsense = the_only(look("database", installation(tmp_path, database_url="db:5432")))
    assert nonsense.verdict is Verdict.ERROR
    assert "postgresql+psycopg://USER@HOST/DATABASE" in str(nonsense.remedy)
    name = postgresql.new_database()
    assert healthy(look("database", on_postgresql(tmp_path, postgresql, name)))
    (tmp_path / "wrong").write_text("another password")
    wrong = on_postgresql(tmp_path, postgresql, name, database_password_file=str(tmp_path / "wrong"))
    refused = the_only(look("database", wrong))
    assert refused.verdict is Verdict.ERROR
    assert "another password" not in refused.detail
    missing = on_postgresql(tmp_path, postgresql, name, database_password_file=str(tmp_path / "missing"))
    assert the_only(look("database", missing)).detail.startswith("database_password_file: ")


def test_a_schema_that_is_behind(tmp_path: Path, postgresql: Cluster) -> None:
    behind = the_only(look("database", on_postgresql(tmp_path, postgresql, postgresql.empty_database())))
    assert behind.verdict is Verdict.ERROR
    assert str(behind.remedy).startswith("`epaas-server database migrate`")
    (tmp_path / "old").mkdir()
    sqlite3.connect(tmp_path / "old" / "epaas.db").execute("CREATE TABLE something (a)").connection.close()
    old = the_only(look("database", Settings(data_dir=tmp_path / "old")))
    assert old.verdict is Verdict.WARNING
    assert "the next start of the server brings it there" in str(old.remedy)


def test_a_file_that_is_damaged(tmp_path: Path) -> None:
    settings = installation(tmp_path)
    (settings.data_dir / "epaas.db").write_bytes(b"no database, whatever its name says" * 100)
    found = the_only(look("database", settings))
    assert found.verdict is Verdict.ERROR
    assert "backup" in str(found.remedy)


@pytest.mark.parametrize(("seconds", "verdict"), [(-5, Verdict.WARNING), (3600, Verdict.ERROR)])
def test_a_database_on_a_machine_whose_clock_is_wrong(
    tmp_path: Path, postgresql: Cluster, seconds: int, verdict: Verdict
) -> None:
    name = postgresql.new_database()
    settings = on_postgresql(tmp_path, postgresql, name)
    assert healthy(look("clocks", settings))
    with postgresql.administrator(name) as connection:  # its own function comes before the real one
        connection.execute("CREATE SCHEMA wrong")
        connection.execute("GRANT USAGE ON SCHEMA wrong TO PUBLIC")
        connection.execute(
            "CREATE FUNCTION wrong.clock_timestamp() RETURNS timestamptz VOLATILE LANGUAGE sql AS "
            f"$$ SELECT pg_catalog.clock_timestamp() + interval '{seconds} seconds' $$"
        )
        connection.execute(f"ALTER DATABASE {name} SET search_path = wrong, public, pg_catalog")
    found = the_only(look("clocks", settings))
    assert found.verdict is verdict
    assert ("behind" if seconds < 0 else "ahead of") in found.detail
    assert "NTP" in str(found.remedy)


def test_a_database_with_hardly_a_connection_left(tmp_path: Path, postgresql: Cluster) -> None:
    name = postgresql.new_database()
    settings = on_postgresql(tmp_path, postgresql, name)
    assert healthy(look("connections", settings))
    address = {"host": "127.0.0.1", "port": postgresql.port, "dbname": name, "user": USER, "password": PASSWORD}
    with ExitStack() as held:
        for _ in range(82):  # of the 100 that PostgreSQL allows by itself
            held.enter_context(psycopg.connect(**address))
        found = the_only(look("connections", settings))
    assert found.verdict is Verdict.WARNING
    assert "max_connections" in str(found.remedy)


# blobs


def test_a_folder_of_blobs_that_cannot_be_written(tmp_path: Path) -> None:
    settings = installation(tmp_path)
    assert healthy(look("blobs", settings))
    assert not list((settings.data_dir / "blobs" / "jobs").iterdir()), "nothing is left behind"
    shutil.rmtree(settings.data_dir / "blobs" / "jobs")
    (settings.data_dir / "blobs" / "jobs").write_text("a file in its place")
    found = the_only(look("blobs", settings))
    assert found.verdict is Verdict.ERROR
    assert str(settings.data_dir / "blobs") in str(found.remedy)


def test_an_object_store_without_the_bucket(
    tmp_path: Path, object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "AWS_ENDPOINT_URL": object_store.url,
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": "something",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    bucket = object_store.new_bucket()
    assert healthy(look("blobs", installation(tmp_path, blob_store=f"s3://{bucket}/here")))
    assert object_store.objects(bucket) == []
    found = the_only(look("blobs", installation(tmp_path, blob_store="s3://no-such-bucket/here")))
    assert found.verdict is Verdict.ERROR
    assert "AWS_*" in str(found.remedy)
    nonsense = the_only(look("blobs", installation(tmp_path, blob_store="ftp://there")))
    assert "s3://BUCKET/PREFIX" in str(nonsense.remedy)


def test_blobs_that_nothing_names(tmp_path: Path) -> None:
    settings = installation(tmp_path)
    services = Services.open(settings)
    services.blobs.put("jobs/asked/record", b"record")
    services.jobs.submit(prediction("asked"))
    for name in ("jobs/forgotten/record", "keys/default/forgotten", "incoming/broken"):
        services.blobs.put(name, b"left behind")
    assert healthy(look("orphans", settings)), "they are too young to be sure"
    long_ago = time.time() - 3 * 86_400
    for file in (settings.data_dir / "blobs").rglob("*"):
        os.utime(file, (long_ago, long_ago))
    found = the_only(look("orphans", settings))
    assert found.verdict is Verdict.WARNING
    assert found.detail.startswith("3 blobs")
    assert str(found.remedy).startswith("`epaas-server sweep`")
    assert services.retention.sweep().orphaned_blobs == 3
    assert healthy(look("orphans", settings))
    services.close()


# models


def test_what_is_required_of_models_cannot_be_read(tmp_path: Path) -> None:
    file = tmp_path / "acceptance.toml"
    settings = installation(tmp_path, acceptance_file=str(file))
    missing = the_only(look("acceptance", settings))
    assert missing.verdict is Verdict.ERROR
    file.write_text("[mnist/v1]\naccuracy = 0.9\n")
    unquoted = the_only(look("acceptance", settings))
    assert 'tasks are quoted tables, such as ["mnist/v1"]' in str(unquoted.remedy)
    file.write_text('["mnist/v1"]\naccuracy = 0.9\n')
    assert healthy(look("acceptance", settings))


def test_models_that_are_missing_damaged_or_too_large(tmp_path: Path) -> None:
    settings = installation(tmp_path)
    none = the_only(look("models", settings))
    assert none.verdict is Verdict.WARNING
    assert none.remedy == "`epaas-server publish BUNDLE`"
    services = Services.open(settings)
    model = services.registry.publish(BundleParts().write(tmp_path / "bundle"))
    assert healthy(look("models", settings))

    services.registry.calibration.measured(default_profile().digest, RATES.model_copy(update={"base_bytes": 10**12}))
    large = the_only(look("models", settings))
    assert large.verdict is Verdict.ERROR
    assert "fewer workers" in str(large.remedy)

    weights = settings.data_dir / "bundles" / model.digest / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    damaged = the_only(look("models", settings))
    assert damaged.verdict is Verdict.ERROR
    assert f"publish bundle {model.digest[:12]} once more" in str(damaged.remedy)
    shutil.rmtree(settings.data_dir / "bundles" / model.digest)
    assert the_only(look("models", settings)).verdict is Verdict.ERROR
    services.close()


def test_a_check_that_cannot_look_says_so_and_the_others_go_on(tmp_path: Path) -> None:
    settings = installation(tmp_path, workers=0, cache_dir=tmp_path / "cache")
    sqlite3.connect(settings.data_dir / "epaas.db").execute("DROP TABLE workers").connection.close()
    results = {result.check: result.finding for result in examine(lambda: settings, {})}
    assert results["workers"].verdict is Verdict.ERROR
    assert "no such table" in results["workers"].detail
    assert results["keys"].verdict is Verdict.OK

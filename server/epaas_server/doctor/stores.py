"""The database, its clock, the blobs, and the published bundles."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from sqlalchemy import Engine, select, text
from sqlalchemy.exc import DatabaseError

from epaas_server import migrations
from epaas_server.acceptance import read_acceptance
from epaas_server.blobs import open_blobs
from epaas_server.bundle_store import BundleStore
from epaas_server.bundles import read_bundle
from epaas_server.database import answering, clock, connect, database_url, reading
from epaas_server.doctor.patient import Finding, Patient, error, gigabytes, ok, skipped, variable, warning
from epaas_server.jobs.job import new_job_id
from epaas_server.registry import Registry
from epaas_server.services import Services
from epaas_shared.errors import ConfigurationError, EpaasError, Unavailable

_SKEW_SECONDS, _LARGE_SKEW_SECONDS = 2.0, 60.0
_CONNECTIONS = 0.8
_ORPHANS = 10_000
"""So many are counted at most."""


def database(patient: Patient) -> Iterator[Finding]:
    """Opens it for the checks that come later, if it has the schema of this release."""
    settings = patient.settings
    try:
        url = database_url(settings.resolved_database_url, settings.database_password_file)
        sqlite = url.get_backend_name() == "sqlite"
        if sqlite and url.database and not Path(url.database).exists():
            yield skipped(f"{url.database} will be made at the first start")
            return
        engine = connect(url)
        with answering():
            schema, newest = migrations.present(engine), migrations.newest()
            usable = _is_usable(engine)
    except ConfigurationError as wrong:
        yield error(str(wrong), wrong.hint or f"set {variable(wrong.field or 'database_url')}")
    except Unavailable as away:
        yield error(away.detail, away.hint or f"look at {variable('database_url')}")
    except DatabaseError as broken:
        words = str(broken.orig).splitlines()[0]
        yield error(f"the database is damaged: {words}", "restore it from a backup (docs/operating.md)")
    else:
        if usable:
            patient.database = engine
            yield ok(f"{engine.dialect.name}, schema {schema}")
            return
        engine.dispose()
        if sqlite:
            yield warning(
                f"it has the schema {schema or 'of no release'}, this release's is {newest}",
                "nothing need be done: the next start of the server brings it there. Make a backup before",
            )
        else:
            yield error(
                f"it has the schema {schema or 'of no release'}, this release needs {newest}",
                "`epaas-server database migrate`; processes of the release before may go on meanwhile",
            )


def _is_usable(engine: Engine) -> bool:
    try:
        migrations.check(engine)
    except ConfigurationError:
        return False
    return True


def clocks(patient: Patient) -> Iterator[Finding]:
    """Leases are kept by the database's clock; turns, quotas and tokens by those of the machines."""
    assert patient.database is not None
    with reading(patient.database) as connection:
        connection.execute(select(1))  # so that connecting is not measured
        begin = time.time()
        theirs: float = connection.execute(select(clock(patient.database))).scalar_one()
        skew = theirs - (begin + time.time()) / 2
    said = f"the database's clock is {abs(skew):.1f} seconds {'ahead of' if skew > 0 else 'behind'} this machine's"
    mend = "have both machines keep time by NTP (`timedatectl set-ntp true`)"
    if abs(skew) > _LARGE_SKEW_SECONDS:
        yield error(f"{said}: turns, quotas and expiries of tokens are wrong by as much", mend)
    elif abs(skew) > _SKEW_SECONDS:
        yield warning(said, mend)
    else:
        yield ok(said)


def connections(patient: Patient) -> Iterator[Finding]:
    assert patient.database is not None
    if patient.database.dialect.name != "postgresql":
        yield ok("files have no limit of them")
        return
    with reading(patient.database) as connection:
        most = int(connection.execute(text("SHOW max_connections")).scalar_one())
        query = text("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'")
        used = int(connection.execute(query).scalar_one())
    said = f"{used} of the database's {most} connections are in use"
    if used > _CONNECTIONS * most:
        yield warning(said, "raise max_connections of PostgreSQL: an API process takes up to 40, a worker one or two")
    else:
        yield ok(said)


def blobs(patient: Patient) -> Iterator[Finding]:
    """Writes one, reads it and removes it."""
    settings = patient.settings
    folder = settings.data_dir / "blobs"
    if not settings.blob_store and not folder.is_dir():
        yield skipped(f"{folder} will be made at the first start")
        return
    place, data = f"jobs/{new_job_id()}", secrets.token_bytes(1000)
    begin = time.perf_counter()
    try:
        store = open_blobs(settings.blob_store, folder)
        try:
            store.put(f"{place}/doctor", data)
            same = store.read(f"{place}/doctor") == data
        finally:
            store.keep_only(place, None)
        left = store.has(f"{place}/doctor")
    except (EpaasError, OSError) as wrong:
        hint = wrong.hint if isinstance(wrong, EpaasError) else None
        mend = "look at EPAAS_SERVER_BLOB_STORE and AWS_*" if settings.blob_store else f"mend the folder {folder}"
        yield error(str(wrong), f"{hint}; {mend}" if hint else mend)
        return
    if not same or left:
        what = "was removed and is still there" if same else "is not what was written"
        yield error(f"a blob {what}", "use a store that is consistent, with nothing that caches before it")
        return
    patient.blobs = store
    where = settings.blob_store or folder
    yield ok(f"{where}: written, read and removed in {time.perf_counter() - begin:.2f} seconds")


def orphans(patient: Patient) -> Iterator[Finding]:
    """Blobs that processes left behind when they died; the hourly sweep removes them after a day."""
    services = Services.open(patient.settings.model_copy(update={"acceptance_file": ""}))
    try:
        found = sum(1 for _ in islice(services.retention.orphans(), _ORPHANS))
    finally:
        services.close()
    if found:
        number = f"{found}" if found < _ORPHANS else f"at least {found}"
        yield warning(
            f"{number} blobs are older than a day and nothing names them",
            "`epaas-server sweep` removes them; `serve` does so once an hour: is it running?",
        )
    else:
        yield ok("every blob is named by something")


def acceptance(patient: Patient) -> Iterator[Finding]:
    file = patient.settings.acceptance_file
    if not file:
        yield ok("a valid report is all that is required of a model")
        return
    try:
        read_acceptance(Path(file))
    except ConfigurationError as wrong:
        yield error(str(wrong), wrong.hint or f"mend the file, or leave {variable('acceptance_file')} out")
    else:
        yield ok(file)


def models(patient: Patient) -> Iterator[Finding]:
    """Each stable version is there, whole, and fits into the memory of a slot here."""
    assert patient.database is not None
    settings = patient.settings
    bundles = BundleStore(settings.data_dir / "bundles", patient.blobs if settings.blob_store else None)
    registry = Registry(patient.database, bundles)
    published = registry.versions()
    wrong = False
    if not published:
        wrong = True
        yield warning("no model is published", "`epaas-server publish BUNDLE`")
    for model in published:
        name = f"{model.name} version {model.version}"
        try:
            read_bundle(registry.bundle_folder(model.digest))
        except (EpaasError, OSError) as broken:
            wrong = True
            yield error(
                f"the bundle of {name} is not whole: {broken}",
                f"publish bundle {model.digest[:12]} once more, or restore it from a backup",
            )
            continue
        needed = model.cost.memory_bytes
        if needed is not None and settings.workers and needed > settings.slot_evaluation_bytes:
            wrong = True
            yield error(
                f"a record of {name} takes {gigabytes(needed)}, a slot here has "
                f"{gigabytes(settings.slot_evaluation_bytes)}",
                "have fewer workers on this machine, or more memory",
            )
    if not wrong:
        yield ok(f"{len(published)} published, all whole")

"""Published models: their versions in the database, their bundles in content-addressed folders.

Publishing compiles nothing and tells no client anything (C3(i)); the newest version answers the next request.
"""

from __future__ import annotations

import errno
import json
import secrets
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Row, insert, select

from epaas_server.blobs import storage_errors, write_durably
from epaas_server.bundles import Bundle, read_bundle
from epaas_server.database import calibration, model_versions, reading
from epaas_server.engine.evaluate import bootstraps
from epaas_shared.bundle import MANIFEST_FILE, REPORT_FILE, SCHEMA_FILE, BundleManifest
from epaas_shared.errors import InvalidBundle, ModelNotFound, SchemaNotFound
from epaas_shared.profile import profile_by_digest
from epaas_shared.protocol import Cost, ModelVersion
from epaas_shared.schema import InputSchema


@dataclass(frozen=True)
class Registry:
    database: Engine
    folder: Path
    """Where bundles are kept, one folder a digest."""

    def bundle_folder(self, digest: str) -> Path:
        return self.folder / digest

    def manifest(self, digest: str) -> BundleManifest:
        """The manifest of a published bundle."""
        return BundleManifest.model_validate_json((self.bundle_folder(digest) / MANIFEST_FILE).read_bytes())

    def publish(self, source: Path) -> ModelVersion:
        """Check the bundle in ``source``, copy it and make it the newest version of its name.

        A bundle that is already the newest version is not published twice. Raises :class:`InvalidBundle`.
        """
        bundle = read_bundle(source)
        name = bundle.manifest.name
        with reading(self.database) as connection:
            _check_task(connection, bundle)
        self._copy(bundle)
        with self.database.begin() as connection:
            _check_task(connection, bundle)  # once more, now that nobody else can write
            newest = connection.execute(_newest(name)).first()
            known = connection.execute(
                select(model_versions.c.version).filter_by(name=name, digest=bundle.digest)
            ).scalar()
            if known is None:
                version = 1 if newest is None else newest.version + 1
                connection.execute(
                    insert(model_versions).values(
                        name=name,
                        version=version,
                        digest=bundle.digest,
                        manifest=bundle.manifest.model_dump(mode="json"),
                        task=bundle.schema.name,
                        bootstraps=bootstraps(bundle.network, bundle.profile),
                        published_at=datetime.now(UTC),
                    )
                )
            elif newest is not None and newest.version != known:
                raise InvalidBundle(
                    f"this bundle is already published as version {known} of {name}; version {newest.version} is newer",
                    field="name",
                )
        return self.version(name)

    def versions(self) -> list[ModelVersion]:
        """The newest version of each model, by name."""
        with reading(self.database) as connection:
            names = connection.execute(select(model_versions.c.name).distinct().order_by(model_versions.c.name))
            return [self.version(name) for name in names.scalars()]

    def version(self, name: str, version: int | None = None) -> ModelVersion:
        """One version, the newest where none is given. Raises :class:`ModelNotFound`."""
        query = _newest(name) if version is None else select(model_versions).filter_by(name=name, version=version)
        with reading(self.database) as connection:
            row = connection.execute(query).first()
            if row is None:
                which = f"no version {version} of a model" if version is not None else "no model"
                raise ModelNotFound(f"there is {which} named {name[:80]!r}", field="model")
            rate = connection.execute(
                select(calibration.c.seconds_per_bootstrap).filter_by(profile=row.manifest["profile"])
            ).scalar()
        return _document(row, rate)

    def report(self, model: ModelVersion) -> Any:
        return json.loads((self.bundle_folder(model.digest) / REPORT_FILE).read_bytes())

    def schema(self, digest: str) -> InputSchema:
        """The schema with this digest of any published model. Raises :class:`SchemaNotFound`."""
        with reading(self.database) as connection:
            for row in connection.execute(select(model_versions.c.digest, model_versions.c.manifest)):
                if row.manifest["input_schema"] == digest:
                    return InputSchema.model_validate_json((self.bundle_folder(row.digest) / SCHEMA_FILE).read_bytes())
        raise SchemaNotFound("no published model has this input schema", field="digest")

    def _copy(self, bundle: Bundle) -> None:
        target = self.bundle_folder(bundle.digest)
        if target.is_dir():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.folder / f".{secrets.token_hex(8)}"
        with storage_errors():
            temporary.mkdir()
        try:
            for name, data in bundle.files.items():
                write_durably(temporary / name, data)
            with storage_errors():
                temporary.rename(target)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):  # else another publisher of it was faster
                raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _check_task(connection: Connection, bundle: Bundle) -> None:
    """A task's schema never changes: clients encode by it without asking (C3(i))."""
    rows = connection.execute(select(model_versions.c.manifest).filter_by(task=bundle.schema.name))
    for row in rows:
        if row.manifest["input_schema"] != bundle.schema.digest:
            raise InvalidBundle(
                f"task {bundle.schema.name} is already published with another input schema",
                field="input_schema",
                hint="a changed schema is a new version of the task",
            )


def _newest(name: str) -> Any:
    return select(model_versions).filter_by(name=name).order_by(model_versions.c.version.desc()).limit(1)


def _document(row: Row[Any], seconds_per_bootstrap: float | None) -> ModelVersion:
    manifest = BundleManifest.model_validate(row.manifest)
    profile = profile_by_digest(manifest.profile)
    seconds = None if seconds_per_bootstrap is None else row.bootstraps * seconds_per_bootstrap
    return ModelVersion(
        name=row.name,
        version=row.version,
        title=manifest.title,
        digest=row.digest,
        task=row.task,
        input_schema=manifest.input_schema,
        profile=manifest.profile,
        profile_name=profile.name,
        security_bits=profile.security_bits,
        log2_p_error=profile.log2_p_error,
        output=manifest.output,
        cost=Cost(bootstraps=row.bootstraps, seconds=seconds),
        published_at=row.published_at,
    )

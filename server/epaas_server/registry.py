"""Published models: their versions in the database, their bundles in a store by digest.

Publishing compiles nothing and tells no client anything (C3(i)); the version that is stable answers the next request.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Row, insert, select, update

from epaas_server import releases
from epaas_server.acceptance import Acceptance
from epaas_server.bundle_store import BundleStore
from epaas_server.bundles import Bundle, read_bundle
from epaas_server.calibration import Calibration
from epaas_server.cost import EvaluationCost
from epaas_server.database import reading
from epaas_server.plan import Plan, cost_of, make_plan
from epaas_server.served_version import ServedVersion
from epaas_server.tables import model_versions
from epaas_shared.bundle import MANIFEST_FILE, REPORT_FILE, SCHEMA_FILE, WEIGHTS_FILE, BundleManifest
from epaas_shared.errors import InvalidBundle, ModelNotFound, SchemaNotFound
from epaas_shared.protocol import Alias, Model, ModelVersion, ModelVersions
from epaas_shared.report import Report, read_report
from epaas_shared.schema import InputSchema


@dataclass(frozen=True)
class Registry:
    database: Engine
    bundles: BundleStore
    acceptance: Acceptance = field(default_factory=Acceptance)
    """What is required of a report before its bundle is published."""

    def bundle_folder(self, digest: str) -> Path:
        """The bundle on this machine. Raises as :meth:`epaas_server.bundle_store.BundleStore.folder`."""
        return self.bundles.folder(digest)

    def manifest(self, digest: str) -> BundleManifest:
        """The manifest of a published bundle."""
        return BundleManifest.model_validate_json(self.bundles.file(digest, MANIFEST_FILE))

    @property
    def calibration(self) -> Calibration:
        return Calibration(self.database)

    def publish(
        self,
        source: Path,
        strategies: Sequence[str] = (),
        *,
        trust_measured_ranges: bool = False,
        alias: Alias = Alias.STABLE,
    ) -> ModelVersion:
        """Read the bundle in a folder and :meth:`add` it."""
        return self.add(read_bundle(source), strategies, trust_measured_ranges=trust_measured_ranges, alias=alias)[0]

    def add(
        self, bundle: Bundle, strategies: Sequence[str] = (), *, trust_measured_ranges: bool = False, alias: Alias
    ) -> tuple[ModelVersion, bool]:
        """Check a bundle, copy it and let ``alias`` name it; False with it where it was a version already.

        How it is evaluated is as in :func:`epaas_server.plan.make_plan`; one that is a version already stays this
        version and is planned again. Raises :class:`InvalidInput`, :class:`InvalidBundle` also for a bundle without a
        reliability report on its own network, and :class:`BundleFallsShort` (``acceptance``).
        """
        name = bundle.manifest.name
        report = _report(bundle)
        plan = make_plan(bundle, strategies, trust_measured_ranges=trust_measured_ranges)
        planned = _planned(bundle, plan)
        calibrated = self.calibration.of(bundle.manifest.profile)
        self.acceptance.check(report, None if calibrated is None else calibrated.seconds(cost_of(bundle, plan)))
        with reading(self.database) as connection:
            _check_task(connection, bundle)
        self.bundles.keep(bundle)
        with self.database.begin() as connection:
            versions = releases.lock(connection, name)
            _check_task(connection, bundle)  # once more, now that nobody else can write
            known = next((version for version, digest in versions.items() if digest == bundle.digest), None)
            version = max(versions, default=0) + 1 if known is None else known
            if known is None:
                connection.execute(
                    insert(model_versions).values(
                        name=name,
                        version=version,
                        digest=bundle.digest,
                        manifest=bundle.manifest.model_dump(mode="json"),
                        task=bundle.schema.name,
                        published_at=datetime.now(UTC),
                        **planned,
                    )
                )
            else:
                connection.execute(update(model_versions).filter_by(name=name, version=known).values(**planned))
            releases.release(connection, name, alias, version)
        return self.version(name, version), known is None

    def promote(self, name: str, version: int, expected: int | None = None) -> Model:
        """Let a version answer from now on; jobs that were asked for before keep theirs.

        Nothing changes where it does already. Raises :class:`ModelNotFound`, and :class:`Conflict` where another
        version than ``expected`` is stable by now.
        """
        with self.database.begin() as connection:
            if version not in releases.lock(connection, name):
                raise _not_found(name, version)
            releases.release(connection, name, Alias.STABLE, version, expected)
        return self.model(name)

    def roll_back(self, name: str, expected: int | None = None) -> Model:
        """Let the version answer that was stable before the present one; twice goes two back.

        Raises :class:`ModelNotFound`, and :class:`Conflict` where there is none before, or where another version than
        ``expected`` is stable by now.
        """
        with self.database.begin() as connection:
            releases.lock(connection, name)
            releases.roll_back(connection, name, expected)
        return self.model(name)

    def change_plan(
        self,
        name: str,
        strategies: Sequence[str] = (),
        *,
        trust_measured_ranges: bool = False,
        version: int | None = None,
    ) -> ModelVersion:
        """Evaluate a version of a model, the stable one where none is given, in another way from now on.

        Jobs that are queued keep theirs.
        """
        model = self.version(name, version)
        bundle = read_bundle(self.bundle_folder(model.digest))
        planned = _planned(bundle, make_plan(bundle, strategies, trust_measured_ranges=trust_measured_ranges))
        with self.database.begin() as connection:
            connection.execute(update(model_versions).filter_by(name=name, version=model.version).values(**planned))
        return self.version(name, model.version)

    def cost(self, digest: str, plan: Plan) -> EvaluationCost | None:
        """What a record of a bundle costs by this plan; None where the bundle's version has another by now."""
        with reading(self.database) as connection:
            row = connection.execute(select(model_versions).filter_by(digest=digest)).first()
        if row is None or Plan.model_validate(row.plan) != plan:
            return None
        return EvaluationCost.model_validate(row.cost)

    def versions(self) -> list[ModelVersion]:
        """The stable version of each model, by name; a model that has none is left out."""
        with reading(self.database) as connection:
            names = connection.execute(select(model_versions.c.name).distinct().order_by(model_versions.c.name))
            rows = [connection.execute(releases.stable_version(name)).first() for name in names.scalars()]
        return [self._served(row).model for row in rows if row is not None]

    def version(self, name: str, version: int | None = None) -> ModelVersion:
        """One version, the stable one where none is given. Raises :class:`ModelNotFound`."""
        return self.served(name, version).model

    def served(self, name: str, version: int | None = None) -> ServedVersion:
        """One version as :meth:`version`, with how it is evaluated and what that takes."""
        query = (
            releases.stable_version(name)
            if version is None
            else select(model_versions).filter_by(name=name, version=version)
        )
        with reading(self.database) as connection:
            row = connection.execute(query).first()
        if row is None:
            raise _not_found(name, version)
        return self._served(row)

    def model(self, name: str) -> Model:
        """The stable version, and what the aliases name. Raises :class:`ModelNotFound`."""
        with reading(self.database) as connection:
            row = connection.execute(releases.stable_version(name)).first()
            aliases = releases.aliases(connection, name)
        if row is None:
            raise _not_found(name, None)
        return Model(**dict(self._served(row).model), aliases=aliases)

    def versions_of(self, name: str) -> ModelVersions:
        """All versions of a model, what its aliases name and what was stable. Raises :class:`ModelNotFound`."""
        with reading(self.database) as connection:
            query = select(model_versions).filter_by(name=name).order_by(model_versions.c.version)
            rows = connection.execute(query).all()
            aliases, history = releases.aliases(connection, name), releases.history(connection, name)
        if not rows:
            raise _not_found(name, None)
        versions = [self._served(row).model for row in rows]
        return ModelVersions(name=name, aliases=aliases, versions=versions, history=history)

    def _served(self, row: Row[Any]) -> ServedVersion:
        return ServedVersion.of(row, self.calibration.of(row.manifest["profile"]))

    def report_file(self, model: ModelVersion) -> bytes:
        """The report as it came with the bundle, JSON."""
        return self.bundles.file(model.digest, REPORT_FILE)

    def reliability(self, model: ModelVersion) -> Report | None:
        """The report; None of a version that was published before reports of this format."""
        try:
            return read_report(self.report_file(model))
        except InvalidBundle:
            return None

    def schema(self, digest: str) -> InputSchema:
        """The schema with this digest of any published model. Raises :class:`SchemaNotFound`."""
        with reading(self.database) as connection:
            rows = connection.execute(select(model_versions.c.digest, model_versions.c.manifest)).all()
        bundle = next((row.digest for row in rows if row.manifest["input_schema"] == digest), None)
        if bundle is None:
            raise SchemaNotFound("no published model has this input schema", field="digest")
        return InputSchema.model_validate_json(self.bundles.file(bundle, SCHEMA_FILE))


def _report(bundle: Bundle) -> Report:
    """The report, which is complete and of this network, not of another one."""
    report = read_report(bundle.files[REPORT_FILE])
    measured = (report.weights, report.task, report.classes)
    if measured != (bundle.manifest.files[WEIGHTS_FILE], bundle.schema.name, bundle.schema.classes):
        raise InvalidBundle(
            "was measured on another network or task than the bundle has",
            field=f"{REPORT_FILE}.weights",
            hint="`epaas-train report BUNDLE` measures this one",
        )
    return report


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


def _not_found(name: str, version: int | None) -> ModelNotFound:
    which = "no stable version" if version is None else f"no version {version}"
    return ModelNotFound(f"there is {which} of a model named {name[:80]!r}", field="model")


def _planned(bundle: Bundle, plan: Plan) -> dict[str, Any]:
    """The columns of a version that say how it is evaluated."""
    return {"plan": plan.model_dump(mode="json"), "cost": cost_of(bundle, plan).model_dump(mode="json")}

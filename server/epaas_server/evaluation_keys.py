"""Uploaded evaluation keys: their rows and their files.

Never parses the keys themselves; a child does (docs/adr/0003).
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine, Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from epaas_server.blobs import Blobs, BlobWriter
from epaas_server.database import reading
from epaas_server.jobs.store import JobStore
from epaas_server.tables import DEFAULT_TENANT, evaluation_keys
from epaas_server.tenants import TenantStore
from epaas_shared.errors import EpaasError, EvaluationKeysNotFound, InvalidEvaluationKeys, QuotaExceeded
from epaas_shared.frame import EvaluationKeysHeader, FrameStart
from epaas_shared.profile import profile_by_digest
from epaas_shared.protocol import EvaluationKeys, KeysState, Problem
from epaas_shared.zerokey import ZeroKey

_USE_NOTED_EVERY = timedelta(hours=1)


def new_blob_name(tenant: str, digest: str) -> str:
    """Each upload has its own blob: what one tenant erases another keeps, and nobody can tell that another has it."""
    return f"keys/{tenant}/{digest[:16]}-{secrets.token_hex(8)}"


def check_start(start: FrameStart[EvaluationKeysHeader]) -> None:
    """Refuse by the header alone what cannot be keys of a shipped profile.

    Raises :class:`ProfileMismatch` or :class:`InvalidEvaluationKeys`.
    """
    profile = profile_by_digest(start.header.profile)
    due = profile.evaluation_keys_bytes + ZeroKey.byte_length(profile.lwe_dimension)
    if start.header.keyset_bytes != profile.evaluation_keys_bytes or start.header.payload_bytes != due:
        raise InvalidEvaluationKeys(
            f"{start.header.payload_bytes} bytes of keys; profile {profile.name} has {due}", field="body.payload_bytes"
        )


@dataclass(frozen=True)
class KeyStore:
    """Evaluation keys of all tenants. Holds nothing secret: evaluation keys are public."""

    database: Engine
    blobs: Blobs
    jobs: JobStore
    tenants: TenantStore

    def get(self, digest: str, tenant: str = DEFAULT_TENANT) -> EvaluationKeys:
        """Raises :class:`EvaluationKeysNotFound`, also for keys that only another tenant has."""
        return _document(self._row(digest, tenant))

    def usable(self, digest: str, tenant: str = DEFAULT_TENANT) -> str:
        """The blob of keys that were not refused, which are noted as used.

        Raises :class:`EvaluationKeysNotFound`, and :class:`InvalidEvaluationKeys` for keys that failed their trial run.
        """
        row = self._row(digest, tenant)
        if row.state == KeysState.REJECTED.value:
            problem = _document(row).problem
            raise InvalidEvaluationKeys(
                problem.detail if problem else "they failed their trial run", field="evaluation_keys"
            )
        now = datetime.now(UTC)
        if row.used_at is None or now - row.used_at > _USE_NOTED_EVERY:
            with self.database.begin() as connection:
                connection.execute(update(evaluation_keys).filter_by(digest=digest, tenant=tenant).values(used_at=now))
        return self._blob(row)

    def blob(self, digest: str, tenant: str = DEFAULT_TENANT) -> str:
        """Raises :class:`EvaluationKeysNotFound`."""
        return self._blob(self._row(digest, tenant))

    def admit(self, tenant: str, size: int) -> None:
        """Refuse an upload of ``size`` bytes before it is read. Raises :class:`QuotaExceeded`."""
        with self.database.begin() as connection:
            self.tenants.admit_keys(connection, tenant, size)

    def add(
        self,
        digest: str,
        writer: BlobWriter,
        start: FrameStart[EvaluationKeysHeader],
        tenant: str = DEFAULT_TENANT,
        traceparent: str | None = None,
    ) -> tuple[EvaluationKeys, bool]:
        """Keep what ``writer`` received as the keys ``digest``, and queue their trial run; False if they were known.

        The trial run is of the trace ``traceparent``.

        Raises :class:`InvalidEvaluationKeys`, :class:`DigestMismatch` and :class:`QuotaExceeded`.
        """
        if writer.bytes != start.total_bytes:
            raise InvalidEvaluationKeys(
                f"the file is truncated or too long: {writer.bytes} bytes where {start.total_bytes} are due",
                field="body",
            )
        blob = new_blob_name(tenant, digest)
        writer.commit(blob, digest)
        row = {
            "tenant": tenant,
            "digest": digest,
            "profile": start.header.profile,
            "state": KeysState.CHECKING.value,
            "bytes": writer.bytes,
            "uploaded_at": datetime.now(UTC),
            "blob": blob,
        }
        try:
            with self.database.begin() as connection:
                self.tenants.admit_keys(connection, tenant, writer.bytes)
                connection.execute(insert(evaluation_keys).values(**row))
                self.jobs.submit_key_check(digest, connection, tenant, traceparent)
        except IntegrityError:
            self.blobs.remove(blob)
            return self.get(digest, tenant), False
        except QuotaExceeded:
            self.blobs.remove(blob)
            raise
        return self.get(digest, tenant), True

    def settle(self, digest: str, error: EpaasError | None, tenant: str = DEFAULT_TENANT) -> None:
        """The outcome of the trial run."""
        state = KeysState.READY if error is None else KeysState.REJECTED
        problem = None if error is None else Problem.of(error).model_dump(mode="json")
        values = {"state": state.value, "problem": problem}
        with self.database.begin() as connection:
            connection.execute(update(evaluation_keys).filter_by(digest=digest, tenant=tenant).values(**values))

    def delete(self, digest: str, tenant: str = DEFAULT_TENANT) -> None:
        """Raises :class:`EvaluationKeysNotFound`."""
        row = self._row(digest, tenant)
        with self.database.begin() as connection:
            connection.execute(delete(evaluation_keys).filter_by(digest=digest, tenant=tenant))
        self.blobs.remove(self._blob(row))

    def _row(self, digest: str, tenant: str) -> Row[Any]:
        with reading(self.database) as connection:
            row = connection.execute(select(evaluation_keys).filter_by(digest=digest, tenant=tenant)).first()
        if row is None:
            raise EvaluationKeysNotFound(f"there are no evaluation keys {digest[:12]}…", field="evaluation_keys")
        return row

    def _blob(self, row: Row[Any]) -> str:
        blob: str = row.blob or f"keys/{row.digest}"  # of a release without tenants
        return blob


def _document(row: Row[Any]) -> EvaluationKeys:
    return EvaluationKeys(
        digest=row.digest,
        profile=row.profile,
        state=KeysState(row.state),
        bytes=row.bytes,
        uploaded_at=row.uploaded_at,
        problem=None if row.problem is None else Problem.model_validate(row.problem),
    )

"""Uploaded evaluation keys: their rows and their files.

Never parses the keys themselves; a child does (docs/adr/0003).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from epaas_server.blobs import Blobs, BlobWriter
from epaas_server.database import evaluation_keys, reading
from epaas_server.jobs.store import JobStore
from epaas_shared.errors import EpaasError, EvaluationKeysNotFound, InvalidEvaluationKeys
from epaas_shared.frame import EvaluationKeysHeader, FrameStart
from epaas_shared.profile import profile_by_digest
from epaas_shared.protocol import EvaluationKeys, KeysState, Problem
from epaas_shared.zerokey import ZeroKey


def blob_name(digest: str) -> str:
    return f"keys/{digest}"


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
    """Evaluation keys of all clients. Holds nothing secret: evaluation keys are public."""

    database: Engine
    blobs: Blobs
    jobs: JobStore

    def get(self, digest: str) -> EvaluationKeys:
        """Raises :class:`EvaluationKeysNotFound`."""
        with reading(self.database) as connection:
            row = connection.execute(select(evaluation_keys).filter_by(digest=digest)).first()
        if row is None:
            raise EvaluationKeysNotFound(f"there are no evaluation keys {digest[:12]}…", field="evaluation_keys")
        return _document(row)

    def usable(self, digest: str) -> EvaluationKeys:
        """Like :meth:`get`, but raises :class:`InvalidEvaluationKeys` for keys that failed their trial run."""
        keys = self.get(digest)
        if keys.state is KeysState.REJECTED:
            detail = keys.problem.detail if keys.problem else "they failed their trial run"
            raise InvalidEvaluationKeys(detail, field="evaluation_keys")
        return keys

    def add(
        self, digest: str, writer: BlobWriter, start: FrameStart[EvaluationKeysHeader]
    ) -> tuple[EvaluationKeys, bool]:
        """Keep what ``writer`` received as the keys ``digest``, and queue their trial run; False if they were known."""
        if writer.bytes != start.total_bytes:
            raise InvalidEvaluationKeys(
                f"the file is truncated or too long: {writer.bytes} bytes where {start.total_bytes} are due",
                field="body",
            )
        writer.commit(blob_name(digest), digest)
        row = {
            "digest": digest,
            "profile": start.header.profile,
            "state": KeysState.CHECKING.value,
            "bytes": writer.bytes,
            "uploaded_at": datetime.now(UTC),
        }
        try:
            with self.database.begin() as connection:
                connection.execute(insert(evaluation_keys).values(**row))
                self.jobs.submit_key_check(digest, connection)
        except IntegrityError:
            return self.get(digest), False
        return self.get(digest), True

    def settle(self, digest: str, error: EpaasError | None) -> None:
        """The outcome of the trial run."""
        state = KeysState.READY if error is None else KeysState.REJECTED
        problem = None if error is None else Problem.of(error).model_dump(mode="json")
        with self.database.begin() as connection:
            connection.execute(
                update(evaluation_keys)
                .where(evaluation_keys.c.digest == digest)
                .values(state=state.value, problem=problem)
            )

    def delete(self, digest: str) -> None:
        """Raises :class:`EvaluationKeysNotFound`."""
        self.get(digest)
        with self.database.begin() as connection:
            connection.execute(delete(evaluation_keys).where(evaluation_keys.c.digest == digest))
        self.blobs.remove(blob_name(digest))


def _document(row: Row[Any]) -> EvaluationKeys:
    return EvaluationKeys(
        digest=row.digest,
        profile=row.profile,
        state=KeysState(row.state),
        bytes=row.bytes,
        uploaded_at=row.uploaded_at,
        problem=None if row.problem is None else Problem.model_validate(row.problem),
    )

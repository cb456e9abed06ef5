"""Uploaded evaluation keys: what is known of them, and when."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from epaas_server.blobs import FolderBlobs
from epaas_server.evaluation_keys import KeyStore
from epaas_server.jobs.job import JobKind
from epaas_server.jobs.store import JobStore
from epaas_server.tenants import Quotas, TenantStore
from epaas_shared.digest import digest_bytes
from epaas_shared.errors import EvaluationKeysNotFound
from epaas_shared.frame import EvaluationKeysHeader, FrameStart
from epaas_shared.protocol import KeysState


class Interrupted(Exception):
    """What stands for the end of the process."""


def test_keys_and_their_check_are_known_together_or_not_at_all(database: Engine, tmp_path: Path) -> None:
    """A server that ends between the two must not leave keys that are checked by nobody."""
    blobs = FolderBlobs(tmp_path / "blobs")

    class Ends(JobStore):
        def submit_key_check(self, *arguments: Any) -> None:
            super().submit_key_check(*arguments)
            raise Interrupted

    body = b"any bytes"
    header = EvaluationKeysHeader(payload_bytes=0, profile="0" * 64, keyset_bytes=0)
    start = FrameStart(header, len(body))
    digest = digest_bytes(body)
    tenants = TenantStore(database, Quotas())
    for jobs in (Ends(database, tenants), JobStore(database, tenants)):
        keys = KeyStore(database, blobs, jobs, tenants)
        with pytest.raises(EvaluationKeysNotFound):
            keys.get(digest)
        with contextlib.suppress(Interrupted), blobs.writer() as writer:
            writer.write(body)
            keys.add(digest, writer, start)
    assert keys.get(digest).state is KeysState.CHECKING
    claim = JobStore(database, tenants).claim("worker", 10)
    assert claim is not None
    assert (claim.kind, claim.evaluation_keys) == (JobKind.CHECK_KEYS, digest)

"""Whether what is served is what was measured: integers against torch, encrypted against plain, and the cost."""

from __future__ import annotations

from epaas_shared.digest import Digest
from epaas_shared.report.measures import Count, Finite, Section


class TorchAgreement(Section):
    """Test rows on which torch and the integer network have the same sums in the last layer."""

    rows: Count
    agree: Count


class EncryptedAgreement(Section):
    """Test records that a real client sent to a real server, and what it decrypted."""

    rows: Count
    agree: Count
    """Decrypted predictions that equal the plain integer network's, scores included."""
    right: Count
    model_digest: Digest
    """Of the bundle that was served; its weights are this model's."""
    seconds: Finite | None
    """What the server said that they took, a record on average."""
    bootstraps: Count | None
    threads: Count | None
    machine: str
    record_bytes: Count | None = None
    result_bytes: Count | None = None


class Agreement(Section):
    torch: TorchAgreement | None
    """Null for a model that torch has no part in."""
    encrypted: EncryptedAgreement | None
    """Null until it has been measured."""

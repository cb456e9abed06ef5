"""What thesis chapter 5 claims; judges are in the files of its sections."""

from __future__ import annotations

from epaas_models.experiments.claims import Claim
from epaas_models.experiments.label_noise import picture_claims, representation_claims, toy_claims

CLAIMS: tuple[Claim, ...] = (*toy_claims.CLAIMS, *picture_claims.CLAIMS, *representation_claims.CLAIMS)

"""A version of a model at one moment: what is told of it, how it is evaluated, and what that takes here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from epaas_server.calibration import Calibrated
from epaas_server.cost import EvaluationCost
from epaas_server.plan import Plan
from epaas_shared.bundle import BundleManifest
from epaas_shared.profile import Profile, profile_by_digest
from epaas_shared.protocol import Cost, ModelVersion


@dataclass(frozen=True)
class ServedVersion:
    model: ModelVersion
    plan: Plan
    cost: EvaluationCost
    profile: Profile
    calibrated: Calibrated | None

    @classmethod
    def of(cls, row: Row[Any], calibrated: Calibrated | None) -> ServedVersion:
        """Of a row of the versions, and what is known of this deployment's speed under its profile."""
        manifest = BundleManifest.model_validate(row.manifest)
        profile = profile_by_digest(manifest.profile)
        cost = EvaluationCost.model_validate(row.cost)
        model = ModelVersion(
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
            scores=manifest.scores,
            cost=Cost(
                bootstraps=cost.bootstraps,
                depth=cost.depth,
                seconds=None if calibrated is None else calibrated.seconds(cost),
                memory_bytes=None if calibrated is None else cost.memory_bytes(calibrated.rates, profile),
                record_bytes=cost.record_bytes(),
                result_bytes=cost.result_bytes(profile),
            ),
            published_at=row.published_at,
        )
        return cls(model, Plan.model_validate(row.plan), cost, profile, calibrated)

    def seconds(self, records: int) -> float | None:
        """How long a prediction of so many records will take here, alone; None before the first client's keys."""
        return None if self.calibrated is None else self.calibrated.seconds(self.cost, records)

    def memory_bytes(self, records: int) -> int | None:
        """Peak memory of evaluating so many records at once; None before the first client's keys were tried."""
        if self.calibrated is None:
            return None
        return self.cost.memory_bytes(self.calibrated.rates, self.profile, records)

"""Settings of hypothesis for unit tests: a busy machine is no reason to fail."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "unit",
    deadline=None,
    derandomize=bool(os.environ.get("CI")),  # what lands must not depend on luck; elsewhere luck may find something
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("unit")

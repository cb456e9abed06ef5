"""Parameter sets ("profiles"): the cryptographic parameters that client and server share, and what they allow.

A profile ships with the package as a JSON document and is named by the digest of that document. A client takes no
parameters from a server: the server names a profile by digest, and :func:`profile_by_digest` refuses any that is not
shipped here, since a server could otherwise send weak ones. A profile does not depend on any model (docs/adr/0002).
"""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from epaas_shared.digest import digest_json
from epaas_shared.errors import ProfileMismatch

DEFAULT_PROFILE = "tfhe-128-sum1024"


class Profile(BaseModel):
    """One published parameter set.

    A bit is the LWE ciphertext of 0 or 1 times ``2**(63 - message_bits)``. A neuron adds weighted bits and compares the
    sum with a threshold; the comparison is exact while the distance of the sum from its threshold stays within
    [``sum_minimum``, ``sum_maximum``], and its failure probability at most ``2**log2_p_error`` a bootstrap while the
    squared weights of bootstrapped inputs add up to at most ``squared_norm_budget``. Freshly encrypted inputs carry
    about 2**-55 times the noise variance of bootstrapped ones, hence the larger ``fresh_squared_norm_budget``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    title: str
    security_bits: int = Field(ge=128)
    log2_p_error: int = Field(le=-64)
    message_bits: int = Field(ge=1, le=16)
    sum_minimum: int
    sum_maximum: int
    squared_norm_budget: int
    fresh_squared_norm_budget: int
    bootstraps_per_neuron: int
    result_flooding_log2_std: int
    """log2 of the standard deviation, in units of the 64-bit torus, of the noise that covers a result's own noise."""
    evaluation_keys_bytes: int
    """Exact length of the serialised server keyset under this profile."""
    concrete_version: str
    """The release of concrete-python whose compiler chose the parameters and whose runtime evaluates them."""
    encryption: dict[str, Any]
    """Key id, noise variance and LWE dimension of the bits, as the runtime's ``encryption`` info."""
    keyset: dict[str, Any]
    """The runtime's ``keyset`` info: every key's parameters."""

    @property
    def digest(self) -> str:
        return digest_json(self.model_dump(mode="json"))

    @property
    def lwe_dimension(self) -> int:
        return int(self.encryption["lweDimension"])

    @property
    def ciphertext_words(self) -> int:
        """64-bit words of one full LWE ciphertext: the mask and the body."""
        return self.lwe_dimension + 1

    @property
    def message_shift(self) -> int:
        """log2 of the torus value of the message 1; the top bit is padding."""
        return 63 - self.message_bits


def shipped_profiles() -> dict[str, Profile]:
    """All profiles that this release ships, by name."""
    return {profile.name: profile for profile in _load_profiles()}


@cache
def _load_profiles() -> tuple[Profile, ...]:
    folder = resources.files("epaas_shared") / "profiles"
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".json")), key=lambda file: file.name)
    return tuple(Profile.model_validate(json.loads(file.read_text("utf-8"))) for file in files)


def default_profile() -> Profile:
    return shipped_profiles()[DEFAULT_PROFILE]


def profile_by_digest(digest: str) -> Profile:
    """The shipped profile with this digest. Raises :class:`ProfileMismatch` for any other."""
    for profile in _load_profiles():
        if profile.digest == digest:
            return profile
    raise ProfileMismatch(f"this release does not ship the parameter set {digest[:12]}…", field="profile")

"""Parameter sets: the shipped one does not change unnoticed, and no other and no weaker one is taken."""

from __future__ import annotations

import copy

import pytest
from pydantic import ValidationError

from epaas_shared.errors import ProfileMismatch
from epaas_shared.profile import DEFAULT_PROFILE, Profile, default_profile, profile_by_digest, shipped_profiles

SHIPPED = {"tfhe-128-sum1024": "aca3cdeddce28c370f6f3c2a3fce122f2164c695c2b387d487ae5b7dc1ba302e"}
"""Clients hold keys for these. A new profile is a new line; a changed line locks every client out."""


def test_the_shipped_profiles_are_these_and_unchanged() -> None:
    assert {name: profile.digest for name, profile in shipped_profiles().items()} == SHIPPED
    assert default_profile().name == DEFAULT_PROFILE


@pytest.mark.parametrize("digest", SHIPPED.values())
def test_a_shipped_profile_is_found_by_its_digest(digest: str) -> None:
    assert profile_by_digest(digest).digest == digest


@pytest.mark.parametrize(
    "digest", ["0" * 64, "", next(iter(SHIPPED.values()))[:63], next(iter(SHIPPED.values())).upper()]
)
def test_another_digest_is_refused(digest: str) -> None:
    with pytest.raises(ProfileMismatch) as caught:
        profile_by_digest(digest)
    assert caught.value.field == "profile"


@pytest.mark.parametrize(("field", "least"), [("security_bits", 128), ("log2_p_error", -64)])
def test_a_profile_weaker_than_the_floor_is_none(field: str, least: int) -> None:
    document = default_profile().model_dump(mode="json")
    Profile.model_validate({**document, field: least})
    weaker = least - 1 if field == "security_bits" else least + 1
    with pytest.raises(ValidationError) as caught:
        Profile.model_validate({**document, field: weaker})
    assert [error["loc"] for error in caught.value.errors()] == [(field,)]


def test_every_parameter_counts_for_the_digest() -> None:
    document = default_profile().model_dump(mode="json")
    digests = {default_profile().digest}
    for name, value in document.items():
        changed = copy.deepcopy(document)
        match value:
            case str():
                changed[name] = value + "x"
            case dict():
                changed[name]["changed"] = 1
            case _:
                changed[name] = value + 1 if name != "log2_p_error" else value - 1
        digests.add(Profile.model_validate(changed).digest)
    assert len(digests) == 1 + len(document)


def test_the_range_of_a_sum_fills_the_encoding() -> None:
    profile = default_profile()
    assert profile.sum_maximum - profile.sum_minimum + 1 == 2**profile.message_bits
    assert profile.sum_minimum == -(2 ** (profile.message_bits - 1))


def test_a_bit_lies_below_the_padding_bit() -> None:
    profile = default_profile()
    assert 2**profile.message_bits << profile.message_shift == 2**63
    assert profile.ciphertext_words == 2049


def test_inputs_are_encrypted_under_a_key_of_the_keyset_with_its_noise() -> None:
    profile = default_profile()
    keys = {key["id"]: key["params"] for key in profile.keyset["lweSecretKeys"]}
    assert keys[profile.encryption["keyId"]]["lweDimension"] == profile.lwe_dimension
    outputs = [key for key in profile.keyset["lweBootstrapKeys"] if key["outputId"] == profile.encryption["keyId"]]
    assert {key["params"]["variance"] for key in outputs} == {profile.encryption["variance"]}

"""Key generation, encryption and decryption: the only module of the client that imports the TFHE runtime.

The runtime (``concrete.compiler``, without the compiler proper and without torch) does the cryptography; this module
describes to it the shipped profile, and nothing that a server sent. Nothing here knows files or networks.
"""

from __future__ import annotations

import json
import secrets
import warnings
from functools import cached_property
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

warnings.filterwarnings("ignore", message="pkg_resources is deprecated")

from concrete import compiler  # noqa: E402  (the filter must come first)

from epaas_shared.digest import digest_bytes  # noqa: E402
from epaas_shared.errors import DecryptionFailed, InvalidCiphertext, KeyMismatch  # noqa: E402
from epaas_shared.features import Bits  # noqa: E402
from epaas_shared.frame import (  # noqa: E402
    EvaluationKeysHeader,
    RecordHeader,
    ResultHeader,
    decode_frame,
    encode_frame,
)
from epaas_shared.profile import Profile, default_profile  # noqa: E402
from epaas_shared.schema import InputSchema  # noqa: E402
from epaas_shared.zerokey import SEED_BYTES, Torus, ZeroKey, gaussian, negacyclic_product  # noqa: E402

_ENVELOPE_HEADER_BYTES = 64
"""Bytes before the payload in the runtime's serialised value; the same for every shape in concrete-python 2.11."""
_SEEDED_WORDS = 3
_KEY_HEADER_BYTES = 71
"""Bytes before the words of a serialised secret key."""


class SecretKeys:
    """A client's LWE secret key under a profile. Never leaves the client; never printed, never pickled.

    ``evaluation_keys`` names the evaluation keys that belong to it, by the digest of their file.
    """

    def __init__(self, profile: Profile, key: Any, evaluation_keys: str) -> None:
        self.profile = profile
        self.evaluation_keys = evaluation_keys
        self._key = key

    def __repr__(self) -> str:
        return f"<SecretKeys {self.evaluation_keys[:12]} redacted>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("secret keys are not pickled; the keystore saves them encrypted")

    def to_bytes(self) -> bytes:
        """The key in the clear, for the keystore to encrypt."""
        serialised: bytes = self._key.serialize()
        return serialised

    @classmethod
    def from_bytes(cls, data: bytes, profile: Profile, evaluation_keys: str) -> SecretKeys:
        """The keys that :meth:`to_bytes` gave. Raises ValueError for bytes of another length.

        Garbage of the right length may abort the process in the runtime: authenticate before calling this.
        """
        if len(data) != _KEY_HEADER_BYTES + 8 * profile.lwe_dimension:
            raise ValueError(f"{len(data)} bytes are no secret key of profile {profile.name}")
        info = _program_info(profile, compressed=True, count=1)
        (parameters,) = info.get_keyset_info().secret_keys()
        return cls(profile, compiler.LweSecretKey.deserialize(data, parameters), evaluation_keys)

    @cached_property
    def _keyset(self) -> Any:
        """The runtime's keyset with this secret key alone."""
        info = _program_info(self.profile, compressed=True, count=1)
        key_id = self.profile.encryption["keyId"]
        return compiler.Keyset(info, None, initial_lwe_secret_keys={key_id: self._key})

    def _circuit(self, count: int, *, compressed: bool) -> Any:
        info = _program_info(self.profile, compressed=compressed, count=count)
        return compiler.ClientProgram.create_encrypted(info, self._keyset).get_client_circuit(_CIRCUIT)

    def encrypt_bits(self, bits: Bits) -> bytes:
        """Seeded ciphertexts of ``bits``, in order, 24 bytes each; a fresh seed from the operating system for each."""
        messages = np.ascontiguousarray(bits, dtype=np.int64).reshape(-1)
        value = self._circuit(len(messages), compressed=True).prepare_input(compiler.Value(messages), 0)
        return _payload(value.serialize(), len(messages) * _SEEDED_WORDS)

    def decrypt_messages(self, payload: bytes) -> NDArray[np.int64]:
        """Messages of full ciphertexts, shape (count,)."""
        words = self.profile.ciphertext_words
        count = len(payload) // (8 * words)
        circuit = self._circuit(count, compressed=False)
        # The runtime's envelope of this shape, taken from an encryption of zeros, around the received ciphertexts.
        envelope = circuit.prepare_input(compiler.Value(np.zeros(count, dtype=np.int64)), 0).serialize()
        start, end = _ENVELOPE_HEADER_BYTES, _ENVELOPE_HEADER_BYTES + len(payload)
        value = compiler.TransportValue.deserialize(envelope[:start] + payload + envelope[end:])
        messages: NDArray[np.int64] = np.asarray(circuit.process_output(value, 0).to_py_val(), dtype=np.int64)
        return messages.reshape(count)

    def encrypt_records(self, bits: Bits, schema: InputSchema) -> bytes:
        """The frame of encrypted records, from bits of shape (records, schema.bits)."""
        if bits.ndim != 2 or bits.shape[1] != schema.bits or not np.isin(bits, (0, 1)).all():
            raise ValueError(f"bits of shape (records, {schema.bits}) are due, not {bits.shape}")
        payload = self.encrypt_bits(bits)
        header = RecordHeader(
            payload_bytes=len(payload),
            profile=self.profile.digest,
            input_schema=schema.digest,
            evaluation_keys=self.evaluation_keys,
            records=len(bits),
            bits=schema.bits,
        )
        return encode_frame(header, payload)

    def decrypt_result(self, data: bytes) -> tuple[NDArray[np.int64], ResultHeader]:
        """Values of a result frame, shape (records, values), and its header.

        Raises :class:`KeyMismatch` for a result made under other keys, :class:`InvalidCiphertext` for a damaged frame
        and :class:`DecryptionFailed` where a message is no bit of a label or no level of the header's scale.
        """
        header, payload = decode_frame(data, ResultHeader)
        if header.evaluation_keys != self.evaluation_keys or header.profile != self.profile.digest:
            raise KeyMismatch(
                f"the result was made with keys {header.evaluation_keys[:12]}…, not {self.evaluation_keys[:12]}…",
                field="evaluation_keys",
            )
        if len(payload) != header.records * header.values * self.profile.ciphertext_words * 8:
            raise InvalidCiphertext("the payload does not have the announced shape", field="body.payload_bytes")
        messages = self.decrypt_messages(payload).reshape(header.records, header.values)
        greatest = header.scores.greatest_level if header.scores else 1
        if messages.min() < 0 or messages.max() > greatest:
            raise DecryptionFailed(
                "a decrypted value is no level of its scale" if header.scores else "a decrypted value is not a bit"
            )
        return messages, header


def generate_keys(profile: Profile | None = None) -> tuple[SecretKeys, bytes]:
    """Fresh secret keys, and the frame of the evaluation keys that belong to them (to be uploaded once).

    All randomness comes from the operating system. Takes a few seconds.
    """
    profile = profile or default_profile()
    info = _full_program_info(profile)
    keyset = compiler.Keyset(info, None)
    key = keyset.get_client_keys().get_secret_keys()[profile.encryption["keyId"]]
    serialised: bytes = keyset.get_server_keys().serialize()
    zero_key = make_zero_key(_secret_bits(key, profile), profile).to_bytes()
    header = EvaluationKeysHeader(
        payload_bytes=len(serialised) + len(zero_key), profile=profile.digest, keyset_bytes=len(serialised)
    )
    frame = encode_frame(header, serialised + zero_key)
    return SecretKeys(profile, key, digest_bytes(frame)), frame


def make_zero_key(secret_bits: Torus, profile: Profile) -> ZeroKey:
    """The public key for encryptions of zero: b = a*s + e with the noise of a fresh ciphertext."""
    std = float(np.sqrt(profile.encryption["variance"]) * 2.0**64)
    half = ZeroKey(secrets.token_bytes(SEED_BYTES), np.zeros_like(secret_bits))
    body = negacyclic_product(half.mask, secret_bits) + gaussian(len(secret_bits), std)
    return ZeroKey(half.seed, body)


def _secret_bits(key: Any, profile: Profile) -> Torus:
    """The bits of an LWE secret key: the end of its serialised form."""
    words = np.frombuffer(key.serialize()[-8 * profile.lwe_dimension :], dtype="<u8").astype(np.uint64)
    if not np.isin(words, (0, 1)).all():
        raise RuntimeError("the runtime's secret key has another layout than that of concrete-python 2.11")
    return words


_CIRCUIT = "bits"


def _program_info(profile: Profile, *, compressed: bool, count: int) -> Any:
    """A program of one circuit, ``count`` integers in and out, over a keyset of the client's one secret key."""
    key_id = profile.encryption["keyId"]
    secret_keys = [key for key in profile.keyset["lweSecretKeys"] if key["id"] == key_id]
    keyset = {"lweSecretKeys": secret_keys, "lweBootstrapKeys": [], "lweKeyswitchKeys": [], "packingKeyswitchKeys": []}
    circuit = {
        "name": _CIRCUIT,
        "inputs": [_gate(profile, "seed" if compressed else "none", count)],
        "outputs": [_gate(profile, "none", count)],
    }
    return compiler.ProgramInfo.deserialize(json.dumps({"keyset": keyset, "circuits": [circuit]}).encode())


def _full_program_info(profile: Profile) -> Any:
    """A program with every key of the profile and no circuit."""
    return compiler.ProgramInfo.deserialize(json.dumps({"keyset": profile.keyset, "circuits": []}).encode())


def _gate(profile: Profile, compression: str, count: int) -> dict[str, Any]:
    words = _SEEDED_WORDS if compression == "seed" else profile.ciphertext_words
    concrete_shape = {"dimensions": [count, words]}
    encoding = {"width": profile.message_bits, "isSigned": False, "mode": {"native": {}}}
    ciphertext = {
        "abstractShape": {"dimensions": [count]},
        "concreteShape": concrete_shape,
        "integerPrecision": 64,
        "encryption": profile.encryption,
        "compression": compression,
        "encoding": {"integer": encoding},
    }
    raw = {"shape": concrete_shape, "integerPrecision": 64, "isSigned": False}
    return {"rawInfo": raw, "typeInfo": {"lweCiphertext": ciphertext}}


def _payload(serialised: bytes, words: int) -> bytes:
    return serialised[_ENVELOPE_HEADER_BYTES : _ENVELOPE_HEADER_BYTES + 8 * words]

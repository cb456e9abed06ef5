"""Evaluation keys on their way to a server: a frame in memory, a file, or those of a key set in the keystore.

They are public. This module checks that they are what they say before they are sent; it knows no server.
"""

from __future__ import annotations

import io
from pathlib import Path

from epaas_client.keystore import StoredKeys
from epaas_client.transport import Upload, UploadProgress
from epaas_shared.digest import digest_bytes, digest_file
from epaas_shared.errors import InvalidEvaluationKeys
from epaas_shared.frame import MAX_HEADER_BYTES, PREFIX_BYTES, EvaluationKeysHeader, decode_frame_start


def prepare_upload(keys: bytes | Path | str | StoredKeys, progress: UploadProgress | None = None) -> tuple[str, Upload]:
    """The digest of evaluation keys, and a body that sends them.

    Raises :class:`InvalidEvaluationKeys` for what is no such file, or not the one that the keystore saved.
    """
    if isinstance(keys, bytes):
        decode_frame_start(keys, EvaluationKeysHeader)
        return digest_bytes(keys), Upload(lambda: io.BytesIO(keys), len(keys), progress)
    path = keys.evaluation_keys_file if isinstance(keys, StoredKeys) else Path(keys)
    try:
        with path.open("rb") as file:
            decode_frame_start(file.read(PREFIX_BYTES + MAX_HEADER_BYTES), EvaluationKeysHeader)
        digest, size = digest_file(path), path.stat().st_size
    except OSError as error:
        raise InvalidEvaluationKeys(f"{path} cannot be read: {error.strerror}") from None
    if isinstance(keys, StoredKeys) and digest != keys.evaluation_keys:
        raise InvalidEvaluationKeys(f"{path} was changed", hint="restore it from a copy, or generate new keys")
    return digest, Upload(lambda: path.open("rb"), size, progress)

"""Files that earlier releases wrote are still read: secret keys, records, results, bundles."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from epaas_client.keystore import Keystore
from epaas_server.bundles import read_bundle
from epaas_server.engine.levelled import expand_seeded
from epaas_shared.frame import RecordHeader, decode_frame
from tests.vectors.make import PASSPHRASE

RELEASES = sorted(path for path in (Path(__file__).parents[1] / "vectors").iterdir() if (path / "bundle").is_dir())


@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.name)
def test_files_of_a_release_are_read(release: Path, tmp_path: Path) -> None:
    expected = json.loads((release / "expected.json").read_text())
    bundle = read_bundle(release / "bundle")
    bits = bundle.schema.encode(expected["records"])
    np.testing.assert_array_equal(bundle.network.evaluate(bits)[:, 0], expected["output_bits"])

    digest = json.loads((release / "secret.json").read_text())["evaluation_keys"]
    (tmp_path / digest).mkdir()
    shutil.copy(release / "secret.json", tmp_path / digest)
    (tmp_path / digest / "secret.json").chmod(0o600)
    keystore = Keystore(tmp_path)
    secret_keys = keystore.open(keystore.find(), PASSPHRASE)

    header, payload = decode_frame((release / "record.epaas").read_bytes(), RecordHeader)
    assert (header.records, header.bits, header.input_schema) == (2, bundle.schema.bits, bundle.schema.digest)
    sent = secret_keys.decrypt_messages(expand_seeded(payload, bundle.profile).astype("<u8").tobytes())
    np.testing.assert_array_equal(sent.reshape(bits.shape), bits)

    output, result = secret_keys.decrypt_result((release / "result.epaas").read_bytes())
    assert result.model == bundle.digest
    np.testing.assert_array_equal(output[:, 0], expected["output_bits"])


def test_there_are_releases_to_read() -> None:
    assert RELEASES

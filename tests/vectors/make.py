"""Makes the files of a release that all later ones must read: ``python -m tests.vectors.make VERSION``."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path

from epaas_client import Client
from epaas_client.crypto import generate_keys
from epaas_client.keystore import Keystore
from tests.conftest import TOY_NETWORK, TOY_SCHEMA, ClientKeys, Server, random_records, upload_keys, write_bundle

PASSPHRASE = "correct horse battery staple"
RECORDS = random_records(TOY_SCHEMA, 2, seed=79)


def make(folder: Path) -> None:
    folder.mkdir()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        keys = ClientKeys(*generate_keys())
        stored = Keystore(work / "keys").create("vector", PASSPHRASE, keys.secret, keys.frame)
        shutil.copy(stored.path / "secret.json", folder / "secret.json")
        write_bundle(folder / "bundle", TOY_NETWORK, TOY_SCHEMA)
        server = Server(work / "server").start()
        try:
            assert server.publish(folder / "bundle").returncode == 0
            upload_keys(server, keys)
            with Client(server.url) as client:
                model = client.model("toy")
                record = client.encrypt(model, RECORDS, keys.secret)
                job = client.send(model, record)
                job.wait()
                (folder / "record.epaas").write_bytes(record)
                (folder / "result.epaas").write_bytes(job.fetch())
        finally:
            server.stop()
    expected = TOY_NETWORK.evaluate(TOY_SCHEMA.encode(RECORDS))[:, 0].tolist()
    (folder / "expected.json").write_text(json.dumps({"records": RECORDS, "output_bits": expected}, indent=1) + "\n")


if __name__ == "__main__":
    make(Path(__file__).parent / sys.argv[1])

"""A real server to be attacked: a tenant with keys and a model, and whole damaged keys that reach native code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from random import Random

from epaas_server.scopes import Scope
from epaas_shared.frame import EvaluationKeysHeader, decode_frame_start
from tests.conftest import ClientKeys
from tests.hostile.barrage import Ammunition, Barrage
from tests.integration.processes import wait_until
from tests.integration.tenant_making import Tenant, open_office, record_of

_TRIAL_SECONDS = 300.0


@contextmanager
def besieged(folder: Path, keys: ClientKeys, seed: int, **options: str) -> Iterator[tuple[Barrage, Tenant]]:
    """A server in ``folder`` that asks for tokens, and a barrage that has one for everything of a tenant."""
    with open_office(folder, authentication="tokens", **options) as office:
        tenant = office.tenant("besieged")
        tenant.put_keys(keys).raise_for_status()
        server = office.server
        assert server.process is not None
        yield (
            Barrage(
                url=server.url,
                token=office.token(tenant.name, list(Scope))[1],
                pid=server.process.pid,
                data_dir=server.data_dir,
                ammunition=Ammunition(record_of(keys), keys.frame, folder / "bundle"),
                seed=seed,
            ),
            tenant,
        )


def try_damaged_keys(tenant: Tenant, keys: ClientKeys, random: Random) -> str:
    """Upload keys of the right length with something wrong in them, and say what became of their trial run."""
    start = decode_frame_start(keys.frame, EvaluationKeysHeader)
    body = bytearray(keys.frame)
    match random.randrange(4):
        case 0:  # the structure of the serialised keyset
            for _ in range(random.choice((1, 10, 400))):
                body[random.randrange(start.payload_offset, start.payload_offset + 4000)] ^= random.randrange(1, 256)
        case 1:  # anywhere
            for _ in range(random.choice((1, 1000, 100_000))):
                body[random.randrange(start.payload_offset, len(body))] ^= random.randrange(1, 256)
        case 2:  # a part of zeros
            at = random.randrange(start.payload_offset, len(body) - 1_000_000)
            body[at : at + 1_000_000] = bytes(1_000_000)
        case _:  # shifted
            at = random.randrange(start.payload_offset, len(body))
            body[at:] = b"\x00" + body[at:-1]
    path = f"/v1/evaluation-keys/{sha256(body).hexdigest()}"
    tenant.http.put(path, content=bytes(body)).raise_for_status()
    wait_until(lambda: tenant.http.get(path).json()["state"] != "checking", _TRIAL_SECONDS)
    state: str = tenant.http.get(path).json()["state"]
    tenant.http.delete(path).raise_for_status()
    return state

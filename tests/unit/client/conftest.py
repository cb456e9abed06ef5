from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from epaas_client.crypto import generate_keys
from epaas_client.keystore import Keystore
from epaas_shared.features import ImageFeature, NumberFeature
from epaas_shared.schema import InputSchema

from .fake_server import FakeService, serving

PASSPHRASE = "correct horse battery"


@pytest.fixture(scope="session")
def schema() -> InputSchema:
    features = (
        NumberFeature(name="radius", edges=(10.0, 20.0), minimum=0.0, maximum=60.0, description="mm"),
        NumberFeature(name="texture", edges=(5.0,), minimum=0.0, maximum=9.5),
    )
    return InputSchema(
        task="toy", version=1, title="A toy", target="diagnosis", classes=("malignant", "benign"), features=features
    )


@pytest.fixture(scope="session")
def digits() -> InputSchema:
    image = ImageFeature(name="image", height=28, width=28, thresholds=(128,), framing="digit")
    return InputSchema(
        task="digits", version=1, title="A digit", target="digit", classes=("one", "seven"), features=(image,)
    )


@pytest.fixture(scope="session")
def generated() -> tuple[Any, bytes]:
    """Real secret keys and the frame of their evaluation keys."""
    return generate_keys()


@pytest.fixture(scope="session")
def filled(generated: tuple[Any, bytes], tmp_path_factory: pytest.TempPathFactory) -> Keystore:
    """A keystore with the generated keys under the name ``default``. Not to be changed by a test."""
    keystore = Keystore(tmp_path_factory.mktemp("data") / "keys")
    keystore.create("default", PASSPHRASE, *generated)
    return keystore


@pytest.fixture
def passphrase_file(tmp_path: Path) -> Path:
    path = tmp_path / "passphrase"
    path.write_text(PASSPHRASE + "\n")
    return path


@pytest.fixture
def service(schema: InputSchema, generated: tuple[Any, bytes]) -> FakeService:
    return FakeService(schema, generated[0], labels=[0, 1] * 20)


@pytest.fixture
def url(service: FakeService) -> Iterator[str]:
    with serving(service) as address:
        yield address

"""The main job on the real task: Cancer, from training to decrypted labels, over all test records of a split."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from epaas_client import Client
from epaas_models.architecture import Architecture, DenseConfiguration
from epaas_models.configuration import BinaryNetworkMethod, ModelConfiguration, load_configuration
from epaas_models.datasets import DataSettings, load, split
from epaas_models.fit import PUBLISHED_SPLIT
from epaas_models.fit import fit as fit_configuration
from epaas_shared.schema import shipped_schemas
from tests.conftest import ClientKeys, Server


def fit(folder: Path, configuration: ModelConfiguration) -> None:
    dataset = load("breast-cancer", DataSettings())
    fit_configuration(configuration, dataset, folder, seed=0, command="tests", thoroughness="quick")


def deeper(configuration: ModelConfiguration) -> ModelConfiguration:
    method = configuration.method
    assert isinstance(method, BinaryNetworkMethod)
    architecture = Architecture(hidden=(DenseConfiguration(outputs=4),), output_weights="ternary")
    return configuration.model_copy(update={"method": method.model_copy(update={"architecture": architecture})})


def test_all_test_records_agree_with_the_plain_reference_before_and_after_a_model_update(
    server: Server, keys: ClientKeys, tmp_path: Path
) -> None:
    """171 records by the thesis's network; then a deeper one is published and the same client asks again (C3(i))."""
    dataset = load("breast-cancer", DataSettings())
    rows = split(dataset, PUBLISHED_SPLIT).test
    assert len(rows) == 171
    records = [dataset.record(int(row)) for row in rows]
    shallow = load_configuration("breast-cancer")
    bits = shipped_schemas()[shallow.input_schema].encode(records)
    for version, configuration in ((1, shallow), (2, deeper(shallow))):
        bundle = tmp_path / str(version)
        fit(bundle, configuration)
        published = server.publish(bundle)
        assert published.returncode == 0, published.stderr
        from epaas_server.bundles import read_bundle

        asked = records if version == 1 else records[:16]
        with Client(server.url, timeout=120) as client:
            predicted = client.predict("breast-cancer", asked, keys.secret)
            assert client.model("breast-cancer").version == json.loads(published.stdout)["version"]
        plain = read_bundle(bundle).network.predict(bits)[: len(asked)]
        assert [label.index for label in predicted] == plain
        assert len(set(plain)) == 2, "both classes occur, so agreement means something"
        assert np.mean(np.array(plain) == dataset.labels[rows][: len(asked)]) > 0.85


def test_the_demo_ends_with_its_measurements(tmp_path: Path) -> None:
    demo = Path(__file__).parents[2] / "examples" / "demo.py"
    run = subprocess.run([sys.executable, str(demo)], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    result = json.loads(run.stdout.splitlines()[-1])
    assert result["task"] == "breast-cancer/v1"
    assert result["agrees_with_plain"] is True
    assert {result["label"], result["truth"]} <= {"malignant", "benign"}
    assert set(result["seconds"]) == {"keygen", "encrypt", "upload_keys", "submit", "evaluate", "fetch", "decrypt"}
    assert result["bytes"]["evaluation_keys"] <= 60_000_000
    assert result["bytes"]["record"] <= 4096
    assert result["bytes"]["result"] <= 20_000
    assert result["bootstraps"] == 5
    assert result["security_bits"] >= 128
    assert result["log2_p_error"] <= -128
    assert result["threads"] >= 1
    assert not list(tmp_path.iterdir()), "the demo leaves nothing behind"

"""The images are built, their services started, and the whole demo runs against them: by buildah, without an engine."""

from __future__ import annotations

import csv
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from epaas_models.datasets import DataSettings, load, split
from epaas_models.fit import PUBLISHED_SPLIT
from epaas_server.bundles import read_bundle
from epaas_shared import __version__
from epaas_shared.schema import shipped_schemas
from tests.deploy.deployment import Deployment
from tests.deploy.image_building import IMAGES, ROOT, built_images, file_system, image_configuration, missing_tools
from tests.deploy.pod import compose_configuration, database, pod

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(2400),
    pytest.mark.skipif(bool(missing_tools()), reason=missing_tools() or "all there"),
]

Storage = Mapping[str, str]

_PROGRAMS = ("usr/bin", "usr/sbin", "usr/local/bin", "opt/*/bin")
_PACKAGES = ("opt/*", "opt/*/lib/python3*/site-packages", "usr/lib/python3/dist-packages", "usr/local/lib/python3*/*")


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    with built_images(tmp_path_factory.mktemp("images")) as environment:
        yield environment


@pytest.fixture(scope="module")
def deployment(storage: Storage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """The services that always run, and training; a client with keys and tokens."""
    secrets = tmp_path_factory.mktemp("secrets")
    subprocess.run([ROOT / "deploy/make-secrets", secrets], check=True, capture_output=True)
    configuration = compose_configuration("training", "ray", EPAAS_SECRETS=str(secrets), EPAAS_WORKER_CPUS="1")
    with pod(configuration, storage) as made, database(made):
        yield Deployment.start(made)


@pytest.fixture(scope="module")
def record(deployment: Deployment) -> tuple[Path, dict[str, float]]:
    """The first test row of the demo, as the client's file and as it is."""
    dataset = load("breast-cancer", DataSettings())
    row = dataset.record(int(split(dataset, PUBLISHED_SPLIT).test[0]))
    path = deployment.pod.folder / "record.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(row))
        writer.writeheader()
        writer.writerow(row)
    return path, row


@pytest.fixture(scope="module")
def published(deployment: Deployment) -> Path:
    """The bundle that the training service made of its own data and published; the demo's model."""
    submitted = deployment.training_request(
        "POST", "/v1/training-jobs", {"configuration": "breast-cancer", "thoroughness": "quick", "publish": "stable"}
    )
    job: str = submitted["id"]
    while submitted["state"] in ("queued", "running"):
        time.sleep(0.5)
        submitted = deployment.training_request("GET", f"/v1/training-jobs/{job}")
    assert submitted["state"] == "succeeded", submitted
    return deployment.volume("training") / "jobs" / job / "bundle"


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_is_labelled_and_runs_as_nobody(storage: Storage, image: str) -> None:
    found = image_configuration(image, storage)
    assert found["User"] == "10001:10001"
    assert found["Healthcheck"]["Test"][:2] == ["CMD", "healthcheck"]
    labels = {name.removeprefix("org.opencontainers.image."): value for name, value in found["Labels"].items()}
    assert labels["title"] == f"epaas {image}"
    assert labels["version"] == __version__
    assert labels["licenses"] == "Apache-2.0"
    assert labels["description"]


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_has_what_its_service_needs_and_no_more(storage: Storage, image: str) -> None:
    with file_system(image, storage) as root:
        programs, packages = (_names(root, folders) for folders in (_PROGRAMS, _PACKAGES))
        compiled = {path.relative_to(root).parts[1] for path in root.glob("opt/*/circuits/*/exact10/sharedlib.so")}
    assert not programs & {"as", "curl", "gcc", "git", "ld", "make", "pip", "pip3"}
    servers, evaluate = {"api", "worker", "ray"}, {"worker", "ray"}
    has = {name: name in packages for name in ("epaas_server", "epaas_client", "epaas_models", "torch", "mlir", "ray")}
    assert has == {
        "epaas_server": image in servers | {"training"},
        "epaas_client": image == "training",  # no server has code that could hold a secret key
        "epaas_models": image == "training",
        "torch": image == "training",
        "mlir": image in evaluate,
        "ray": image == "ray",
    }
    assert ("concrete" in packages) is (image in evaluate)
    assert "pip" not in packages
    assert compiled == ({"cache"} if image in evaluate else set())
    assert ("caddy" in programs) is (image == "proxy")


def _names(root: Path, patterns: tuple[str, ...]) -> set[str]:
    return {path.name for pattern in patterns for path in root.glob(f"{pattern}/*")}


def test_sizes_are_listed(storage: Storage) -> None:
    run = subprocess.run(
        [ROOT / "deploy/build", "--sizes"], env=dict(storage), capture_output=True, text=True, check=True
    )
    rows = [line.split(maxsplit=1) for line in run.stdout.splitlines()]
    assert [name for name, _ in rows] == list(IMAGES)
    assert all(size.endswith(("MB", "GB")) for _, size in rows)


@pytest.mark.parametrize("name", ["api", "worker", "training", "proxy"])
def test_a_service_is_healthy_and_can_change_nothing_of_its_image(deployment: Deployment, name: str) -> None:
    service = deployment.services[name]
    assert service.healthy
    assert service.run(["id", "--user"]).stdout.strip() == "10001"
    status = dict(line.split(":", 1) for line in service.run(["cat", "/proc/1/status"]).stdout.splitlines())
    assert {int(status[f"Cap{kind}"], 16) for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {0}
    assert status["NoNewPrivs"].strip() == "1"
    for folder in ("/", "/opt", "/etc", "/usr/local/bin"):
        assert "Read-only file system" in service.run(["touch", f"{folder}/written"]).stderr
    for folder in ("/data", "/tmp"):
        assert service.run(["touch", f"{folder}/written"]).returncode == 0


@pytest.mark.parametrize("name", ["api", "worker"])
def test_the_doctor_finds_nothing_that_does_not_work(deployment: Deployment, name: str) -> None:
    examined = deployment.services[name].run(["epaas-server", "doctor", "--json"])
    assert examined.returncode == 0, examined.stdout


def test_the_health_check_notices_a_service_that_is_not_there(deployment: Deployment) -> None:
    for name in ("api", "training", "proxy"):
        check = deployment.services[name].health_check
        assert check is not None
        elsewhere = [check[0], check[1].replace(":8", ":9")]
        assert deployment.services[name].run(elsewhere).returncode == 1
    assert deployment.services["api"].run(["healthcheck", "--process", "spawn_main"]).returncode == 1  # has no child


def test_the_worker_compiles_nothing_and_has_no_compiler(deployment: Deployment) -> None:
    worker = deployment.services["worker"]
    refused = worker.run(["python", "-W", "ignore", "-c", "from concrete import fhe"])
    assert "ImportError" in refused.stderr or "ModuleNotFoundError" in refused.stderr
    assert "No module named 'torch'" in worker.run(["python", "-c", "import torch"]).stderr
    assert "worker ready" in worker.words()


def test_the_demo(deployment: Deployment, record: tuple[Path, dict[str, float]], published: Path) -> None:
    """Train, publish, make keys, encrypt, predict, decrypt; over TLS, and with tokens, to PostgreSQL."""
    path, row = record
    predicted = deployment.client("predict", str(path), "--model", "breast-cancer")["predictions"]
    assert [each["label"] for each in predicted] == [plain_label(published, row)]


def test_events_are_seen_as_they_happen(
    deployment: Deployment, record: tuple[Path, dict[str, float]], published: Path
) -> None:
    """The proxy holds none back: the first is there while no worker is, which is stopped and replaced meanwhile."""
    path, row = record
    deployment.stop("worker")
    job = deployment.client("submit", str(path), "--model", "breast-cancer")["jobs"][0]["id"]
    with deployment.events(job) as lines:
        assert next(lines)["state"] == "queued"
        deployment.start_again("worker")
        assert [event["state"] for event in lines][-1] == "succeeded"
    label = deployment.client("result", job)["predictions"][0]["label"]
    assert label == plain_label(published, row)


@pytest.mark.long
def test_a_cluster_evaluates_in_place_of_the_workers(
    deployment: Deployment, record: tuple[Path, dict[str, float]], published: Path
) -> None:
    path, row = record
    deployment.stop("worker")
    cluster = ("ray-head", "ray-node", "ray-worker")
    for name in cluster:
        deployment.start_again(name)
    predicted = deployment.client("predict", str(path), "--model", "breast-cancer")["predictions"]
    assert [each["label"] for each in predicted] == [plain_label(published, row)]
    assert '"event": "job finished"' in deployment.services["ray-worker"].words()
    deployment.stop(*reversed(cluster))
    deployment.start_again("worker")


def test_the_proxy_keeps_metrics_to_the_operators(deployment: Deployment) -> None:
    assert deployment.status("/healthz") == 200
    within = deployment.services["api"].run(["healthcheck", "http://127.0.0.1:8000/metrics"])
    assert within.returncode == 0
    for path in ("/metrics", "/metrics/", "/%6detrics", "//metrics", "/METRICS", "/v1/../metrics", "/metrics?x=1"):
        assert deployment.status(path) == 404, path


def test_the_proxy_sends_plain_http_to_tls(deployment: Deployment) -> None:
    assert deployment.redirection("/v1/models?a=b") == "https://localhost/v1/models?a=b"


def test_nobody_predicts_without_a_token(deployment: Deployment, record: tuple[Path, dict[str, float]]) -> None:
    refused = deployment.client_run("submit", str(record[0]), "--model", "breast-cancer", token=False)
    assert refused.returncode == 4, refused.stderr


def test_services_end_when_they_are_asked_to(deployment: Deployment) -> None:
    for name in ("worker", "proxy", "api", "training"):
        container = deployment.services[name]
        deployment.stop(name)
        assert container.process is not None
        assert container.process.returncode == 0, container.words()[-2000:]
        deployment.start_again(name)


def plain_label(bundle: Path, row: dict[str, float]) -> str:
    """The label by the plain integer reference."""
    schema = shipped_schemas()["breast-cancer/v1"]
    return schema.classes[read_bundle(bundle).network.predict(schema.encode([row]))[0]]

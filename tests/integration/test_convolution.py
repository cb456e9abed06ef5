"""A convolutional network on an image of 28x28 pixels, encrypted end to end, in little memory and across a crash."""

from __future__ import annotations

import io
import json
import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from epaas_client import Client
from epaas_client.images import read_image
from epaas_client.job import Job
from epaas_shared.features import ImageFeature
from epaas_shared.layers import ConvolutionLayer, DenseLayer, Integers
from epaas_shared.network import Network
from epaas_shared.protocol import ModelVersion
from epaas_shared.schema import InputSchema
from tests.conftest import ClientKeys, Server, upload_keys, write_bundle
from tests.integration.processes import evaluation_children, peak_bytes, wait_until, workers

SIDE = 28
MEMORY = 4_000_000_000
"""An ordinary laptop's, and no more."""
PICTURE = ImageFeature(name="image", height=SIDE, width=SIDE, thresholds=(128.0,), framing="whole")
SCHEMA = InputSchema(
    task="pixels",
    version=1,
    title="Binary images",
    target="digit",
    classes=tuple("0123456789"),
    features=(PICTURE,),
)


def ternary(random: np.random.Generator, *shape: int) -> tuple[Integers, Integers]:
    """Weights, and thresholds in the middle of the sums of random bits."""
    weights = random.integers(-1, 2, shape)
    return weights, np.rint(weights.reshape(len(weights), -1).sum(axis=1) / 2).astype(np.int64)


def convolutional(seed: int) -> Network:
    """784 pixels, 4 filters of 6x6 windows, 8 filters of 2x2 windows, 10 classes."""
    random = np.random.default_rng(seed)
    first = ConvolutionLayer(*ternary(random, 4, 1, 5, 5), SIDE, SIDE, stride=(4, 4))
    second = ConvolutionLayer(*ternary(random, 8, 4, 3, 3), 6, 6, stride=(2, 2))
    return Network((first, second, DenseLayer(*ternary(random, 10, second.outputs))))


NETWORK = convolutional(seed=60)
IMAGES = np.random.default_rng(61).integers(0, 256, (2, SIDE, SIDE), dtype=np.uint8)


def test_the_images_are_of_several_classes_and_no_filter_is_idle() -> None:
    bits = (np.random.default_rng(62).uniform(0, 1, (200, SIDE * SIDE)) >= 0.5).astype(np.uint8)
    assert len(set(NETWORK.predict(bits))) >= 5
    fired = NETWORK.layers[0].sums(bits) >= 0
    assert 0.2 < fired.mean() < 0.8
    assert 150 <= NETWORK.neurons <= 250


@pytest.fixture(scope="module")
def bounded(tmp_path_factory: pytest.TempPathFactory, keys: ClientKeys) -> Iterator[Server]:
    """A server whose evaluation child has a bounded address space, with the keys and the network.

    What it has loaded already, half a gigabyte and not always the same, comes on top of the setting.
    """
    folder = tmp_path_factory.mktemp("convolution")
    server = Server(folder / "server", {"child_memory_bytes": "3300000000", "heartbeat_seconds": "0.2"}).start()
    try:
        write_bundle(folder / "bundle", NETWORK, SCHEMA, name="pixels")
        published = server.publish(folder / "bundle")
        assert published.returncode == 0, published.stderr
        upload_keys(server, keys)
        yield server
    finally:
        server.stop()


def evaluation_child(server: Server) -> int:
    (worker,) = workers(server)
    (child,) = evaluation_children(worker)
    return child


def ask(client: Client, keys: ClientKeys, number: int) -> tuple[ModelVersion, Job]:
    """Send an image as the client reads it from a file."""
    file = io.BytesIO()
    Image.fromarray(IMAGES[number]).save(file, "PNG")
    model = client.model("pixels")
    record = {"image": read_image(file.getvalue(), "image.png", PICTURE)}
    return model, client.submit(model, record, keys.secret)


def check_label(job: Job, keys: ClientKeys, number: int) -> None:
    """By the plain reference, whose sums are numpy's own."""
    (label,) = job.result(keys.secret)
    bits = (IMAGES[number].reshape(1, -1) >= 128).astype(np.uint8)
    assert [label.index] == NETWORK.predict(bits)
    assert label.label == str(label.index)


def test_an_image_is_predicted_within_the_memory_that_was_said(bounded: Server, keys: ClientKeys) -> None:
    child = evaluation_child(bounded)
    with Client(bounded.url, timeout=120) as client:
        model, job = ask(client, keys, 0)
        done = job.wait()
        check_label(job, keys, 0)
    assert evaluation_child(bounded) == child, "one child did it all, its keys' trial included"
    peak = peak_bytes(child)
    assert resource.prlimit(child, resource.RLIMIT_AS)[0] <= MEMORY
    assert peak < MEMORY
    assert model.cost.memory_bytes is not None
    assert peak <= 1.2 * model.cost.memory_bytes
    assert done.progress.total == model.cost.bootstraps
    assert (model.cost.record_bytes, model.cost.result_bytes) == (784 * 24, 4 * 2049 * 8)


def test_a_killed_child_loses_the_layer_it_was_at_and_no_other(bounded: Server, keys: ClientKeys) -> None:
    first_layer = bootstraps_by_layer(bounded)[0]
    with Client(bounded.url, timeout=120) as client:
        _, job = ask(client, keys, 1)
        wait_until(lambda: job.refresh().progress.done > first_layer)
        os.kill(evaluation_child(bounded), signal.SIGKILL)
        written = {file.name for file in layer_files(bounded, job)}

        def finished() -> bool:
            written.update(file.name for file in layer_files(bounded, job))
            return job.refresh().state.finished

        wait_until(finished, 300)
        job.wait()
        check_label(job, keys, 1)
    assert job.prediction.attempts == 2
    claims = [event["layers_done"] for event in bounded.events("job claimed") if event["job"] == job.id]
    assert len(claims) == 2
    assert claims[0] == 0
    assert claims[1] in (1, 2), "it went on after the layers that were finished"
    layers = sorted(name.split("-layer-")[1] for name in written)
    assert layers == ["1", "2", "3", "4"], "each layer was finished once"
    assert len(bounded.events("the evaluation child died")) == 1


def bootstraps_by_layer(server: Server) -> list[int]:
    """Bootstraps of each layer."""
    (model,) = json.loads(server.command("models", "--json").stdout)["models"]
    return [layer["bootstraps"] for layer in model["plan"]["layers"]]


def layer_files(server: Server, job: Job) -> list[Path]:
    return list(server.data_dir.glob(f"blobs/jobs/{job.id}/*-layer-*"))

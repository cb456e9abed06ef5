"""Reading bundles: a good one is read exactly, every other one is refused by the name of what is wrong."""

from __future__ import annotations

import json
import pickle
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from server_making import BundleParts, canonical, layer, sha256, toy_schema

from epaas_server.bundles import read_bundle
from epaas_shared.errors import InvalidBundle
from epaas_shared.heads import Head, LabelArgmax, LabelBit, Scores
from epaas_shared.network import Network
from epaas_shared.profile import Profile
from epaas_shared.schema import InputSchema
from epaas_shared.scores import ScoreScale

FILES = ["weights.safetensors", "schema.json", "report.json"]


def refusal(folder: Path) -> InvalidBundle:
    with pytest.raises(InvalidBundle) as caught:
        read_bundle(folder)
    return caught.value


def test_a_good_bundle_is_read_exactly(tmp_path: Path, profile: Profile) -> None:
    parts = BundleParts()
    bundle = read_bundle(parts.write(tmp_path / "bundle"))
    assert bundle.digest == sha256((tmp_path / "bundle" / "manifest.json").read_bytes())
    assert bundle.schema == parts.schema
    assert bundle.profile == profile
    assert bundle.manifest.name == "toy"
    for index, dense in enumerate(bundle.network.layers):
        assert dense.weights.tolist() == parts.tensors[f"layers.{index}.weights"].tolist()
        assert dense.thresholds.tolist() == parts.tensors[f"layers.{index}.thresholds"].tolist()
    assert set(bundle.files) == {*FILES, "manifest.json"}
    for name, data in bundle.files.items():
        assert data == (tmp_path / "bundle" / name).read_bytes()


@pytest.mark.parametrize("name", FILES)
def test_a_tampered_file_is_named(tmp_path: Path, name: str) -> None:
    folder = BundleParts().write(tmp_path / "bundle")
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(bytes(data))
    assert refusal(folder).field == f"files.{name}"


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    name=st.sampled_from([*FILES, "manifest.json"]), place=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255)
)
def test_no_byte_of_a_bundle_changes_without_its_digest(
    tmp_path_factory: pytest.TempPathFactory, name: str, place: float, flip: int
) -> None:
    folder = BundleParts().write(tmp_path_factory.mktemp("tampered") / "bundle")
    digest = read_bundle(folder).digest
    data = bytearray((folder / name).read_bytes())
    data[int(place * len(data))] ^= flip
    (folder / name).write_bytes(bytes(data))
    if name == "manifest.json":  # it may still be the manifest of another bundle
        with suppress(InvalidBundle):
            assert read_bundle(folder).digest != digest
    else:
        assert refusal(folder).field == f"files.{name}"


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    folder = BundleParts().write(tmp_path / "bundle")
    (folder / name).unlink()
    error = refusal(folder)
    assert error.field == name
    assert error.hint


def test_no_folder_is_no_bundle(tmp_path: Path) -> None:
    assert refusal(tmp_path / "nowhere").field == "manifest.json"


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_the_manifest_leaves_out_is_named(tmp_path: Path, name: str) -> None:
    listed = {other: sha256(data) for other, data in BundleParts().files().items() if other != name}
    assert refusal(BundleParts(changes={"files": listed}).write(tmp_path / "bundle")).field == f"files.{name}"


def test_a_file_without_a_place_is_named(tmp_path: Path) -> None:
    listed = {name: sha256(data) for name, data in BundleParts().files().items()}
    parts = BundleParts(changes={"files": {**listed, "extra.json": "0" * 64}})
    assert refusal(parts.write(tmp_path / "bundle")).field == "files.extra.json"


@pytest.mark.parametrize("name", ["../../etc/passwd.json", "/etc/x.json", "a/b.json", "weights.pkl"])
def test_a_file_name_that_could_lead_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    error = refusal(BundleParts(changes={"files": {name: "0" * 64}}).write(tmp_path / "bundle"))
    assert error.field is not None
    assert error.field.startswith("manifest.json.files")


def test_an_unknown_profile_is_refused(tmp_path: Path) -> None:
    assert refusal(BundleParts(changes={"profile": "0" * 64}).write(tmp_path / "bundle")).field == "profile"


def test_another_schema_than_the_manifest_names_is_refused(tmp_path: Path) -> None:
    parts = BundleParts(changes={"input_schema": toy_schema(2, 3, title="other").digest})
    assert refusal(parts.write(tmp_path / "bundle")).field == "input_schema"


@pytest.mark.parametrize(
    ("data", "field"),
    [(b"", "schema.json"), (b"{", "schema.json"), (b"[" * 100_000, "schema.json"), (b"{}", "schema.json.task")],
)
def test_what_is_no_schema_is_refused(tmp_path: Path, data: bytes, field: str) -> None:
    assert refusal(BundleParts(schema_bytes=data).write(tmp_path / "bundle")).field == field


@pytest.mark.parametrize(
    "data", [b"", b"<html>", b"\xff\xfe\xfd", b"9" * 5000, b"[" * 100_000, b"[NaN]", b"[1]".decode().encode("utf-16")]
)
def test_a_report_that_is_no_json_is_refused(tmp_path: Path, data: bytes) -> None:
    assert refusal(BundleParts(report=data).write(tmp_path / "bundle")).field == "report.json"


def reformatted(data: bytes) -> list[bytes]:
    document = json.loads(data)
    return [data + b"\n", json.dumps(document).encode(), json.dumps(dict(reversed(document.items()))).encode()]


def test_a_manifest_that_is_not_canonical_is_refused(tmp_path: Path) -> None:
    folder = BundleParts().write(tmp_path / "bundle")
    for data in reformatted((folder / "manifest.json").read_bytes()):
        (folder / "manifest.json").write_bytes(data)
        error = refusal(folder)
        assert error.field == "manifest.json"
        assert "canonical" in error.detail


def test_a_manifest_that_leaves_out_a_default_is_not_canonical(tmp_path: Path) -> None:
    folder = BundleParts().write(tmp_path / "bundle")
    document = json.loads((folder / "manifest.json").read_bytes())
    del document["output"]
    (folder / "manifest.json").write_bytes(canonical(document))
    assert "canonical" in refusal(folder).detail


@pytest.mark.parametrize("data", [b"", b"{", b"null", b"[" * 100_000, b"\xff"])
def test_what_is_no_manifest_is_refused(tmp_path: Path, data: bytes) -> None:
    folder = BundleParts().write(tmp_path / "bundle")
    (folder / "manifest.json").write_bytes(data)
    assert refusal(folder).field == "manifest.json"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": "../toy"}, "manifest.json.name"),
        ({"output": "confidence"}, "manifest.json.output"),
        ({"output": "scores"}, "manifest.json"),
        ({"format": "epaas-bundle/2"}, "manifest.json.format"),
        ({"layers": []}, "manifest.json.layers"),
        ({"pickle": "x"}, "manifest.json.pickle"),
    ],
)
def test_a_wrong_member_of_the_manifest_is_named(tmp_path: Path, changes: dict[str, Any], field: str) -> None:
    assert refusal(BundleParts(changes=changes).write(tmp_path / "bundle")).field == field


class Hostile:
    """Unpickling this would leave a file behind."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, tuple[str, str]]:
        return open, (str(self.mark), "w")


def test_a_pickle_instead_of_weights_is_refused_and_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "unpickled"
    parts = BundleParts(weights=pickle.dumps(Hostile(mark)))
    assert refusal(parts.write(tmp_path / "bundle")).field == "weights.safetensors"
    assert not mark.exists()
    pickle.loads(parts.weights or b"").close()
    assert mark.exists()  # so it would have been seen


def safetensors_of(dtype: str, item_bytes: int) -> bytes:
    """The weights of a layer of two inputs and one output in any type of the format."""
    size = 2 * item_bytes
    header = json.dumps(
        {
            "layers.0.weights": {"dtype": dtype, "shape": [1, 2], "data_offsets": [0, size]},
            "layers.0.thresholds": {"dtype": "I32", "shape": [1], "data_offsets": [size, size + 4]},
        }
    ).encode()
    return struct.pack("<Q", len(header)) + header + bytes(size + 4)


NARROW = BundleParts.of(Network((layer([[0, 0]], [0]),)), toy_schema(2))


def test_a_file_made_by_hand_is_good(tmp_path: Path) -> None:
    read_bundle(BundleParts(NARROW.schema, NARROW.tensors, weights=safetensors_of("I16", 2)).write(tmp_path / "bundle"))


@pytest.mark.parametrize(
    ("dtype", "item_bytes"),
    [("U16", 2), ("I8", 1), ("I32", 4), ("I64", 8), ("F16", 2), ("BF16", 2), ("F32", 4), ("F64", 8), ("BOOL", 1),
     ("F8_E4M3", 1), ("C64", 8), ("XX", 2)],
)  # fmt: skip
def test_weights_of_another_type_are_refused(tmp_path: Path, dtype: str, item_bytes: int) -> None:
    parts = BundleParts(NARROW.schema, NARROW.tensors, weights=safetensors_of(dtype, item_bytes))
    assert refusal(parts.write(tmp_path / "bundle")).field in ("layers.0.weights", "weights.safetensors")


@pytest.mark.parametrize(
    "data",
    [b"", b"\0" * 8, struct.pack("<Q", 2**63) + b"{}", struct.pack("<Q", 2) + b"{}", safetensors_of("I16", 2)[:-1]],
)
def test_damaged_weights_are_refused(tmp_path: Path, data: bytes) -> None:
    parts = BundleParts(NARROW.schema, NARROW.tensors, weights=data)
    assert refusal(parts.write(tmp_path / "bundle")).field in ("weights.safetensors", "layers.0.thresholds")


def test_a_missing_tensor_is_named(tmp_path: Path) -> None:
    parts = BundleParts()
    parts.changes = {"layers": parts.manifest({})["layers"]}
    del parts.tensors["layers.1.thresholds"]
    assert refusal(parts.write(tmp_path / "bundle")).field == "layers.1.thresholds"


def test_another_shape_than_the_manifest_gives_is_refused(tmp_path: Path) -> None:
    parts = BundleParts()
    parts.changes = {"layers": parts.manifest({})["layers"]}
    parts.tensors["layers.0.weights"] = parts.tensors["layers.0.weights"].T
    assert refusal(parts.write(tmp_path / "bundle")).field == "layers.0.weights"


def test_layers_that_do_not_fit_one_another_are_named(tmp_path: Path) -> None:
    parts = BundleParts()
    parts.tensors["layers.1.weights"] = np.zeros((1, 3), dtype=np.int16)
    assert refusal(parts.write(tmp_path / "bundle")).field == "layers[1].weights"


def test_another_number_of_inputs_than_the_schema_has_bits_is_named(tmp_path: Path) -> None:
    assert refusal(BundleParts(schema=toy_schema(2, 2)).write(tmp_path / "bundle")).field == "layers[0]"


SCALE = {"bits": 2, "minimum": -1, "step": 1}
OF_SCORES = {"output": "scores", "scores": SCALE}


def classes(count: int) -> InputSchema:
    return toy_schema(2).model_copy(update={"classes": tuple("abcde"[:count])})


def outputs(count: int) -> Network:
    return Network((layer([[0, 1]] * count, [0] * count),))


@pytest.mark.parametrize(
    ("given_outputs", "given_classes", "changes"),
    [(1, 3, {}), (2, 3, {}), (3, 2, {}), (1, 2, OF_SCORES), (3, 2, OF_SCORES)],
)
def test_outputs_that_do_not_fit_the_classes_are_refused(
    tmp_path: Path, given_outputs: int, given_classes: int, changes: dict[str, Any]
) -> None:
    parts = BundleParts.of(outputs(given_outputs), classes(given_classes))
    parts.changes = changes
    assert refusal(parts.write(tmp_path / "bundle")).field == "output"


@pytest.mark.parametrize(
    ("given_outputs", "given_classes", "changes", "head"),
    [
        (1, 2, {}, LabelBit()),
        (2, 2, {}, LabelArgmax(2)),
        (5, 5, {}, LabelArgmax(5)),
        (2, 2, OF_SCORES, Scores(2, ScoreScale(bits=2, minimum=-1, step=1))),
    ],
)
def test_the_head_is_that_of_the_output(
    tmp_path: Path, given_outputs: int, given_classes: int, changes: dict[str, Any], head: Head
) -> None:
    parts = BundleParts.of(outputs(given_outputs), classes(given_classes))
    parts.changes = changes
    assert read_bundle(parts.write(tmp_path / "bundle")).network.head == head


def test_a_measured_range_is_due_for_each_evaluated_layer(tmp_path: Path) -> None:
    reached = {"minimum": -3, "maximum": 4, "records": 10}
    parts = BundleParts.of(outputs(3), classes(3))  # comparisons and winners: two layers
    parts.changes = {"measured_ranges": [reached] * 2}
    assert len(read_bundle(parts.write(tmp_path / "good")).manifest.measured_ranges or ()) == 2
    parts.changes = {"measured_ranges": [reached]}
    assert refusal(parts.write(tmp_path / "bad")).field == "measured_ranges"


def test_a_convolution_cannot_be_the_last_layer(tmp_path: Path) -> None:
    convolution = {
        "kind": "convolution", "channels": 1, "height": 2, "width": 1, "filters": 1,
        "kernel": [2, 1], "stride": [1, 1], "padding": [0, 0],
    }  # fmt: skip
    parts = BundleParts.of(outputs(1), toy_schema(2))
    parts.tensors["layers.0.weights"] = parts.tensors["layers.0.weights"].reshape(1, 1, 2, 1)
    parts.changes = {"layers": [convolution]}
    assert refusal(parts.write(tmp_path / "bundle")).field == "layers[0].kind"

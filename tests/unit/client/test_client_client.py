from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from epaas_client import Client, EpaasError, Keystore, Label
from epaas_client.client import RECORDS_PER_JOB
from epaas_shared.digest import digest_bytes
from epaas_shared.errors import (
    DecryptionFailed,
    DigestMismatch,
    EvaluationKeysNotFound,
    InvalidEvaluationKeys,
    InvalidInput,
    InvalidRecord,
    KeyMismatch,
    ModelNotFound,
    PredictionCancelled,
    PredictionFailed,
    ProfileMismatch,
    ResultNotReady,
    TooManyRequests,
    Unavailable,
)
from epaas_shared.frame import RecordHeader, decode_frame
from epaas_shared.protocol import KeysState, ModelVersion
from epaas_shared.schema import InputSchema, shipped_schemas
from epaas_shared.scores import ScoreScale

from .fake_server import MODEL_DIGEST, Answer, FakeService, Request, encrypted_result, problem, serving

RECORD = {"radius": 12.0, "texture": 3.0}


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    with Client(url) as connected:
        yield connected


def uploads(service: FakeService) -> int:
    return sum(request.method == "PUT" for request in service.requests)


def test_predict(client: Client, service: FakeService, generated: tuple[Any, bytes]) -> None:
    secret_keys, frame = generated
    client.upload_keys(frame)
    records = [RECORD] * (RECORDS_PER_JOB + 2)
    labels = client.predict("toy", records, secret_keys)
    assert labels == [Label("malignant", 0), Label("benign", 1)] * (len(records) // 2)
    assert [prediction["records"] for prediction in service.predictions.values()] == [RECORDS_PER_JOB, 2]


def test_what_is_sent_is_encrypted_and_nothing_else(
    client: Client, service: FakeService, generated: tuple[Any, bytes]
) -> None:
    secret_keys, frame = generated
    client.upload_keys(frame)
    client.submit("toy", {**RECORD, "diagnosis": "malignant"}, secret_keys)
    sent = service.requests[-1]
    header, payload = decode_frame(sent.body, RecordHeader)
    assert header.input_schema == service.schema.digest
    assert header.evaluation_keys == digest_bytes(frame)
    assert len(payload) == 24 * service.schema.bits
    assert sent.query == {"model": "toy", "version": "3"}
    assert len(sent.headers["idempotency-key"]) >= 32
    assert b"malignant" not in sent.body


def test_given_idempotency_key_is_sent(client: Client, service: FakeService, generated: tuple[Any, bytes]) -> None:
    client.upload_keys(generated[1])
    client.submit("toy", RECORD, generated[0], idempotency_key="mine")
    assert service.requests[-1].headers["idempotency-key"] == "mine"


def test_keys_are_uploaded_once(
    client: Client, service: FakeService, generated: tuple[Any, bytes], filled: Keystore
) -> None:
    seen: list[int] = []
    status = client.upload_keys(filled.find(), lambda done, _: seen.append(done))
    assert status.state is KeysState.READY
    assert seen[-1] == status.bytes == len(generated[1])
    client.upload_keys(generated[1])
    client.upload_keys(filled.find().evaluation_keys_file)
    assert uploads(service) == 1
    client.delete_keys(status.digest)
    with pytest.raises(EvaluationKeysNotFound):
        client.keys_status(status.digest)


def test_damaged_evaluation_keys_are_not_sent(
    client: Client, service: FakeService, generated: tuple[Any, bytes], tmp_path: Path
) -> None:
    keystore = Keystore(tmp_path)
    stored = keystore.create("default", "long enough", *generated)
    stored.evaluation_keys_file.write_bytes(generated[1][:-1] + b"x")
    with pytest.raises(InvalidEvaluationKeys, match="was changed"):
        client.upload_keys(stored)
    with pytest.raises(InvalidEvaluationKeys, match="does not begin as one"):
        client.upload_keys(b"nonsense")
    with pytest.raises(InvalidEvaluationKeys, match="cannot be read"):
        client.upload_keys(tmp_path / "none")
    assert uploads(service) == 0


def test_bad_records_are_not_sent(client: Client, service: FakeService, generated: tuple[Any, bytes]) -> None:
    client.upload_keys(generated[1])
    good: list[dict[str, float]] = [dict(RECORD) for _ in range(RECORDS_PER_JOB + 1)]
    with pytest.raises(InvalidRecord, match=r"texture: 99 is outside .* \(record 18\)"):
        client.submit_all("toy", [*good, {"radius": 1.0, "texture": 99.0}], generated[0])
    with pytest.raises(InvalidRecord, match="radius: the column is missing"):
        client.submit("toy", {"texture": 1.0}, generated[0])
    with pytest.raises(InvalidRecord, match="no records"):
        client.submit("toy", [], generated[0])
    with pytest.raises(InvalidInput, match="too many"):
        client.submit("toy", good, generated[0])
    assert service.predictions == {}


def test_model_under_foreign_parameters_is_refused(
    client: Client, service: FakeService, generated: tuple[Any, bytes]
) -> None:
    service.model_profile = "e" * 64
    with pytest.raises(ProfileMismatch):
        client.submit("toy", RECORD, generated[0])
    assert service.predictions == {}


def test_keys_under_other_parameters_are_refused(client: Client, generated: tuple[Any, bytes]) -> None:
    from epaas_client import SecretKeys

    other = generated[0].profile.model_copy(update={"name": "other"})
    keys = SecretKeys(other, None, "a" * 64)
    with pytest.raises(KeyMismatch, match="other parameters"):
        client.submit("toy", RECORD, keys)


def test_models(client: Client) -> None:
    assert [model.name for model in client.models()] == ["toy"]
    assert isinstance(client.model("toy", 3), ModelVersion)
    assert client.report("toy") == {"title": "a report"}
    assert client.report_page("toy") == f"{client.server}/v1/models/toy/versions/3/report.html"
    assert client.report_page("toy", 2) == f"{client.server}/v1/models/toy/versions/2/report.html"
    with pytest.raises(ModelNotFound):
        client.model("../evaluation-keys/x")


def test_schema_must_have_the_digest_asked_for(client: Client, service: FakeService) -> None:
    assert client.schema(service.schema.digest) == service.schema
    with pytest.raises(DigestMismatch):
        client.schema("0" * 64)


def test_shipped_schema_is_not_asked_for(client: Client, service: FakeService) -> None:
    for schema in shipped_schemas().values():
        assert client.schema(schema.digest) == schema
    assert service.requests == []


def test_failed_and_cancelled_and_unfinished(
    client: Client, service: FakeService, generated: tuple[Any, bytes]
) -> None:
    client.upload_keys(generated[1])
    service.final_state = "failed"
    job = client.submit("toy", RECORD, generated[0])
    with pytest.raises(ResultNotReady, match="0 of 20 bootstraps"):
        job.result(generated[0])
    with pytest.raises(PredictionFailed, match="caught fire"):
        job.wait()
    other = client.submit("toy", RECORD, generated[0])
    with pytest.raises(ResultNotReady, match="still queued"):
        other.wait(timeout=0)
    other.cancel()
    with pytest.raises(PredictionCancelled):
        client.job(other.id).wait()
    other.delete()
    assert other.id not in service.predictions


def test_wait_reports_progress(client: Client, service: FakeService, generated: tuple[Any, bytes]) -> None:
    client.upload_keys(generated[1])
    seen: list[tuple[str, int]] = []
    job = client.submit("toy", RECORD, generated[0])
    job.wait(on_progress=lambda prediction: seen.append((prediction.state.value, prediction.progress.done)))
    assert seen == [("queued", 0), ("succeeded", 20)]
    assert service.requests[-1].headers["prefer"] == "wait=2"
    assert client.job(job.id).result(generated[0]) == [Label("malignant", 0)]


class Refusing:
    """A service before which something refuses the first polls of a prediction."""

    def __init__(self, service: FakeService, answer: Answer, polls: int) -> None:
        self.service, self.answer, self.polls = service, answer, polls

    def __call__(self, request: Request) -> Answer:
        if request.method == "GET" and request.path.startswith("/v1/predictions/") and self.polls > 0:
            self.polls -= 1
            return self.answer
        return self.service(request)


def test_wait_goes_on_when_the_server_says(service: FakeService, generated: tuple[Any, bytes]) -> None:
    waits: list[int] = []
    refusing = Refusing(service, problem(TooManyRequests("too often", retry_after=1)), polls=2)
    with serving(refusing) as url, Client(url, on_wait=lambda seconds, _: waits.append(seconds)) as client:
        client.upload_keys(generated[1])
        assert client.submit("toy", RECORD, generated[0]).wait().state == "succeeded"
    assert waits == [1, 1]


@pytest.mark.parametrize("error", [TooManyRequests("x", retry_after=999), Unavailable("y", retry_after=999)])
def test_wait_ends_when_the_server_says_much_later(
    service: FakeService, generated: tuple[Any, bytes], error: EpaasError
) -> None:
    refusing = Refusing(service, problem(error), polls=99)
    with serving(refusing) as url, Client(url) as client:
        client.upload_keys(generated[1])
        job = client.submit("toy", RECORD, generated[0])
        with pytest.raises(type(error)):
            job.wait()
    assert refusing.polls == 98


def test_a_result_without_end_is_refused(
    service: FakeService, generated: tuple[Any, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("epaas_client.job.MAX_RESULT_BYTES", 1000)
    service.polls_before_end = 0
    with serving(service) as url, Client(url) as client:
        client.upload_keys(generated[1])
        job = client.submit("toy", RECORD, generated[0])
        job.wait()
        with pytest.raises(Unavailable, match="is over"):
            job.fetch()


def test_result_of_another_prediction_is_refused(
    client: Client, service: FakeService, generated: tuple[Any, bytes]
) -> None:
    client.upload_keys(generated[1])
    one, two = client.submit("toy", RECORD, generated[0]), client.submit("toy", [RECORD] * 2, generated[0])
    one.wait()
    two.wait()
    with pytest.raises(DecryptionFailed, match="not that of the prediction"):
        one.decrypt(two.fetch(), generated[0], service.schema)


def test_keys_rejected_by_the_server(generated: tuple[Any, bytes], service: FakeService) -> None:
    digest = generated[0].evaluation_keys
    service.uploaded[digest] = b""

    def rejecting(request: Request) -> Answer:
        answer = service(request)
        return Answer(answer.status, answer.body.replace(b'"ready"', b'"rejected"'))

    with serving(rejecting) as url, Client(url) as client, pytest.raises(InvalidEvaluationKeys, match="rejects"):
        client.wait_for_keys(digest)


SCALE = ScoreScale(bits=3, minimum=-40, step=10)
WARM = SCALE.model_copy(update={"temperature": 8.0})
COLD = SCALE.model_copy(update={"temperature": 0.1})


def test_scores_are_the_least_sums_of_their_levels_and_the_first_greatest_wins(
    client: Client, service: FakeService, generated: tuple[Any, bytes]
) -> None:
    client.upload_keys(generated[1])
    service.scale, service.levels = SCALE, [[0, 7], [5, 5], [3, 2]]
    assert client.predict("toy", [RECORD] * 3, generated[0]) == [
        Label("benign", 1, (-40, 30)),
        Label("malignant", 0, (10, 10)),
        Label("malignant", 0, (-10, -20)),
    ]


def test_calibrated_scores_give_the_probabilities_of_their_classes(
    client: Client, service: FakeService, generated: tuple[Any, bytes]
) -> None:
    client.upload_keys(generated[1])
    service.scale, service.levels = WARM, [[0, 7], [5, 5], [3, 2], [0, 1]]
    service.polls_before_end = 0
    labels = client.predict("toy", [RECORD] * 3, generated[0])
    sums = np.array([label.scores for label in labels])
    odds = np.exp(sums / 8.0)
    expected = odds / odds.sum(axis=1, keepdims=True)
    assert np.allclose([label.probabilities for label in labels], expected)
    assert [label.confidence for label in labels] == pytest.approx(expected.max(axis=1))
    service.scale = SCALE
    (label,) = client.predict("toy", RECORD, generated[0])
    assert (label.probabilities, label.confidence) == (None, None)


@pytest.mark.parametrize(
    ("announced", "given"), [(None, SCALE), (SCALE, None), (SCALE, WARM), (WARM, SCALE), (WARM, COLD)]
)
def test_a_result_on_another_scale_than_announced_is_refused(
    client: Client,
    service: FakeService,
    generated: tuple[Any, bytes],
    announced: ScoreScale | None,
    given: ScoreScale | None,
) -> None:
    client.upload_keys(generated[1])
    service.scale = announced
    job = client.submit("toy", RECORD, generated[0])
    asked = len(service.requests)
    frame = encrypted_result(generated[0], np.array([[1, 0] if given else [1]]), MODEL_DIGEST, given)
    service.scale = given  # what the server says now does not matter
    with pytest.raises(DecryptionFailed, match=r"^scores: the result of .* was announced with"):
        job.decrypt(frame, generated[0], service.schema)
    assert len(service.requests) == asked
    # A job that is made of its id alone can only ask now.
    label = client.job(job.id).decrypt(frame, generated[0], service.schema)[0]
    assert label.scores == (None if given is None else (-30, -40))


def many_classes(schema: InputSchema, count: int) -> InputSchema:
    return schema.model_copy(update={"classes": tuple(f"class {index}" for index in range(count))})


def test_a_label_of_many_classes_is_read_from_its_digits(
    client: Client, service: FakeService, generated: tuple[Any, bytes]
) -> None:
    client.upload_keys(generated[1])
    service.schema, service.labels = many_classes(service.schema, 5), [4, 3, 0]
    assert [label.index for label in client.predict("toy", [RECORD] * 3, generated[0])] == [4, 3, 0]


@pytest.mark.parametrize(
    ("classes", "values", "scale"),
    [
        (2, [[2]], None),
        (2, [[-1]], None),
        (2, [[0, 1]], None),
        (5, [[1]], None),
        (5, [[1, 0, 1]], None),  # class 5 of 0..4
        (5, [[0, 0, 0, 0, 0]], None),
        (2, [[0, 8]], SCALE),
        (2, [[0, -1]], SCALE),
        (2, [[1]], SCALE),
        (2, [[1, 1, 1]], SCALE),
        (5, [[1, 0, 1]], SCALE),
    ],
)
def test_what_decrypts_to_no_prediction_is_refused(
    client: Client,
    service: FakeService,
    generated: tuple[Any, bytes],
    classes: int,
    values: list[list[int]],
    scale: ScoreScale | None,
) -> None:
    client.upload_keys(generated[1])
    service.scale = scale
    job = client.submit("toy", RECORD, generated[0])
    frame = encrypted_result(generated[0], np.array(values) % 1024, MODEL_DIGEST, scale)
    with pytest.raises(DecryptionFailed):
        job.decrypt(frame, generated[0], many_classes(service.schema, classes))

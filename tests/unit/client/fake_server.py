"""A small real HTTP server that speaks the contract, with canned answers.

The test gives it the labels to answer with and the client's secret keys, so that its results decrypt; a real server
has neither.
"""

from __future__ import annotations

import json
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np

from epaas_shared.digest import digest_bytes
from epaas_shared.errors import EpaasError, EvaluationKeysNotFound, ModelNotFound, PredictionNotFound
from epaas_shared.frame import RecordHeader, ResultHeader, decode_frame, encode_frame
from epaas_shared.profile import default_profile
from epaas_shared.protocol import PROBLEM_MEDIA_TYPE, Problem
from epaas_shared.schema import InputSchema
from epaas_shared.scores import ScoreScale

MODEL_DIGEST = "d" * 64
NOW = datetime(2030, 1, 1, tzinfo=UTC).isoformat()


@dataclass
class Answer:
    status: int
    body: bytes
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


Responder = Callable[[Request], Answer]


def problem(error: EpaasError) -> Answer:
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    return Answer(error.status, Problem.of(error).model_dump_json().encode(), PROBLEM_MEDIA_TYPE, headers)


def document(value: Any, status: int = 200) -> Answer:
    return Answer(status, json.dumps(value).encode())


@contextmanager
def serving(responder: Responder, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """The address of a server that answers with ``responder`` until the block ends, by https with ``tls``."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("Content-Length", 0))
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = responder(Request(self.command, parts.path, query, headers, self.rfile.read(length)))
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _answer  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            if not isinstance(sys.exception(), OSError):  # clients may break off
                super().handle_error(request, client_address)

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class FakeService:
    """The resources of the contract. ``labels`` are the class indices that it answers with, record after record.

    With ``scale``, the answers are ``levels`` on it, one a class.
    """

    schema: InputSchema
    secret_keys: Any = None
    labels: list[int] = field(default_factory=list)
    levels: list[list[int]] = field(default_factory=list)
    scale: ScoreScale | None = None
    final_state: str = "succeeded"
    polls_before_end: int = 1
    model_profile: str = ""
    report: Any = field(default_factory=lambda: {"title": "a report"})
    requests: list[Request] = field(default_factory=list)
    uploaded: dict[str, bytes] = field(default_factory=dict)
    predictions: dict[str, dict[str, Any]] = field(default_factory=dict)
    first_record: dict[str, int] = field(default_factory=dict)
    polls: dict[str, int] = field(default_factory=dict)

    def __call__(self, request: Request) -> Answer:
        self.requests.append(request)
        _, _, kind, *rest = request.path.split("/")
        try:
            if kind == "models":
                return self._models(rest)
            if kind == "schemas":
                return document(self.schema.model_dump(mode="json"))
            if kind == "evaluation-keys":
                return self._keys(request, rest[0])
            return self._predictions(request, rest)
        except EpaasError as error:
            return problem(error)

    def _models(self, rest: list[str]) -> Answer:
        if not rest:
            return document({"models": [self.model]})
        if rest[0] != "toy":
            raise ModelNotFound(f"there is no model {rest[0]!r}")
        return document(self.report if rest[-1] == "report" else self.model)

    @property
    def model(self) -> dict[str, Any]:
        return {
            "name": "toy",
            "version": 3,
            "title": "A toy\x1b[31m",
            "digest": MODEL_DIGEST,
            "task": self.schema.name,
            "input_schema": self.schema.digest,
            "profile": self.model_profile or default_profile().digest,
            "profile_name": default_profile().name,
            "security_bits": 128,
            "log2_p_error": -64,
            "output": "scores" if self.scale else "label",
            "scores": self.scale.model_dump() if self.scale else None,
            "cost": {"bootstraps": 20, "seconds": 1.5},
            "published_at": NOW,
        }

    def _keys(self, request: Request, digest: str) -> Answer:
        if request.method == "PUT":
            assert digest_bytes(request.body) == digest
            self.uploaded[digest] = request.body
        if digest not in self.uploaded:
            raise EvaluationKeysNotFound("there are no such keys")
        if request.method == "DELETE":
            del self.uploaded[digest]
            return Answer(204, b"")
        size = len(self.uploaded[digest])
        keys = {
            "digest": digest,
            "profile": default_profile().digest,
            "state": "ready",
            "bytes": size,
            "uploaded_at": NOW,
        }
        return document(keys, 201 if request.method == "PUT" else 200)

    def _predictions(self, request: Request, rest: list[str]) -> Answer:
        if not rest:
            return self._create(request)
        if rest[0] not in self.predictions:
            raise PredictionNotFound("there is no such prediction")
        prediction = self.predictions[rest[0]]
        if request.method == "DELETE":
            del self.predictions[rest[0]]
            return Answer(204, b"")
        if rest[1:] == ["cancel"]:
            prediction |= {"state": "cancelled"}
        elif rest[1:] == ["result"]:
            return Answer(200, self._result(prediction), "application/vnd.epaas.result")
        else:
            self.polls[rest[0]] = self.polls.get(rest[0], 0) + 1
            if self.polls[rest[0]] > self.polls_before_end and prediction["state"] == "queued":
                total = prediction["progress"]["total"]
                prediction |= {"state": self.final_state, "progress": {"done": total, "total": total}}
                prediction |= {"evaluation_seconds": 2.0, "threads": 2}
                if self.final_state == "failed":
                    prediction["problem"] = Problem.of(EpaasError("the machine caught fire")).model_dump(mode="json")
        return document(prediction)

    def _create(self, request: Request) -> Answer:
        header, _ = decode_frame(request.body, RecordHeader)
        if header.evaluation_keys not in self.uploaded:
            raise EvaluationKeysNotFound("there are no such keys")
        job_id = f"job-{len(self.predictions) + 1}"
        self.first_record[job_id] = sum(prediction["records"] for prediction in self.predictions.values())
        self.predictions[job_id] = {
            "id": job_id,
            "state": "queued",
            "model": request.query["model"],
            "version": 3,
            "model_digest": MODEL_DIGEST,
            "evaluation_keys": header.evaluation_keys,
            "records": header.records,
            "progress": {"done": 0, "total": 20 * header.records},
            "created_at": NOW,
        }
        return document(self.predictions[job_id], 202)

    def _result(self, prediction: dict[str, Any]) -> bytes:
        first = self.first_record[prediction["id"]]
        digits = range((len(self.schema.classes) - 1).bit_length())
        answers = self.levels if self.scale else [[label >> digit & 1 for digit in digits] for label in self.labels]
        values = np.array(answers[first : first + prediction["records"]], dtype=np.int64)
        return encrypted_result(self.secret_keys, values, MODEL_DIGEST, self.scale)


def encrypted_result(
    secret_keys: Any, values: np.ndarray[Any, Any], model: str, scale: ScoreScale | None = None
) -> bytes:
    """A result frame of full ciphertexts of ``values`` (records, values), as the client's own keys make them."""
    from concrete import compiler

    from epaas_client.crypto import _payload

    circuit = secret_keys._circuit(values.size, compressed=False)
    value = circuit.prepare_input(compiler.Value(values.astype(np.int64).reshape(-1)), 0).serialize()
    payload = _payload(value, values.size * secret_keys.profile.ciphertext_words)
    header = ResultHeader(
        payload_bytes=len(payload),
        profile=secret_keys.profile.digest,
        evaluation_keys=secret_keys.evaluation_keys,
        model=model,
        records=len(values),
        values=values.shape[1],
        scores=scale,
    )
    return encode_frame(header, payload)

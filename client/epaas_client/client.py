"""The client of one server: models, evaluation keys, and predictions asked for.

    with Client("http://127.0.0.1:8000") as client:
        client.upload_keys(evaluation_keys)
        client.predict("breast-cancer", record, secret_keys)

Records are checked and encrypted here before anything is sent. The client takes no parameters from the server: it
refuses a model whose parameter set it does not ship. This module knows neither folders nor terminals.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from pydantic import ValidationError

from epaas_client.evaluation_keys import prepare_upload
from epaas_client.job import Announced, Job, Label
from epaas_client.keystore import StoredKeys
from epaas_client.transport import Transport, UploadProgress, WaitNotice
from epaas_shared.errors import (
    DigestMismatch,
    EvaluationKeysNotFound,
    InvalidEvaluationKeys,
    InvalidInput,
    InvalidRecord,
    KeyMismatch,
    Unavailable,
)
from epaas_shared.profile import profile_by_digest
from epaas_shared.protocol import (
    EVALUATION_KEYS_MEDIA_TYPE,
    IDEMPOTENCY_HEADER,
    RECORD_MEDIA_TYPE,
    EvaluationKeys,
    KeysState,
    ModelList,
    ModelVersion,
    Prediction,
)
from epaas_shared.schema import InputSchema, shipped_schemas

if TYPE_CHECKING:
    from epaas_client.crypto import SecretKeys

Record = Mapping[str, Any]

RECORDS_PER_JOB = 16
_KEYS_POLL_SECONDS = 0.5


class Client:
    """A connection to an EPAAS server; a context manager.

    ``token`` is for servers that ask for one (:func:`epaas_client.read_token` reads it from a file); it is refused for
    plain http to another machine, unless ``token_over_http``. ``ca_file`` has the certificates of the authorities to
    trust, in place of the system's. ``timeout`` is in seconds, for one answer of the server. A request that the server
    asks to repeat later is repeated within a minute; ``on_wait`` is called before each such wait.
    """

    def __init__(
        self,
        server_url: str = "http://127.0.0.1:8000",
        *,
        token: str | None = None,
        token_over_http: bool = False,
        ca_file: Path | str | None = None,
        timeout: float = 30.0,
        on_wait: WaitNotice | None = None,
    ) -> None:
        self._transport = Transport(
            server_url,
            token=token,
            token_over_http=token_over_http,
            ca_file=ca_file,
            timeout=timeout,
            on_wait=on_wait,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Client {self.server}>"

    @property
    def server(self) -> str:
        """The address of the server."""
        return self._transport.server

    def close(self) -> None:
        self._transport.close()

    # Models

    def models(self) -> list[ModelVersion]:
        """The stable version of each model on offer."""
        return self._transport.document(ModelList, "GET", "/v1/models").models

    def model(self, name: str, version: int | None = None) -> ModelVersion:
        """One version of a model; the stable one without ``version``."""
        return self._transport.document(ModelVersion, "GET", _model_path(name, version))

    def report(self, name: str, version: int | None = None) -> Any:
        """The reliability report of a model, a JSON document."""
        return self._transport.json(self._report_path(name, version))

    def report_page(self, name: str, version: int | None = None) -> str:
        """The address of the page of the same report, for people."""
        return f"{self.server}{self._report_path(name, version)}.html"

    def _report_path(self, name: str, version: int | None) -> str:
        return f"{_model_path(name, self.model(name).version if version is None else version)}/report"

    def schema(self, digest: str) -> InputSchema:
        """The input schema of this digest: the one shipped here, or else the server's, which must have that digest."""
        for shipped in shipped_schemas().values():
            if shipped.digest == digest:
                return shipped
        document = self._transport.json(f"/v1/schemas/{quote(digest, safe='')}")
        try:
            schema = InputSchema.model_validate(document)
        except ValidationError as invalid:
            raise DigestMismatch(f"the server's input schema is none: {invalid.errors()[0]['msg']}") from None
        if schema.digest != digest:
            raise DigestMismatch(f"the server's input schema has the digest {schema.digest[:12]}…, not {digest[:12]}…")
        return schema

    # Evaluation keys

    def upload_keys(
        self, keys: bytes | Path | str | StoredKeys, progress: UploadProgress | None = None
    ) -> EvaluationKeys:
        """Make sure that the server has these evaluation keys; they are sent only if it does not.

        ``keys`` is the frame that :func:`generate_keys` gave, a file of it, or a key set of the keystore.
        """
        digest, upload = prepare_upload(keys, progress)
        try:
            return self.keys_status(digest)
        except EvaluationKeysNotFound:
            headers = {"Content-Type": EVALUATION_KEYS_MEDIA_TYPE}
            return self._transport.document(EvaluationKeys, "PUT", _keys_path(digest), headers=headers, body=upload)

    def keys_status(self, digest: str) -> EvaluationKeys:
        """What the server knows of these evaluation keys. Raises :class:`EvaluationKeysNotFound`."""
        return self._transport.document(EvaluationKeys, "GET", _keys_path(digest))

    def wait_for_keys(
        self, digest: str, timeout: float | None = None, on_state: Callable[[EvaluationKeys], None] | None = None
    ) -> EvaluationKeys:
        """Wait until the server has tried the keys. Raises what is wrong with them, if it rejects them."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            keys = self.keys_status(digest)
            if on_state:
                on_state(keys)
            if keys.state is KeysState.READY:
                return keys
            if keys.state is KeysState.REJECTED:
                raise keys.problem.error() if keys.problem else InvalidEvaluationKeys("the server rejects these keys")
            if deadline is not None and time.monotonic() > deadline:
                raise Unavailable("the server is still checking the evaluation keys", hint="try again in a minute")
            time.sleep(_KEYS_POLL_SECONDS)

    def delete_keys(self, digest: str) -> None:
        """Remove evaluation keys from the server."""
        self._transport.request("DELETE", _keys_path(digest))

    # Predictions

    def encrypt(self, model: ModelVersion, records: Record | Sequence[Record], secret_keys: SecretKeys) -> bytes:
        """The frame of encrypted records that :meth:`send` sends. Nothing leaves this machine here.

        Raises :class:`InvalidRecord` naming the column and :class:`ProfileMismatch` or :class:`KeyMismatch` for a model
        that does not go with this release or these keys.
        """
        check_compatible(model, secret_keys)
        rows = [records] if isinstance(records, Mapping) else list(records)
        if not rows:
            raise InvalidRecord("there are no records")
        if len(rows) > RECORDS_PER_JOB:
            raise InvalidInput(
                f"{len(rows)} records are too many for one prediction", hint=f"send {RECORDS_PER_JOB} or use submit_all"
            )
        schema = self.schema(model.input_schema)
        return secret_keys.encrypt_records(schema.encode(rows), schema)

    def send(self, model: ModelVersion, frame: bytes, *, idempotency_key: str | None = None) -> Job:
        """Ask for a prediction of encrypted records. The same ``idempotency_key`` gives the same job."""
        prediction = self._transport.document(
            Prediction,
            "POST",
            "/v1/predictions",
            params={"model": model.name, "version": model.version},
            headers={"Content-Type": RECORD_MEDIA_TYPE, IDEMPOTENCY_HEADER: idempotency_key or str(uuid.uuid4())},
            body=frame,
        )
        return Job(self._transport, self, prediction, model)

    def submit(
        self,
        model: str | ModelVersion,
        records: Record | Sequence[Record],
        secret_keys: SecretKeys,
        *,
        version: int | None = None,
        idempotency_key: str | None = None,
    ) -> Job:
        """Encrypt one record, or up to 16, and ask for their prediction. Returns at once; the client may go offline."""
        found = self._version(model, version)
        return self.send(found, self.encrypt(found, records, secret_keys), idempotency_key=idempotency_key)

    def submit_all(
        self,
        model: str | ModelVersion,
        records: Sequence[Record],
        secret_keys: SecretKeys,
        *,
        version: int | None = None,
    ) -> list[Job]:
        """Ask for the prediction of any number of records, all by one version of the model, in as few jobs as fit.

        All records are checked before the first is sent.
        """
        found = self._version(model, version)
        self.schema(found.input_schema).encode(records)
        return [self.submit(found, part, secret_keys) for part in batches(records)]

    def job(self, job_id: str, announced: Announced | None = None) -> Job:
        """A prediction asked for earlier, by its id; ``announced`` is what its result is held against."""
        path = f"/v1/predictions/{quote(job_id, safe='')}"
        return Job(self._transport, self, self._transport.document(Prediction, "GET", path), announced)

    def predict(
        self, model: str | ModelVersion, records: Record | Sequence[Record], secret_keys: SecretKeys
    ) -> list[Label]:
        """Submit, wait and decrypt: one label a record. The server must have the keys (:meth:`upload_keys`)."""
        rows = [records] if isinstance(records, Mapping) else list(records)
        found = self._version(model, None)
        schema = self.schema(found.input_schema)
        jobs = self.submit_all(found, rows, secret_keys)
        for job in jobs:
            job.wait()
        return [label for job in jobs for label in job.result(secret_keys, schema)]

    def _version(self, model: str | ModelVersion, version: int | None) -> ModelVersion:
        return self.model(model, version) if isinstance(model, str) else model


def batches(records: Sequence[Record]) -> Iterator[list[Record]]:
    """The records in order, in parts of at most :data:`RECORDS_PER_JOB`."""
    left = iter(records)
    while part := list(islice(left, RECORDS_PER_JOB)):
        yield part


def check_compatible(model: ModelVersion, keys: SecretKeys | StoredKeys) -> None:
    """Refuse a model under parameters that this release does not ship, and keys made under others than the model's."""
    profile = profile_by_digest(model.profile)
    own = keys.profile if isinstance(keys, StoredKeys) else keys.profile.digest
    if own != model.profile:
        raise KeyMismatch(
            f"the keys were made under other parameters than {profile.name}, which model {model.name} uses",
            field="profile",
            hint="generate new keys with `epaas keys generate`",
        )


def _model_path(name: str, version: int | None) -> str:
    path = f"/v1/models/{quote(name, safe='')}"
    return path if version is None else f"{path}/versions/{version}"


def _keys_path(digest: str) -> str:
    return f"/v1/evaluation-keys/{quote(digest, safe='')}"

"""The one error tree, shared by client, server and training.

    EpaasError
    ├── InvalidInput                 what the caller sent cannot be used
    │   ├── InvalidRequest           the HTTP request or command line is malformed
    │   ├── InvalidRecord            a record does not fit the task's input schema
    │   ├── InvalidCiphertext        an encrypted record or result is damaged or of another shape
    │   ├── InvalidEvaluationKeys    evaluation keys are damaged or fail their trial run
    │   ├── InvalidBundle            a model bundle does not fit its digests, schema or profile
    │   │   └── BundleFallsShort     its report does not reach what the operator requires of its task
    │   ├── InvalidTable             a data set, or what its provider says of it, cannot be used; it lists every fault
    │   ├── DigestMismatch           bytes do not have the digest that they were announced with
    │   ├── ProfileMismatch          a parameter set that this side does not ship
    │   ├── PayloadTooLarge          a body over the limit
    │   ├── BodyTooSlow              a body that does not come, or byte by byte
    │   └── EvaluationTooLarge       an evaluation that would not fit in the memory of any worker
    ├── Unauthorised                 no token, or one that the server does not know
    ├── Forbidden                    a token that is good, but not for this
    ├── NotFound
    │   ├── ModelNotFound
    │   ├── SchemaNotFound
    │   ├── EvaluationKeysNotFound
    │   ├── PredictionNotFound
    │   ├── TrainingJobNotFound      (training)
    │   ├── TaskNotFound             (training) no own task of this name
    │   ├── TokenNotFound
    │   ├── TenantNotFound
    │   └── SecretKeysNotFound       (client) no such keys in the keystore
    ├── Conflict
    │   ├── IdempotencyConflict      an idempotency key came back with another request
    │   ├── ResultNotReady           a result was asked for too early
    │   ├── PredictionCancelled      a result was asked for of a cancelled prediction
    │   ├── JobCancelled             (training) the job was cancelled before it had a bundle
    │   ├── BundleNotReady           (training) a bundle was asked for too early
    │   └── KeyMismatch              a ciphertext and evaluation keys (or secret keys) of different clients
    ├── PredictionFailed             the evaluation failed; the detail says why
    ├── DecryptionFailed             (client) a result does not decrypt to a valid prediction
    ├── ConfigurationError           a setting, an address or a file's permissions are not as they must be
    ├── WrongPassphrase              (client) the passphrase does not open the secret keys
    ├── ServerUnreachable            (client) no answer from the server
    ├── TooManyRequests              asked too often; ``retry_after`` says when it may be asked again
    │   └── QuotaExceeded            a tenant has, or wants, more than it may
    ├── StorageFull                  the server has no room; nothing was lost
    ├── Unavailable                  the server cannot do this now
    └── InternalError                a bug of the server

Every class has a stable ``code`` (the last part of its problem type), a ``title``, an HTTP ``status``, a default
``hint`` and the ``exit_code`` of the command line. :func:`error_class` rebuilds the class from a code, so that a
client raises what the server meant. This module knows neither HTTP libraries nor terminals.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal


class EpaasError(Exception):
    """Root of all errors that a user may see.

    ``detail`` says what happened, ``field`` names the offending field (a path such as ``layers[0].thresholds``),
    ``hint`` says what to do about it, ``retry_after`` after how many seconds it may be worth trying again.
    """

    code: ClassVar[str] = "error"
    title: ClassVar[str] = "Something went wrong"
    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1
    default_hint: ClassVar[str | None] = None

    def __init__(
        self, detail: str, *, field: str | None = None, hint: str | None = None, retry_after: int | None = None
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field
        self.retry_after = retry_after
        self.hint = hint if hint is not None else self.default_hint

    def __str__(self) -> str:
        return f"{self.field}: {self.detail}" if self.field else self.detail


class InvalidInput(EpaasError):
    code = "invalid-input"
    title = "The input cannot be used"
    status = 422
    exit_code = 2


class InvalidRequest(InvalidInput):
    code = "invalid-request"
    title = "The request is malformed"


class InvalidRecord(InvalidInput):
    code = "invalid-record"
    title = "A record does not fit the input schema"


class InvalidCiphertext(InvalidInput):
    code = "invalid-ciphertext"
    title = "The ciphertext is damaged or has another shape"
    default_hint = "encrypt the record again with this version of the client and send the whole file"


class InvalidEvaluationKeys(InvalidInput):
    code = "invalid-evaluation-keys"
    title = "The evaluation keys are damaged"
    default_hint = "generate new keys with `epaas keys generate` and upload them"


class InvalidBundle(InvalidInput):
    code = "invalid-bundle"
    title = "The model bundle cannot be published"


@dataclass(frozen=True)
class Shortfall:
    """One thing that a bundle's report does not reach."""

    measure: str
    """Its name in the operator's file, such as ``accuracy``."""
    required: float
    bound: Literal["at least", "at most"]
    measured: float | None = None
    """None where it was not measured."""

    def __str__(self) -> str:
        measured = "not measured" if self.measured is None else f"{self.measured:.6g}"
        return f"{self.measure} is {measured}, required {self.bound} {self.required:.6g}"


class BundleFallsShort(InvalidBundle):
    code = "bundle-falls-short"
    title = "The model bundle falls short of what its task requires"
    default_hint = "the server's operator sets what a task requires"

    def __init__(
        self,
        detail: str,
        *,
        field: str | None = None,
        hint: str | None = None,
        shortfalls: Sequence[Shortfall] = (),
    ) -> None:
        super().__init__(detail, field=field, hint=hint)
        self.shortfalls = tuple(shortfalls)


@dataclass(frozen=True)
class Fault:
    """One of several things that are wrong with something: where, what, and what to do about it."""

    field: str
    """A column, or an entry of a document such as ``columns.age.minimum``."""
    detail: str
    hint: str
    line: int | None = None
    """Of the file, from 1; the first one where there are several."""

    @property
    def what(self) -> str:
        """The detail, with the line."""
        return self.detail if self.line is None else f"line {self.line}: {self.detail}"

    def __str__(self) -> str:
        return f"{self.field}: {self.what}"


class InvalidTable(InvalidInput):
    """``faults`` are all that were found, where several were."""

    code = "invalid-table"
    title = "The data set cannot be used"

    def __init__(
        self, detail: str, *, field: str | None = None, hint: str | None = None, faults: Sequence[Fault] = ()
    ) -> None:
        super().__init__(detail, field=field, hint=hint)
        self.faults = tuple(faults)


class DigestMismatch(InvalidInput):
    code = "digest-mismatch"
    title = "The bytes do not have the announced digest"
    default_hint = "the transfer was damaged or the wrong file was sent; send it again"


class ProfileMismatch(InvalidInput):
    code = "profile-mismatch"
    title = "The parameter set is not one that is shipped here"
    default_hint = "use the same release of epaas on both sides"


class PayloadTooLarge(InvalidInput):
    code = "payload-too-large"
    title = "The body is too large"
    status = 413


class BodyTooSlow(InvalidInput):
    code = "body-too-slow"
    title = "The body takes too long to come"
    status = 408
    default_hint = "send it again; over a slow line it may take minutes, but it has to go on coming"


class EvaluationTooLarge(InvalidInput):
    code = "evaluation-too-large"
    title = "The evaluation would not fit in memory"
    default_hint = "send fewer records at a time, or ask the operator for workers with more memory"


class Unauthorised(EpaasError):
    code = "unauthorised"
    title = "This needs a token"
    status = 401
    exit_code = 4
    default_hint = (
        "send `Authorization: Bearer TOKEN`; the server's operator makes one with `epaas-server token create`"
    )


class Forbidden(EpaasError):
    code = "forbidden"
    title = "The token does not allow this"
    status = 403
    exit_code = 4
    default_hint = "ask the server's operator for a token of another scope"


class NotFound(EpaasError):
    code = "not-found"
    title = "There is no such thing"
    status = 404
    exit_code = 5


class ModelNotFound(NotFound):
    code = "model-not-found"
    title = "There is no such model"
    default_hint = "`epaas models list` shows what the server offers"


class SchemaNotFound(NotFound):
    code = "schema-not-found"
    title = "There is no such input schema"


class EvaluationKeysNotFound(NotFound):
    code = "evaluation-keys-not-found"
    title = "The server does not have these evaluation keys"
    default_hint = "upload them with `epaas keys upload`"


class PredictionNotFound(NotFound):
    code = "prediction-not-found"
    title = "There is no such prediction"
    default_hint = "`epaas jobs list` shows the predictions that this machine asked for"


class TrainingJobNotFound(NotFound):
    code = "training-job-not-found"
    title = "There is no such training job"


class TaskNotFound(NotFound):
    code = "task-not-found"
    title = "There is no such task"


class TokenNotFound(NotFound):
    code = "token-not-found"
    title = "There is no such token"
    default_hint = "`epaas-server token list` shows them"


class TenantNotFound(NotFound):
    code = "tenant-not-found"
    title = "There is no such tenant"
    default_hint = "`epaas-server tenant list` shows them, `epaas-server tenant create NAME` makes one"


class SecretKeysNotFound(NotFound):
    code = "secret-keys-not-found"
    title = "There are no such secret keys on this machine"
    default_hint = "`epaas keys list` shows what there is; `epaas keys generate` makes new ones"


class Conflict(EpaasError):
    code = "conflict"
    title = "The request does not fit the present state"
    status = 409
    exit_code = 5


class IdempotencyConflict(Conflict):
    code = "idempotency-conflict"
    title = "The idempotency key was used for another request"
    default_hint = "use a fresh idempotency key for a new prediction"


class ResultNotReady(Conflict):
    code = "result-not-ready"
    title = "The prediction has not finished"
    default_hint = "wait for it with `epaas jobs watch ID`, or ask with `Prefer: wait=20`"


class PredictionCancelled(Conflict):
    code = "prediction-cancelled"
    title = "The prediction was cancelled"
    exit_code = 6


class JobCancelled(Conflict):
    code = "training-job-cancelled"
    title = "The training job was cancelled"
    exit_code = 6


class BundleNotReady(Conflict):
    code = "bundle-not-ready"
    title = "The training job has no bundle yet"


class KeyMismatch(Conflict):
    code = "key-mismatch"
    title = "The ciphertext and the keys do not belong together"
    status = 422
    default_hint = "use the keys that the record was encrypted with; `epaas keys list` shows them"


class PredictionFailed(EpaasError):
    code = "prediction-failed"
    title = "The prediction failed"
    status = 409
    exit_code = 6


class DecryptionFailed(EpaasError):
    code = "decryption-failed"
    title = "The result does not decrypt to a prediction"
    exit_code = 6
    default_hint = "the result was damaged, or made with other keys; ask again only a server that you trust"


class ConfigurationError(EpaasError):
    code = "configuration"
    title = "This side is not set up for this"
    status = 400
    exit_code = 3


class WrongPassphrase(EpaasError):
    code = "wrong-passphrase"
    title = "The passphrase does not open these secret keys"
    status = 401
    exit_code = 4


class ServerUnreachable(EpaasError):
    code = "server-unreachable"
    title = "The server does not answer"
    status = 503
    exit_code = 7
    default_hint = "check the address (--server or EPAAS_URL) and that `epaas-server serve` is running"


class TooManyRequests(EpaasError):
    code = "too-many-requests"
    title = "Too many requests"
    status = 429
    exit_code = 7
    default_hint = "wait as long as Retry-After says"


class QuotaExceeded(TooManyRequests):
    code = "quota-exceeded"
    title = "The tenant has used up what it may"
    default_hint = "the server's operator sets quotas; erase what is not needed any more"


class StorageFull(EpaasError):
    code = "storage-full"
    title = "The server has no room left"
    status = 507
    exit_code = 7
    default_hint = "try again later; nothing was lost"


class Unavailable(EpaasError):
    code = "unavailable"
    title = "The server cannot do this now"
    status = 503
    exit_code = 7


class InternalError(EpaasError):
    code = "internal-error"
    title = "The server made a mistake"
    status = 500


def _subclasses(root: type[EpaasError]) -> Iterator[type[EpaasError]]:
    yield root
    for child in root.__subclasses__():
        yield from _subclasses(child)


def error_class(code: str) -> type[EpaasError]:
    """The class whose ``code`` this is; :class:`EpaasError` itself for one that this release does not know."""
    return next((cls for cls in _subclasses(EpaasError) if cls.code == code), EpaasError)

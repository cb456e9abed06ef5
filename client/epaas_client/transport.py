"""HTTP to one server: addresses, timeouts, retries, and errors as exceptions.

The only module that imports ``httpx``. It moves documents and bytes; it knows neither keys nor records nor what the
resources mean. A request is sent again only where that is safe: the method is idempotent, or the request carries an
idempotency key.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeVar
from urllib.parse import urlsplit

import httpx
from pydantic import ValidationError

from epaas_shared import __version__
from epaas_shared.errors import (
    ConfigurationError,
    EpaasError,
    InternalError,
    PayloadTooLarge,
    ServerUnreachable,
    Unavailable,
)
from epaas_shared.protocol import IDEMPOTENCY_HEADER, PROBLEM_MEDIA_TYPE, Document, Problem

UploadProgress = Callable[[int, int], None]
"""Called with the bytes sent so far and the bytes in all."""

_CHUNK_BYTES = 1 << 18
_IDEMPOTENT = {"GET", "HEAD", "PUT", "DELETE"}
_RETRIED_STATUSES = {502, 503, 504}
_RETRIED_ERRORS = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.ReadError,
    httpx.WriteError,
    httpx.RemoteProtocolError,
)
_NOT_EPAAS_HINT = "check the address (--server or EPAAS_URL): something else may be listening there"

DocumentT = TypeVar("DocumentT", bound=Document)


@dataclass(frozen=True)
class Upload:
    """A body that can be sent more than once: ``open`` gives a fresh reader of ``size`` bytes each time."""

    open: Callable[[], BinaryIO]
    size: int
    progress: UploadProgress | None = None

    def chunks(self) -> Iterator[bytes]:
        sent = 0
        with self.open() as file:
            while chunk := file.read(_CHUNK_BYTES):
                yield chunk
                sent += len(chunk)
                if self.progress:
                    self.progress(sent, self.size)


class Transport:
    """A connection to one server. ``timeout`` is how long to wait for an answer, not for an evaluation."""

    def __init__(
        self,
        base_url: str,
        *,
        timeout: float = 30.0,
        connect_timeout: float = 5.0,
        tries: int = 3,
        backoff: float = 0.5,
    ) -> None:
        self.server = _check_address(base_url)
        self._timeout = timeout
        self._connect_timeout = connect_timeout
        self._tries = tries
        self._backoff = backoff
        agent = {"User-Agent": f"epaas-client/{__version__}"}
        self._client = httpx.Client(base_url=base_url.rstrip("/"), headers=agent, timeout=self._timeouts(timeout))

    def close(self) -> None:
        self._client.close()

    def document(self, document: type[DocumentT], method: str, path: str, **options: Any) -> DocumentT:
        """Send a request whose answer is a document of this class; the options are those of :meth:`request`."""
        response = self.request(method, path, **options)
        try:
            return document.model_validate_json(response.content)
        except ValidationError:
            raise self._foreign(response, f"where a {document.__name__} is due") from None

    def json(self, path: str) -> Any:
        """GET a JSON document that has no class."""
        response = self.request("GET", path)
        try:
            return response.json()
        except ValueError:
            raise self._foreign(response, "where JSON is due") from None

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | Upload | None = None,
        wait: float = 0.0,
    ) -> httpx.Response:
        """Send a request and return its successful answer; raise what a problem document says.

        ``wait`` is how much longer than usual the server may take, as it does for a long poll.
        """
        headers = dict(headers or {})
        if isinstance(body, Upload):
            headers["Content-Length"] = str(body.size)
        tries = self._tries if method in _IDEMPOTENT or IDEMPOTENCY_HEADER in headers else 1
        for attempt in range(1, tries + 1):
            content: bytes | Iterable[bytes] | None = body.chunks() if isinstance(body, Upload) else body
            try:
                response = self._client.request(
                    method,
                    path,
                    params=dict(params or {}),
                    headers=headers,
                    content=content,
                    timeout=self._timeouts(self._timeout + wait),
                )
            except httpx.TransportError as error:
                if attempt == tries or not isinstance(error, _RETRIED_ERRORS):
                    raise ServerUnreachable(f"no answer from {self.server}: {_reason(error)}") from error
            except httpx.HTTPError as error:
                raise Unavailable(f"the answer of {self.server} cannot be read: {_reason(error)}") from error
            else:
                if attempt == tries or response.status_code not in _RETRIED_STATUSES:
                    return self._checked(response)
            time.sleep(self._backoff * 2 ** (attempt - 1))
        raise AssertionError("the last try returns or raises")

    def _timeouts(self, seconds: float) -> httpx.Timeout:
        return httpx.Timeout(seconds, connect=self._connect_timeout)

    def _checked(self, response: httpx.Response) -> httpx.Response:
        if response.is_success:
            return response
        if response.headers.get("content-type", "").split(";")[0].strip() == PROBLEM_MEDIA_TYPE:
            try:
                problem = Problem.model_validate_json(response.content)
            except ValidationError:
                pass
            else:
                raise problem.error()
        raise self._foreign(response, "without a problem document")

    def _foreign(self, response: httpx.Response, what: str) -> EpaasError:
        """The error for an answer that is not in the words of the contract."""
        status = response.status_code
        detail = f"{self.server} answered {status} {response.reason_phrase}".rstrip() + f" {what}"
        if status == 413:
            return PayloadTooLarge(detail, hint="a proxy before the server limits the size of a body")
        if status == 429 or status in _RETRIED_STATUSES:
            return Unavailable(detail, hint="try again in a minute")
        if status >= 500:
            return InternalError(detail, hint="the log of the server says more")
        return Unavailable(detail, hint=_NOT_EPAAS_HINT)


def _check_address(url: str) -> str:
    """The address as it may be shown and logged: without a user name or password."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not host:
        raise ConfigurationError(
            "the server address is no http or https URL", hint="give one such as http://127.0.0.1:8000"
        )
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}{f':{port}' if port else ''}{parts.path.rstrip('/')}"


def _reason(error: Exception) -> str:
    return str(error).lower() or type(error).__name__

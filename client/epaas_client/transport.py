"""HTTP to one server: connections, timeouts, waiting and trying again, and errors as exceptions.

The only module that imports ``httpx``. It moves documents and bytes; it knows neither keys nor records nor what the
resources mean. A request is sent again only where that is safe: the method is idempotent, or the request carries an
idempotency key. A token goes to the one server and nowhere else: redirects are not followed.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import httpx
from pydantic import ValidationError

from epaas_client.address import parse_address
from epaas_client.answers import RETRIED_STATUSES, Answer, error_of, foreign
from epaas_client.token import check_token
from epaas_shared import __version__
from epaas_shared.errors import ConfigurationError, EpaasError, ServerUnreachable, Unavailable
from epaas_shared.protocol import IDEMPOTENCY_HEADER, Document
from epaas_shared.quantities import size

UploadProgress = Callable[[int, int], None]
"""Called with the bytes sent so far and the bytes in all."""
WaitNotice = Callable[[int, EpaasError], None]
"""Called before a wait that the server asked for, with its seconds and why."""

PATIENCE_SECONDS = 60.0
"""How long a request waits in all where the server says when to ask again."""
MAX_DOCUMENT_BYTES = 16_000_000
"""The largest document that is read; reports, the largest there are, take a tenth of a megabyte."""
_CHUNK_BYTES = 1 << 18
_IDEMPOTENT = {"GET", "HEAD", "PUT", "DELETE"}
_RETRIED_ERRORS = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.ReadError,
    httpx.WriteError,
    httpx.RemoteProtocolError,
)

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
    """A connection to one server. ``timeout`` is how long to wait for an answer, not for an evaluation.

    ``token`` goes out as ``Authorization: Bearer``, over plain http only to this machine unless ``token_over_http``.
    ``ca_file`` holds the certificates (PEM) of the authorities to trust, in place of the system's.
    """

    def __init__(
        self,
        base_url: str,
        *,
        token: str | None = None,
        token_over_http: bool = False,
        ca_file: Path | str | None = None,
        timeout: float = 30.0,
        connect_timeout: float = 5.0,
        tries: int = 3,
        backoff: float = 0.5,
        on_wait: WaitNotice | None = None,
    ) -> None:
        address = parse_address(base_url)
        headers = {
            "User-Agent": f"epaas-client/{__version__}",
            "Accept-Encoding": "identity",  # what is read is then as long as it is sent, and limits hold
        }
        self._with_token = token is not None
        if token is not None:
            headers["Authorization"] = f"Bearer {check_token(token)}"
            address.check_token_may_go(token_over_http)
        self.server = str(address)
        self._timeout = timeout
        self._connect_timeout = connect_timeout
        self._tries = tries
        self._backoff = backoff
        self._on_wait = on_wait
        self._client = httpx.Client(
            base_url=base_url.rstrip("/"),
            headers=headers,
            timeout=self._timeouts(timeout),
            verify=True if ca_file is None else _trusting(Path(ca_file)),
            # a proxy's loopback is another machine
            mounts={f"all://{address.host}": None} if address.on_this_machine else None,
        )

    def close(self) -> None:
        self._client.close()

    def document(self, document: type[DocumentT], method: str, path: str, **options: Any) -> DocumentT:
        """Send a request whose answer is a document of this class; the options are those of :meth:`request`."""
        answer = self.request(method, path, **options)
        try:
            return document.model_validate_json(answer.content)
        except ValidationError:
            raise foreign(answer, self.server, f"where a {document.__name__} is due") from None

    def json(self, path: str) -> Any:
        """GET a JSON document that has no class."""
        answer = self.request("GET", path)
        try:
            return answer.json()
        except (ValueError, RecursionError):
            raise foreign(answer, self.server, "where JSON is due") from None

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | Upload | None = None,
        wait: float = 0.0,
        patience: float = PATIENCE_SECONDS,
        most_bytes: int = MAX_DOCUMENT_BYTES,
    ) -> Answer:
        """Send a request and return its successful answer; raise what a problem document says.

        ``wait`` is how much longer than usual the server may take, as it does for a long poll. Where the server says
        when to ask again (``Retry-After`` with 429 or 503), that is done, within ``patience`` seconds in all.
        """
        headers = dict(headers or {})
        if isinstance(body, Upload):
            headers["Content-Length"] = str(body.size)
        repeatable = method in _IDEMPOTENT or IDEMPOTENCY_HEADER in headers
        attempt = 1
        while True:
            request = self._client.build_request(
                method,
                path,
                params=dict(params or {}),
                headers=headers,
                content=body.chunks() if isinstance(body, Upload) else body,
                timeout=self._timeouts(self._timeout + wait),
            )
            last = not repeatable or attempt >= self._tries
            try:
                answer = self._exchange(request, most_bytes)
            except ServerUnreachable as unreachable:
                if last or not isinstance(unreachable.__cause__, _RETRIED_ERRORS):
                    raise
            else:
                if answer.is_success:
                    return answer
                error = error_of(answer, self.server, with_token=self._with_token)
                # what was refused with 429 was not begun, so that it may always be asked for again
                if answer.retry_after is not None and (answer.status == 429 or (answer.status == 503 and repeatable)):
                    patience -= self._wait_as_asked(answer.retry_after, patience, error)
                    continue
                if last or answer.status not in RETRIED_STATUSES:
                    raise error
            time.sleep(self._backoff * 2 ** (attempt - 1))
            attempt += 1

    def _wait_as_asked(self, seconds: int, patience: float, error: EpaasError) -> int:
        """How long it waited, at least a second; raises the error where that is more than there is patience for."""
        seconds = max(1, seconds)
        if seconds > patience:
            raise error
        if self._on_wait:
            self._on_wait(seconds, error)
        time.sleep(seconds)
        return seconds

    def _exchange(self, request: httpx.Request, most_bytes: int) -> Answer:
        """One request and its whole answer, whatever its status.

        Raises :class:`ServerUnreachable` and :class:`Unavailable`; :class:`ConfigurationError` for a certificate that
        is not trusted.
        """
        try:
            response = self._client.send(request, stream=True)
            try:
                content = self._read(response, most_bytes)
            finally:
                response.close()
        except httpx.TransportError as error:
            _refuse_certificate(error, self.server)
            raise ServerUnreachable(f"no answer from {self.server}: {_reason(error)}") from error
        except httpx.HTTPError as error:
            raise Unavailable(f"the answer of {self.server} cannot be read: {_reason(error)}") from error
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, response.reason_phrase, headers, content)

    def _read(self, response: httpx.Response, most_bytes: int) -> bytes:
        if response.headers.get("content-encoding", "identity") != "identity":
            raise Unavailable(f"the answer of {self.server} is compressed, which was not asked for")
        too_long = Unavailable(f"the answer of {self.server} is over {size(most_bytes)}, and was not read")
        if int(response.headers.get("content-length", 0)) > most_bytes:
            raise too_long
        content = bytearray()
        for chunk in response.iter_raw():
            content += chunk
            if len(content) > most_bytes:
                raise too_long
        return bytes(content)

    def _timeouts(self, seconds: float) -> httpx.Timeout:
        return httpx.Timeout(seconds, connect=self._connect_timeout)


def _trusting(ca_file: Path) -> ssl.SSLContext:
    """What trusts the authorities in a file, and no others."""
    try:
        return ssl.create_default_context(cafile=ca_file)
    except ssl.SSLError:
        raise ConfigurationError(
            f"there is no certificate in {ca_file}", field="ca_file", hint="it must be PEM"
        ) from None
    except OSError as error:
        raise ConfigurationError(f"{ca_file} cannot be read: {error.strerror}", field="ca_file") from None


def _refuse_certificate(error: BaseException, server: str) -> None:
    """Raises :class:`ConfigurationError` where this is why there was no connection: trying again would not help."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            raise ConfigurationError(
                f"the certificate of {server} is not trusted: {cause.verify_message.lower()}",
                hint="where its authority is your own, name a file of its certificate: EPAAS_CA_FILE or --ca-file",
            ) from error
        cause = cause.__cause__ or cause.__context__  # httpcore cuts the chain of causes


def _reason(error: Exception) -> str:
    return str(error).lower() or type(error).__name__

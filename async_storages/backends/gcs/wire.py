"""Requests to GCS. `Wire` authorizes a request, sends it until the server answers, and judges the answer."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from async_storages._secrets import Hidden, hidden
from async_storages.backends.buckets.signatures import encode_query
from async_storages.backends.gcs.credentials.protocols import CredentialSource
from async_storages.backends.gcs.error_responses import ErrorResponse, TokenRefused
from async_storages.backends.transport.download_slots import DownloadSlots
from async_storages.backends.transport.http import Body, HttpClient, HttpOptions, Response
from async_storages.backends.transport.network import Network
from async_storages.backends.transport.retries import retry_after
from async_storages.errors import StorageOperationException, StorageUnavailableException

__all__ = ["JSON", "Answer", "Request", "Wire", "bucket_path", "local_target", "object_path", "upload_path"]

JSON = {"Content-Type": "application/json; charset=UTF-8"}
"""The header of JSON bodies."""


def bucket_path(bucket: str) -> str:
    """Return the path of a bucket's resource."""
    return f"/storage/v1/b/{quote(bucket, safe='')}"


def object_path(bucket: str, key: str) -> str:
    """Return the path of an object's resource."""
    return f"{bucket_path(bucket)}/o/{quote(key, safe='')}"


def upload_path(bucket: str) -> str:
    """Return the path of uploads to a bucket."""
    return f"/upload{bucket_path(bucket)}/o"


def local_target(location: str) -> str:
    """Return path and query of a URL from the server, for requests to the known address.

    Raises:
        StorageOperationException: The answer has no such URL.
    """
    try:
        found = urlsplit(location)
    except ValueError as error:
        raise StorageOperationException("GCS began an upload without giving its address") from error
    if not found.path.startswith("/"):
        raise StorageOperationException("GCS began an upload without giving its address")
    return f"{found.path}?{found.query}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request to GCS.

    Attributes:
        method: The HTTP method.
        path: The percent-encoded path. For an upload session it includes the query, which is secret.
        query: The parameters.
        headers: Headers besides the authorization.
        body: The body, made by `Wire.body`. None for methods without one.
        accepted: Statuses from 300 on that are not failures.
    """

    method: str
    path: str = field(repr=False)
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body | None = None
    accepted: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer, or one that was accepted.

    Attributes:
        status: The HTTP status.
        headers: The headers, case-insensitive.
        body: The whole body.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes


class Wire:
    """Sends requests to one server, for any number of its buckets.

    Args:
        credentials: The source of the tokens.
        origin: Scheme, host and port of the server, and the beginning of its paths.
        billed: The parameter that names the paying project. Empty for the project of the bucket.
        options: Time-outs, pool, retries.
        network: Proxy and certificates. None takes them from the options.
    """

    def __init__(
        self,
        credentials: CredentialSource,
        *,
        origin: str,
        billed: Mapping[str, str] | None = None,
        options: HttpOptions | None = None,
        network: Network | None = None,
    ) -> None:
        self.options = options or HttpOptions()
        self.origin = origin
        self.billed = billed or {}
        self._credentials = credentials
        self._http = HttpClient(self.options, network or Network(self.options))

    async def aclose(self) -> None:
        """Close the connections of the running loop."""
        await self._http.aclose()

    async def download_slots(self) -> DownloadSlots:
        """The slots of the running loop's downloads."""
        return await self._http.download_slots()

    def body(self, data: bytes) -> Body:
        """The body of one request."""
        return self._http.body(data)

    def json(self, value: Any) -> Body:
        """Return the JSON body of one request. Send it with `JSON`."""
        return self._http.body(json.dumps(value).encode())

    async def exchange(self, request: Request, *, attempts: int | None = None) -> Answer:
        """Send a request until the server answers, and read the whole answer.

        Args:
            request: The request.
            attempts: The largest number of attempts. None takes the number in the options.

        Raises:
            StorageException: The server refused the last attempt, or did not answer it.
        """

        async def attempt(headers: Mapping[str, str]) -> Answer:
            response = await self._send(request, headers)
            async with response:
                body = await self._http.read(response)
            return Answer(response.status, response.headers, body)

        return await self._authorized(request, attempt, attempts)

    async def open(self, request: Request) -> Response:
        """Send a request until the server answers. The caller reads and closes the answer.

        Raises:
            StorageException: As for `exchange`.
        """
        return await self._authorized(request, lambda headers: self._send(request, headers))

    async def _authorized[Result](
        self, request: Request, attempt: Callable[[Mapping[str, str]], Awaitable[Result]], attempts: int | None = None
    ) -> Result:
        """Send a request with these headers until the server answers. Try once more if the token is refused."""

        async def run(token: str | None) -> Result:
            authorization = {} if token is None else {"Authorization": Hidden(f"Bearer {token}")}
            headers = {**request.headers, **authorization}
            return await self.options.retries.run(lambda: attempt(headers), attempts)

        token = hidden(await self._credentials.token())
        try:
            return await run(token)
        except TokenRefused:  # revoked, or expired by the server's clock
            renewed = hidden(await self._credentials.token(token))
            if renewed == token:
                raise
        return await run(renewed)

    async def _send(self, request: Request, headers: Mapping[str, str]) -> Response:
        asked = {} if "?" in request.path else {**request.query, **self.billed}  # a session knows its paying project
        query = f"?{encode_query(asked)}" if asked else ""
        response = await self._http.send(request.method, f"{self.origin}{request.path}{query}", headers, request.body)
        if response.status < 300 or response.status in request.accepted:
            return response
        async with response:
            body = await self._http.read(response, is_error=True)
            failure = ErrorResponse.of(response.status, body)
            del body  # it may quote the token, and tracebacks show variables
        error = failure.error()
        if isinstance(error, StorageUnavailableException):
            error.retry_after = retry_after(response.headers)
        raise error

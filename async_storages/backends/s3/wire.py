"""Requests to S3. `Wire` addresses and signs a request, sends it until the server answers, and judges the answer."""

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from async_storages.backends.s3 import checksums
from async_storages.backends.s3.checksum_headers import ChecksumHeaders, Checksums
from async_storages.backends.s3.credentials import CredentialSource
from async_storages.backends.s3.endpoint import AddressingStyle, Endpoint, endpoint_of_environment
from async_storages.backends.s3.error_responses import ErrorResponse, is_failure, is_web_page
from async_storages.backends.s3.object_options import copy_source_headers, customer_headers
from async_storages.backends.s3.sigv4 import EMPTY_SHA256, UNSIGNED_PAYLOAD, Signer, encode_query
from async_storages.backends.transport.download_slots import DownloadSlots
from async_storages.backends.transport.http import Body, HttpClient, HttpOptions, Response, Sent
from async_storages.backends.transport.network import Network
from async_storages.errors import (
    InvalidArgumentException,
    StorageException,
    StorageOperationException,
    StorageUnavailableException,
)
from async_storages.upload_options import CustomerKey

__all__ = ["Answer", "Request", "Wire"]

_HASHED = 1 << 20
"""The largest body in bytes that is hashed for the signature even with TLS. The hash costs under 1 ms."""

_TOLERATED_SKEW = timedelta(minutes=4)
"""A larger difference of the clocks may be the reason of a refused signature. S3 allows 15 minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request to S3.

    Attributes:
        method: The HTTP method.
        bucket: The bucket.
        key: The key of the object. None for the bucket itself.
        query: The parameters. Flags such as ``uploads`` are empty.
        headers: The headers that are signed.
        body: The body, made by `Wire.body`. None for methods without one.
        customer_key: The customer's key that encrypts the object. None for the server's key.
        source_key: The customer's key that encrypts the source of a copy. None for the server's key.
        can_fail_late: True if the body of a 200 may report a failure.
    """

    method: str
    bucket: str
    key: str | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body | None = None
    customer_key: CustomerKey | None = None
    source_key: CustomerKey | None = None
    can_fail_late: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer.

    Attributes:
        headers: The headers, case-insensitive.
        body: The whole body.
    """

    headers: Mapping[str, str] = field(repr=False)
    body: bytes


class Wire:
    """Sends requests to one S3 server, for any number of its buckets.

    It learns the regions of buckets and the server's time from the answers.

    Args:
        credentials: The source of the access key.
        endpoint_url: The server: see `Endpoint.for_bucket`. None takes the server in the environment, in the
            credentials' profile, or else AWS.
        region_name: The region. None takes the region of the credentials, or else ``"us-east-1"``.
        addressing_style: ``"auto"``, ``"path"`` or ``"virtual"``.
        use_ssl: True uses https, False http, for an `endpoint_url` without a scheme.
        payer: The header that names the payer of requests. Empty for the bucket's owner.
        options: Time-outs, pool, retries.
        checksums: The rule for checksum headers: see `Checksums`.
    """

    def __init__(
        self,
        credentials: CredentialSource,
        *,
        endpoint_url: str | None = None,
        region_name: str | None = None,
        addressing_style: AddressingStyle = "auto",
        use_ssl: bool = True,
        payer: Mapping[str, str] | None = None,
        options: HttpOptions | None = None,
        checksums: Checksums = "auto",
    ) -> None:
        self.options = options or HttpOptions()
        self.payer = payer or {}
        self._credentials = credentials
        self._endpoint_url = endpoint_url or endpoint_of_environment(os.environ)
        self._region_name = region_name
        self._addressing_style: AddressingStyle = addressing_style
        self._use_ssl = use_ssl
        self._http = HttpClient(self.options, Network(self.options, "AWS_CA_BUNDLE"))
        self._regions: dict[str, str] = {}
        self._endpoints: dict[tuple[str, str | None, str | None], Endpoint] = {}
        self._signer: Signer | None = None
        self._skew = timedelta()
        self._checksums = ChecksumHeaders(checksums)

    # ---- addresses and signatures, without I/O

    def endpoint(self, bucket: str, *, endpoint_url: str | None = None) -> Endpoint:
        """Return the address of a bucket, as far as it is known, on the given server if there is one."""
        region = self._regions.get(bucket) or self._region_name or self._credentials.region
        return self._endpoint(bucket, region, endpoint_url or self._endpoint_url or self._credentials.endpoint_url)

    def said_endpoint(self, bucket: str) -> Endpoint:
        """Return the address of a bucket from the configuration alone. No region, profile or answer changes it."""
        return self._endpoint(bucket, self._region_name, self._endpoint_url)

    def _endpoint(self, bucket: str, region: str | None, endpoint_url: str | None) -> Endpoint:
        asked = (bucket, region, endpoint_url)
        if asked not in self._endpoints:
            self._endpoints[asked] = Endpoint.for_bucket(
                bucket,
                region_name=region,
                endpoint_url=endpoint_url,
                addressing_style=self._addressing_style,
                use_ssl=self._use_ssl,
            )
        return self._endpoints[asked]

    @property
    def now(self) -> datetime:
        """Return the time by the server's clock, as far as it is known."""
        return _local_time() + self._skew

    def signer(self, region: str) -> Signer:
        """Return the signer for a region, with the current credentials.

        Raises:
            InvalidArgumentException: The credentials are not known yet. `prepare` finds them.
        """
        credentials = self._credentials.at_hand()
        if self._signer is None or (self._signer.credentials, self._signer.region) != (credentials, region):
            self._signer = Signer(credentials, region)
        return self._signer

    async def prepare(self) -> None:
        """Find the credentials, or renew them before they expire."""
        await self._credentials.resolve()

    async def aclose(self) -> None:
        """Close the connections of the running loop."""
        await self._http.aclose()

    @property
    def reads_checksums(self) -> bool:
        """True if the server is known to return stored checksums, or must do so."""
        return self._checksums.are_read

    # ---- sending

    async def download_slots(self) -> DownloadSlots:
        """The slots of the running loop's downloads."""
        return await self._http.download_slots()

    def body(self, data: bytes | Sequence[bytes]) -> Body:
        """The body of one request. The bytes are in one piece or in many."""
        return self._http.body(data)

    async def exchange(self, request: Request, *, attempts: int | None = None) -> Answer:
        """Send a request until the server answers, and read the whole answer.

        Args:
            request: The request.
            attempts: The largest number of attempts. None takes the number in the options.

        Raises:
            StorageException: The server refused the last attempt, or did not answer it.
        """
        response, content = await self._answered(request, attempts)
        return Answer(response.headers, content)

    async def open(self, request: Request) -> Response:
        """Send a request until the server answers. The caller reads and closes the answer.

        Raises:
            StorageException: As for `exchange`.
        """
        response, _ = await self._answered(request, is_read=False)
        return response

    async def _answered(
        self, request: Request, attempts: int | None = None, *, is_read: bool = True
    ) -> tuple[Response, bytes]:
        """Return the first successful answer, and its content if it is to be read."""
        tries = self.options.retries.begin(attempts)
        learnt: set[str] = set()
        refusal: ErrorResponse | None = None
        error: StorageException
        while True:
            await self.prepare()
            endpoint, skew = self.endpoint(request.bucket), self._skew
            before = None if request.body is None else request.body.sent
            with_checksums = self._checksums.are_sent and refusal is None
            try:
                outcome = await self._attempt(request, endpoint, is_read=is_read, with_checksums=with_checksums)
            except StorageUnavailableException as unavailable:
                error, can_pass = unavailable, True
            else:
                if not isinstance(outcome, ErrorResponse):
                    self._checksums.learn(request.method, request.headers, were_sent=with_checksums)
                    return outcome
                lesson = self._learn(outcome, request.bucket, endpoint.region, skew)
                if lesson and lesson not in learnt:
                    learnt.add(lesson)
                    _forget(request.body, before)
                    continue
                is_refusal = outcome.status in {400, 501} and not outcome.can_pass
                if is_refusal and with_checksums and self._checksums.may_be_why(request.method, request.headers):
                    refusal = outcome
                    _forget(request.body, before)
                    continue
                if refusal is not None and not outcome.can_pass and not outcome.is_like(refusal):
                    self._checksums.learn(request.method, request.headers, were_sent=False)
                error, can_pass = outcome.error(), outcome.can_pass
            if not can_pass or not await tries.wait(getattr(error, "retry_after", None)):
                raise error

    async def post_form(self, url: str, content_type: str, body: bytes) -> int:
        """Send a form once as a browser does, without credentials. Return the status of the answer."""
        response = await self._http.send("POST", url, {"Content-Type": content_type}, self.body(body))
        response.close()
        return response.status

    def _learn(self, failure: ErrorResponse, bucket: str, region: str, skew: timedelta) -> str:
        """Adopt the server's clock or the bucket's region if the request used another. Return its name, or "".

        The answer to another request may have changed both since the request was signed.
        """
        if failure.status == 403 and failure.time is not None:  # a refused HEAD gives no reason
            difference = failure.time - _local_time()
            if abs(difference - skew) > _TOLERATED_SKEW:
                self._skew = difference
                return "clock"
        if failure.status in {301, 307, 400} and failure.region and failure.region != region:
            with suppress(InvalidArgumentException):  # a region that no server can have
                self._endpoint(bucket, failure.region, self._endpoint_url)
                self._regions[bucket] = failure.region
                return "region"
        return ""

    async def _attempt(
        self, request: Request, endpoint: Endpoint, *, is_read: bool, with_checksums: bool
    ) -> tuple[Response, bytes] | ErrorResponse:
        response = await self._send(request, endpoint, with_checksums=with_checksums)
        failed = response.status >= 300
        content = await self._http.read(response, is_error=failed) if is_read or failed else b""
        if failed or (request.can_fail_late and is_failure(content)):
            return ErrorResponse.of(response.status, response.headers, content, method=request.method)
        if is_web_page(content):
            raise StorageOperationException(
                "the server answered with a web page: give the endpoint_url of the S3 API, not that of a console"
            )
        return response, content

    async def _send(self, request: Request, endpoint: Endpoint, *, with_checksums: bool) -> Response:
        sent = request.headers
        if self._checksums.are_left_out(request.method, sent, are_sent=with_checksums):
            sent = await self._checksums.reduced(sent, request.body)
        path = endpoint.bucket_path if request.key is None else endpoint.path(request.key)
        described = {**sent, **self.payer}
        if request.customer_key is not None or request.source_key is not None:
            described |= customer_headers(request.customer_key) | copy_source_headers(request.source_key)
        signature = self.signer(endpoint.region).sign(
            request.method,
            endpoint.host,
            path,
            payload_hash=await _payload_hash(request.body, endpoint),
            now=self.now,
            query=request.query,
            headers=described,
        )
        query = f"?{encode_query(request.query)}" if request.query else ""
        headers = {**described, **signature}
        return await self._http.send(request.method, f"{endpoint.origin}{path}{query}", headers, request.body)


def _forget(body: Body | None, before: Sent | None) -> None:
    """Count a refused attempt as not sent, as a refusal has no effect, unless the body was sent twice meanwhile."""
    if body is not None and before is not None and body.sent.times == before.times + 1:
        body.sent = before


async def _payload_hash(body: Body | None, endpoint: Endpoint) -> str:
    if body is None or not body.size:
        return EMPTY_SHA256
    if body.size > _HASHED and endpoint.origin.startswith("https:"):
        # the checksum header, which is signed, already fixes the body of what TLS protects
        return UNSIGNED_PAYLOAD
    return await checksums.computed(checksums.sha256, body)


def _local_time() -> datetime:
    return datetime.fromtimestamp(time.time(), UTC)

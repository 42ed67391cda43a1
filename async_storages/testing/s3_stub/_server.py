"""The stub itself: a server whose answers follow its behaviours."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from async_storages.testing.s3_stub._behaviours import Behaviours, behaviour_of
from async_storages.testing.s3_stub._dispatch import answer_to
from async_storages.testing.s3_stub._http import read_request, write_answer
from async_storages.testing.s3_stub._messages import StubAnswer, StubError, StubRequest
from async_storages.testing.s3_stub._objects import Bucket, StoredObject, Upload

if TYPE_CHECKING:
    from async_storages.backends.s3.storage import S3Storage

__all__ = ["S3Stub"]

_HOST = "127.0.0.1"
_KEY = ("stub", "secret-of-the-stub")

type When = Callable[[StubRequest], bool]
type Hook = Callable[[StubRequest], Awaitable[object]]


class S3Stub:
    """An S3 server on this machine that keeps its objects in memory. Its behaviour may differ from AWS as you choose.

    It speaks HTTP/1.1 without TLS. The bucket is the first part of the path. It accepts any region, and has one access
    key. Like S3, it checks signatures in headers, URLs and forms, policies of forms, and checksums.

    Args:
        behaviour: The server's differences from AWS: `Behaviours`, or the name of one of `PRESETS`, such as
            ``"ceph16"``.
        buckets: The buckets that exist from the beginning, at least one.

    Attributes:
        bucket: The first of the buckets.
        access_key_id: The access key. It may do everything.
        secret_access_key: The secret of `access_key_id`.
        requests: All requests in the order of arrival.

    Example:
        ```python
        async with S3Stub("r2") as stub, stub.storage() as storage:
            await storage.upload(b"hello", "a.txt")
            assert stub.object("a.txt").data == b"hello"
        ```
    """

    def __init__(self, behaviour: Behaviours | str = "aws", *, buckets: tuple[str, ...] = ("test",)) -> None:
        self._behaviour = behaviour_of(behaviour)
        self.bucket = buckets[0]
        self.access_key_id, self.secret_access_key = _KEY
        self.requests: list[StubRequest] = []
        self._buckets = {name: Bucket() for name in buckets}
        self._throttled = self._behaviour.throttled
        self._scripted: deque[tuple[StubAnswer, When]] = deque()
        self._hooks: list[tuple[Hook, When]] = []
        self._server: asyncio.Server | None = None
        self._port = 0
        self._tasks: set[asyncio.Task[None]] = set()

    # ---- lifetime

    async def start(self) -> None:
        """Listen. No effect if it listens already. The port stays the same after `aclose` and `start`."""
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, _HOST, self._port)
            self._port = self._server.sockets[0].getsockname()[1]

    async def aclose(self) -> None:
        """Close all connections and refuse new ones. The objects stay for the next `start`."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await server.wait_closed()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    # ---- inspection and control

    @property
    def behaviour(self) -> Behaviours:
        """The server's differences from AWS. You may change them at any time, with effect from the next request."""
        return self._behaviour

    @behaviour.setter
    def behaviour(self, behaviour: Behaviours | str) -> None:
        self._behaviour = behaviour_of(behaviour)
        self._throttled = self._behaviour.throttled

    @property
    def endpoint_url(self) -> str:
        """The URL of the server once it is started, for example ``http://127.0.0.1:40123``."""
        return f"http://{_HOST}:{self._port}"

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, for a `FaultProxy`."""
        return _HOST, self._port

    def storage(self, bucket: str | None = None, **options: Any) -> "S3Storage":
        """Make an `S3Storage` on one of the buckets. `options` are those of `S3Storage`."""
        from async_storages.backends.s3.storage import S3Storage  # noqa: PLC0415 - the stub itself needs no aiohttp

        keys = {"aws_access_key_id": self.access_key_id, "aws_secret_access_key": self.secret_access_key}
        return S3Storage(bucket or self.bucket, **{"endpoint_url": self.endpoint_url, **keys, **options})

    def objects(self, bucket: str | None = None) -> Mapping[str, StoredObject]:
        """Return the objects of a bucket by key."""
        return self._buckets[bucket or self.bucket].objects

    def object(self, key: str, bucket: str | None = None) -> StoredObject:
        """Return an object. Raises KeyError if there is none."""
        return self.objects(bucket)[key]

    def put(self, key: str, data: bytes, bucket: str | None = None, **headers: str) -> None:
        """Store an object under any key. Underscores in the names of headers stand for hyphens."""
        described = {name.replace("_", "-").lower(): value for name, value in headers.items()}
        self._buckets[bucket or self.bucket].objects[key] = StoredObject.of(data, described, None)

    def uploads(self, bucket: str | None = None) -> Mapping[str, Upload]:
        """Return the open multipart uploads, by id."""
        return self._buckets[bucket or self.bucket].uploads

    def buckets(self) -> Mapping[str, Bucket]:
        """All buckets by name."""
        return self._buckets

    def answer(self, answer: StubAnswer, when: When = lambda _: True, *, times: int = 1) -> None:
        """Give this answer to the next `times` requests that `when` accepts. The stub does not carry them out."""
        self._scripted.extend([(answer, when)] * times)

    def before(self, hook: Hook, when: When = lambda _: True) -> None:
        """Await ``hook(request)`` before the stub carries out a request that `when` accepts, to delay or race it."""
        self._hooks.append((hook, when))

    # ---- connections

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await read_request(reader, writer)) is not None:
                self.requests.append(request)
                behaviour = self.behaviour
                answer = await self._answer(request, behaviour)
                await write_answer(writer, request, answer, behaviour)
        except (ConnectionError, asyncio.IncompleteReadError):  # the client has gone
            return
        finally:
            writer.transport.abort() if "interim" in self.behaviour.endless else writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer(self, request: StubRequest, behaviour: Behaviours) -> StubAnswer:
        for hook, when in self._hooks:
            if when(request):
                await hook(request)
        for position, (answer, when) in enumerate(self._scripted):
            if when(request):
                del self._scripted[position]
                return answer
        try:
            self._check_throttled(behaviour)
            return answer_to(request, self._buckets, behaviour, {self.access_key_id: self.secret_access_key})
        except StubError as error:
            return error.answer

    def _check_throttled(self, behaviour: Behaviours) -> None:
        if self._throttled > 0:
            self._throttled -= 1
            raise StubError(503, "SlowDown", {"Retry-After": behaviour.retry_after} if behaviour.retry_after else {})

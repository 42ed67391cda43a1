"""What the tests do that a storage does not: be cancelled, fork, speak HTTP, count open files."""

import asyncio
import os
import signal
import traceback
import warnings
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.message import Message
from functools import partial
from itertools import count
from pathlib import Path
from secrets import token_hex
from types import coroutine
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

__all__ = [
    "Answer",
    "cancelled_at",
    "every_cancellation",
    "form",
    "in_child",
    "no_more_open_files_than",
    "open_files",
    "request",
]

_CHILD_SECONDS = 60
_NOTICE_SECONDS = 30
_REQUEST_SECONDS = 60

# ---- cancellation


async def cancelled_at(suspension: int, work: Coroutine[Any, Any, object]) -> bool:
    """Run `work` as a task that is cancelled the n-th time it waits for something, counted from 0.

    Counting what it waits for needs no clock, and misses no `await`.

    Returns:
        False if it ended without waiting that often.

    Raises:
        AssertionError: It was cancelled and went on as if nothing had happened.
        Exception: What `work` raised.
    """
    reached: list[int] = []
    task = asyncio.ensure_future(_cancelling(work, suspension, reached))
    await asyncio.wait([task])
    if task.cancelled():
        return True
    task.result()
    assert not reached, "the cancellation was swallowed"
    return False


async def every_cancellation(work: Callable[[], Coroutine[Any, Any, object]]) -> AsyncIterator[int]:
    """Begin the work again and again, cancelled at the first of its awaits, at the second, until it comes to its end.

    Yields:
        The number of the await, after each cancellation.
    """
    for suspension in count():
        if not await cancelled_at(suspension, work()):
            return
        yield suspension


@coroutine
def _cancelling(work: Coroutine[Any, Any, object], suspension: int, reached: list[int]) -> Generator[Any]:
    step: Callable[[], Any] = partial(work.send, None)
    for waits in count():
        try:
            awaited = step()
        except StopIteration:
            return
        if waits == suspension:
            reached.append(waits)
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
        try:
            yield awaited
        except BaseException as error:  # noqa: BLE001 - it goes where it belongs: into the work
            step = partial(work.throw, error)
        else:
            step = partial(work.send, None)


# ---- processes


def in_child(main: Callable[[], Coroutine[Any, Any, object]]) -> str:
    """Run a coroutine in a fork of this process; call it in a thread.

    Returns:
        The traceback of what went wrong there, or the empty string.
    """
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads around: they are idle
        child = os.fork()
    if child == 0:
        _be_child(main, writing)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        report = pipe.read()
    _, status = os.waitpid(child, 0)
    return report or ("" if status == 0 else f"the child died of {status}")


def _be_child(main: Callable[[], Coroutine[Any, Any, object]], writing: int) -> None:
    signal.alarm(_CHILD_SECONDS)  # a child that hangs is ended by the system
    try:
        asyncio.run(main())
    except BaseException:  # noqa: BLE001 - the parent shows it
        os.write(writing, traceback.format_exc().encode()[-60_000:])
    os._exit(0)


# ---- open files


async def open_files() -> int:
    """How many files and sockets this process has open; 0 where the system does not tell."""
    return await asyncio.to_thread(_count_open_files)


def _count_open_files() -> int:
    with suppress(FileNotFoundError):
        return len(list(Path("/dev/fd").iterdir()))
    return 0


async def no_more_open_files_than(before: int) -> bool:
    """Whether that many remain, once a server in this process had time to notice that its clients have gone."""
    for _ in range(100 * _NOTICE_SECONDS):
        if await open_files() <= before:
            return True
        await asyncio.sleep(0.01)
    return False


# ---- HTTP


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Message
    body: bytes

    @property
    def is_refusal(self) -> bool:
        """Whether the request was understood and denied."""
        return 400 <= self.status < 500


async def request(
    method: str,
    url: str,
    body: bytes | None = None,
    *,
    content_type: str = "application/octet-stream",
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Make an HTTP request, off the loop and without a proxy."""
    sent = {} if body is None else {"Content-Type": content_type, **(headers or {})}
    return await asyncio.to_thread(_request, Request(url, body, sent, method=method))  # noqa: S310 - as presigned


def _request(asked: Request) -> Answer:
    answer: Any
    try:
        answer = build_opener(ProxyHandler({})).open(asked, timeout=_REQUEST_SECONDS)
    except HTTPError as refused:
        answer = refused
    with answer:
        return Answer(answer.status, answer.headers, answer.read())


def form(fields: dict[str, str], file: bytes, filename: str = "client.bin") -> tuple[bytes, str]:
    """A ``multipart/form-data`` body, the file last, and its content type (RFC 7578)."""
    boundary = token_hex(16)
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    parts.append(
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    body = "".join(parts).encode() + file + f"\r\n--{boundary}--\r\n".encode()
    return body, f"multipart/form-data; boundary={boundary}"

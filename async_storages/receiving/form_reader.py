"""Reading a form while it arrives: files are handed on piece by piece, text is kept."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

from starlette.requests import ClientDisconnect, Request

from async_storages.errors import FileTooLargeException, InvalidArgumentException
from async_storages.integrations.fastapi.multipart_parser import Event, FormParser, PartHead

__all__ = ["FormReader", "received"]

_MOST_TEXT = 1 << 20
"""Bytes in which a form may say what is no file."""


async def received(request: Request) -> AsyncGenerator[bytes]:
    """The body as it arrives; close it when leaving early.

    Raises:
        InvalidArgumentException: The client has gone before all of it came.
    """
    try:
        async with aclosing(request.stream()) as chunks:
            async for chunk in chunks:
                yield chunk
    except ClientDisconnect as error:
        raise InvalidArgumentException("the client has gone before its request was complete") from error


class FormReader[Stored]:
    """Reads the form of one request, once.

    Args:
        request: Its body is ``multipart/form-data``.
        store: Called with the name and the bytes of each file, when its turn comes; it must take all of them.
        max_files: The most that there may be.

    Attributes:
        files: What `store` returned, with the field of each file.
        fields: The text so far, with its field.
    """

    def __init__(
        self, request: Request, store: Callable[[str, AsyncGenerator[bytes]], Awaitable[Stored]], *, max_files: int
    ) -> None:
        self._request = request
        self._store = store
        self._max_files = max_files
        self._room = _MOST_TEXT
        self.files: list[tuple[str, Stored]] = []
        self.fields: list[tuple[str, str]] = []

    async def read(self) -> None:
        """Read it to its end.

        Raises:
            InvalidArgumentException: It is malformed, cut short, or of too many files; or the client has gone.
            FileTooLargeException: It holds more than 1 MiB of text.
            Exception: Whatever `store` raised.
        """
        async with aclosing(_events(self._request)) as events:
            async for event in events:
                if isinstance(event, PartHead):
                    await self._read_part(event, events)

    async def _read_part(self, head: PartHead, events: AsyncGenerator[Event]) -> None:
        async with aclosing(_content(events)) as content:
            if head.filename is None:
                self.fields.append((head.name, await self._text(content)))
            elif head.filename:
                self.files.append((head.name, await self._stored(head.filename, content)))
            elif await self._text(content):  # without content it is how browsers say that none was chosen
                raise InvalidArgumentException("the form holds a file without a name")

    async def _stored(self, file_name: str, content: AsyncGenerator[bytes]) -> Stored:
        if len(self.files) >= self._max_files:
            raise InvalidArgumentException(f"the form holds more than {self._max_files} files")
        return await self._store(file_name, content)

    async def _text(self, content: AsyncGenerator[bytes]) -> str:
        text = bytearray()
        async for chunk in content:
            text += chunk
            self._room -= len(chunk)
            if self._room < 0:
                raise FileTooLargeException(f"the form holds more than {_MOST_TEXT} bytes of text")
        try:
            return text.decode()
        except UnicodeDecodeError:
            raise InvalidArgumentException("the form holds text that is not UTF-8") from None


async def _events(request: Request) -> AsyncGenerator[Event]:
    """What arrives, up to the end of the form: a client that declared more bytes is not waited for."""
    parser = FormParser(", ".join(request.headers.getlist("content-type")))
    async with aclosing(received(request)) as chunks:
        async for chunk in chunks:
            for event in parser.feed(chunk):
                yield event
            if parser.is_complete:
                return
    parser.finish()


async def _content(events: AsyncGenerator[Event]) -> AsyncGenerator[bytes]:
    """The bytes of the part that has begun."""
    async for event in events:
        if not isinstance(event, bytes):
            return
        yield event

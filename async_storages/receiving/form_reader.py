"""Reading a form while it arrives: files are handed on piece by piece, text is kept."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

from async_storages.errors import FileTooLargeException, InvalidArgumentException
from async_storages.receiving.multipart_parser import Event, FormParser, PartHead

__all__ = ["FormReader"]

_MOST_TEXT = 1 << 20
"""Bytes of a form that may be something else than files."""


class FormReader[Stored]:
    """Reads the form of one request, once.

    Args:
        body: The body of the request as it arrives; closed when the form was read, or reading it failed.
        content_type: The header Content-Type of the request, several lines joined by commas.
        store: Called with the name and the bytes of each file, when its turn comes; it must take all of them.
        max_files: The most that there may be.

    Attributes:
        files: The results of `store`, with the field of each file.
        fields: The text so far, with its field.
    """

    def __init__(
        self,
        body: AsyncGenerator[bytes],
        content_type: str,
        store: Callable[[str, AsyncGenerator[bytes]], Awaitable[Stored]],
        *,
        max_files: int,
    ) -> None:
        self._body = body
        self._content_type = content_type
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
            Exception: The error of `store`.
        """
        async with aclosing(_events(self._body, self._content_type)) as events:
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


async def _events(body: AsyncGenerator[bytes], content_type: str) -> AsyncGenerator[Event]:
    """The events up to the end of the form: a client that declared more bytes is not waited for."""
    async with aclosing(body) as chunks:
        parser = FormParser(content_type)
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

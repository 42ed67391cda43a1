"""Reading a form while it arrives. The chunks of files are passed on, and texts are kept."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

from async_storages.errors import FileTooLargeException, InvalidArgumentException
from async_storages.receiving.multipart_parser import Event, FormParser, PartHead

__all__ = ["FormReader"]

_MOST_TEXT = 1 << 20
"""The largest size in bytes of all text fields of a form."""


class FormReader[Stored]:
    """Reads the form of one request, once.

    Args:
        body: The chunks of the body. It is closed at the end and after a failure.
        content_type: The header Content-Type of the request. Repeated headers are joined by commas.
        store: A function that takes the name and the bytes of a file, one file after the other. It must read all bytes.
        max_files: The largest number of files.

    Attributes:
        files: The field of each file, and the result of `store`.
        fields: The name and the text of each other field so far.
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
        """Read the form to its end.

        Raises:
            InvalidArgumentException: The form is malformed, incomplete or has too many files, or the client has
                disconnected.
            FileTooLargeException: The form has more than 1 MiB of text.
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
    """Yield the events up to the end of the form. It does not wait for further bytes that the client declared."""
    async with aclosing(body) as chunks:
        parser = FormParser(content_type)
        async for chunk in chunks:
            for event in parser.feed(chunk):
                yield event
            if parser.is_complete:
                return
    parser.finish()


async def _content(events: AsyncGenerator[Event]) -> AsyncGenerator[bytes]:
    """Yield the bytes of the current part."""
    async for event in events:
        if not isinstance(event, bytes):
            return
        yield event

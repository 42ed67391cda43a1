"""A scanner that uses ClamAV's daemon, by its command INSTREAM.

```
client   zINSTREAM NUL   length (4 bytes, big-endian) data   …   0 0 0 0
clamd    stream: OK NUL
         stream: Eicar-Test-Signature FOUND NUL
         INSTREAM size limit exceeded. ERROR NUL
```

Specified in clamd(8), the limits in clamd.conf(5).
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from urllib.parse import urlsplit

from async_storages.errors import InvalidArgumentException
from async_storages.files import StoredFile
from async_storages.scanning.verdicts import Clean, Infected, Unscanned, Verdict

__all__ = ["ClamdScanner"]

_COMMAND = b"zINSTREAM\0"
_END = bytes(4)
_FOUND = re.compile(r"stream: (.+) FOUND")
_LIMIT_FOUND = "Heuristics.Limits.Exceeded"
"""The beginning of names by which clamd reports an exceeded limit, with ``AlertExceedsMax yes``."""


class ClamdScanner:
    """Sends files to clamd. Each file has its own connection, and one chunk is in memory at a time.

    clamd reports a file above its ``MaxFileSize`` as clean without scanning it. So set `max_size` no higher than
    ``MaxFileSize`` and ``StreamMaxLength``.

    The limits apply inside archives too. With ``AlertExceedsMax yes`` clamd reports most of the content that it
    skipped, and the verdict is `Unscanned`. It does not report an archive's member that it cuts at ``MaxFileSize``.

    Args:
        address: The path of clamd's socket, or ``"host:port"``.
        max_size: The largest file to scan, in bytes, at least 1. Larger files are `Unscanned`. The default is Debian's
            ``MaxFileSize``.
        connect_timeout: The longest time to connect, in seconds, above 0.
        timeout: The longest time for clamd to take the next chunk, and to answer, in seconds, above 0. The default is
            longer than its ``MaxScanTime`` of two minutes.

    Raises:
        InvalidArgumentException: An option is wrong.

    Example:
        >>> await ClamdScanner("localhost:3310").scan(document.file)
        Infected(name='Eicar-Test-Signature')
    """

    def __init__(
        self,
        address: str = "/var/run/clamav/clamd.ctl",
        *,
        max_size: int = 25 << 20,
        connect_timeout: float = 5,
        timeout: float = 150,
    ) -> None:
        if min(max_size, connect_timeout, timeout) <= 0:
            raise InvalidArgumentException(
                f"max_size, connect_timeout and timeout must be above 0, not {max_size}, {connect_timeout}, {timeout}"
            )
        self._address = address
        self._endpoint = None if address.startswith("/") else _host_and_port(address)
        self._max_size = max_size
        self._connect_timeout = connect_timeout
        self._timeout = timeout

    def __repr__(self) -> str:
        return f"ClamdScanner({self._address!r})"

    async def scan(self, file: StoredFile) -> Verdict:
        """Scan a whole file: see `Scanner.scan`. An unclear answer of clamd gives `Unscanned`."""
        try:
            async with self._connected() as (reader, writer), aclosing(file.stream()) as chunks:
                if not await self._send(writer, chunks):
                    return Unscanned(f"the file is larger than the {self._max_size} bytes that are scanned")
                async with _within(self._timeout):
                    return _verdict(await reader.readuntil(b"\0"))
        except _Failure as failure:
            return Unscanned(f"clamd at {self._address}: {failure}")

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        async with _within(self._connect_timeout):
            reader, writer = await self._connect()
        try:
            yield reader, writer
        finally:
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._endpoint is None:
            return await asyncio.open_unix_connection(self._address)
        return await asyncio.open_connection(*self._endpoint)

    async def _send(self, writer: asyncio.StreamWriter, chunks: AsyncIterator[bytes]) -> bool:
        """Send the command and the file. Return False if the file is too large."""
        sent = 0
        await self._write(writer, _COMMAND)
        async for chunk in chunks:
            sent += len(chunk)
            if sent > self._max_size:
                return False
            if chunk:  # one without bytes would be the end, and the rest would count as clean
                await self._write(writer, len(chunk).to_bytes(4), chunk)
        await self._write(writer, _END)
        return True

    async def _write(self, writer: asyncio.StreamWriter, *data: bytes) -> None:
        async with _within(self._timeout):
            writer.writelines(data)
            await writer.drain()


class _Failure(Exception):
    """clamd gave no answer. The text gives the reason."""


@asynccontextmanager
async def _within(seconds: float) -> AsyncIterator[None]:
    """Limit the time of a step with clamd. Raise its errors as `_Failure`, as a storage may raise the same classes."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise _Failure("it took too long") from error
    except (BrokenPipeError, ConnectionResetError) as error:
        raise _Failure("it closed the connection, as it does above its StreamMaxLength") from error
    except OSError as error:
        raise _Failure(error.strerror or str(error)) from error
    except (EOFError, asyncio.LimitOverrunError) as error:
        raise _Failure("its answer is incomplete") from error


def _verdict(answer: bytes) -> Verdict:
    text = answer.rstrip(b"\0").decode(errors="replace")
    if text == "stream: OK":
        return Clean()
    found = _FOUND.fullmatch(text)
    if found is None or found[1].startswith(_LIMIT_FOUND):
        return Unscanned(f"clamd answered {text!r}")
    return Infected(found[1])


def _host_and_port(address: str) -> tuple[str, int]:
    with suppress(ValueError):
        parts = urlsplit(f"//{address}")
        if parts.hostname and parts.port and parts.netloc == address and "@" not in address:
            return parts.hostname, parts.port
    raise InvalidArgumentException(f"clamd's address is a socket's path or host:port, not {address!r}")

"""ClamAV's daemon as a scanner, by its command INSTREAM.

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
"""The beginning of names that are no findings but limits, with clamd's ``AlertExceedsMax yes``."""


class ClamdScanner:
    """Sends files to clamd, each on a connection of its own, a chunk in memory at a time.

    Above its ``MaxFileSize`` clamd answers that a file is clean without having looked at it. So `max_size` must not be
    above it, nor above ``StreamMaxLength``. In archives its limits count as well: with ``AlertExceedsMax yes`` it tells
    of most that it has passed over, which is `Unscanned` then, though not of a member that is cut at ``MaxFileSize``.

    Args:
        address: The path of clamd's socket, or ``"host:port"``.
        max_size: Bytes, at least 1; larger files are `Unscanned`. The default is Debian's ``MaxFileSize``.
        connect_timeout: Seconds for a connection, above 0.
        timeout: Seconds in which clamd must take the next chunk, and in which it must answer, above 0. The default is
            above its ``MaxScanTime``, two minutes.

    Raises:
        InvalidArgumentException: An option that cannot be.

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
        """Look at all of a file: see `Scanner.scan`. Whatever clamd does not say clearly is `Unscanned`."""
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
        """Send the command and the file, as long as that is not too large; whether it was not."""
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
    """There is no answer to be had from clamd; the text says why."""


@asynccontextmanager
async def _within(seconds: float) -> AsyncIterator[None]:
    """Bound what clamd does, and tell its failures from those of the storage, which are of the same classes."""
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

"""Servers of a test that pass bytes on."""

import asyncio
import ssl
from contextlib import asynccontextmanager


@asynccontextmanager
async def serving(answer, context: ssl.SSLContext | None = None):
    """Call `answer(reader, writer)` for each connection; the URL of the server."""
    tasks: set[asyncio.Task[None]] = set()

    async def safely(reader, writer):
        try:
            await answer(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def begin(reader, writer):
        task = asyncio.get_running_loop().create_task(safely(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.remove)

    server = await asyncio.start_server(begin, "127.0.0.1", 0, ssl=context)
    scheme = "http" if context is None else "https"
    try:
        yield f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for _ in range(5):  # transports close a turn of the loop later
            await asyncio.sleep(0)


async def relayed(reader, writer, upstream):
    """Pass bytes on, both ways, until both have ended."""
    up_reader, up_writer = upstream
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_piped(reader, up_writer))
            group.create_task(_piped(up_reader, writer))
    except* OSError:
        pass
    finally:
        up_writer.close()


async def _piped(reader, writer):
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    writer.close()

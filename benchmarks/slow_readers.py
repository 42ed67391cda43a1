"""300 clients of one application on SeaweedFS, half of them reading at 10 KB/s: how long small requests take then."""

import asyncio
import random
import socket
import sys
import time
from collections.abc import Iterator
from statistics import quantiles

import aiohttp

from async_storages.testing.seaweedfs import S3Server, seaweedfs_server
from benchmarks import Figure, Goal
from benchmarks.load import application

READERS = 150
CLIENTS = 150
RATE = 10_000
"""Bytes that a reader takes in a second."""

WINDOW = 16_384
"""Bytes that the system of a reader takes ahead of it."""

LARGE = 20_000_000
SECONDS = 30
"""In which each of the others asks once a second."""

GOAL = 3
"""Times what it takes without the readers."""

WITHOUT = "without slow readers"

PATIENCE = aiohttp.ClientTimeout(total=60)


def measure() -> Iterator[Figure]:
    with seaweedfs_server() as server:
        found = {readers: asyncio.run(run(server, readers)) for readers in (0, READERS)}
    times = {readers: percentiles(seconds) for readers, (seconds, _) in found.items()}
    for number, name in enumerate(("p50", "p99")):
        without, beside = (1000 * times[readers][number] for readers in (0, READERS))
        goals = (Goal(1 / GOAL, WITHOUT),) if name == "p99" else ()
        yield Figure(f"small requests beside {READERS} slow readers: {name}", "ms", beside, {WITHOUT: without}, goals)
    seconds, failures = found[READERS]
    what = f"small requests beside {READERS} slow readers: failed of {len(seconds) + failures:,}"
    yield Figure(what, "requests", failures, {WITHOUT: found[0][1]}, (Goal(0),))


def percentiles(seconds: list[float]) -> tuple[float, float]:
    hundredths = quantiles(seconds, n=100, method="inclusive")
    return hundredths[49], hundredths[98]


async def run(server: S3Server, readers: int) -> tuple[list[float], int]:
    """Seconds that each small request took, and how many failed."""
    with application("ours", sys.executable, server) as (_process, port):
        connector = aiohttp.TCPConnector(limit=0)
        url = f"http://127.0.0.1:{port}"
        async with aiohttp.ClientSession(url, connector=connector, timeout=PATIENCE) as session:
            large, small = await stored(session, bytes(LARGE)), await stored(session, b"small" * 200)
            reading = [asyncio.create_task(read_slowly(port, large)) for _ in range(readers)]
            try:
                await asyncio.sleep(3 if readers else 0)  # until all of them hold what they can get
                outcomes = await asyncio.gather(*(ask(session, small) for _ in range(CLIENTS)))
            finally:
                for task in reading:
                    task.cancel()
                await asyncio.gather(*reading, return_exceptions=True)
    seconds = [each for taken, _ in outcomes for each in taken]
    return seconds, sum(failures for _, failures in outcomes)


async def stored(session: aiohttp.ClientSession, content: bytes) -> str:
    form = aiohttp.FormData()
    form.add_field("file", content, filename="a.bin", content_type="application/octet-stream")
    async with session.post("/files/upload", data=form, raise_for_status=True) as answer:
        return str((await answer.json())["file_id"])


async def read_slowly(port: int, key: str) -> None:
    """Download as a bad connection does: with a small window, and a little at a time."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, WINDOW)  # else the kernel reads megabytes at once
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", port))
        reader, writer = await asyncio.open_connection(sock=connection.dup(), limit=8192)
    try:
        writer.write(f"GET /files/{key}/download HTTP/1.1\r\nHost: test\r\n\r\n".encode())
        while await reader.read(RATE // 4):  # noqa: ASYNC110 - it is the rate, and nothing is waited for
            await asyncio.sleep(0.25)
    finally:
        writer.close()


async def ask(session: aiohttp.ClientSession, key: str) -> tuple[list[float], int]:
    """Seconds of each request of one client, and how many failed."""
    taken, failures = [], 0
    await asyncio.sleep(random.random())
    for number in range(SECONDS):
        began = time.perf_counter()
        try:
            if number % 2:
                await stored(session, b"small")
            else:
                async with session.get(f"/files/{key}/download", raise_for_status=True) as answer:
                    await answer.read()
            taken.append(time.perf_counter() - began)
        except (aiohttp.ClientError, TimeoutError):
            failures += 1
        await asyncio.sleep(max(0.0, began + 1 - time.perf_counter()))
    return taken, failures

"""ZIP archives of files that come in chunks, to a sink that cannot seek: CPU time and memory, against other writers.

And the memory of a download through the service, against s3py-helper's.
"""

import asyncio
import os
import sys
import zipfile
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import cache, partial
from importlib import import_module
from io import RawIOBase
from itertools import repeat
from typing import Any, Self

from async_storages.testing.seaweedfs import seaweedfs_server
from benchmarks import Figure, Goal
from benchmarks.child import child, serve
from benchmarks.s3 import medians, rotated
from benchmarks.worker import Costs, measured

ROUNDS = 7
FILE_SIZE, CHUNK_SIZE = 16 << 20, 1 << 18
FILES = 64
SHARES = {"s3py-helper": 32}
"""Deflating is all it can, which takes that much longer: so it is given that much less to do."""
GOALS = {"zipfile": 1 / 1.05}
"""What the others' CPU time must at least be, as a multiple of ours."""

OBJECT = 256 << 20
DOWNLOADS = 3
DOWNLOAD_GOAL = 16  # MB

CHUNK = os.urandom(CHUNK_SIZE)


def measure() -> Iterator[Figure]:
    yield from archives()
    yield from downloads()


# ---- archives


class Sink(RawIOBase):
    """Counts what is written to it."""

    size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.size += len(data)
        return len(data)


def names(files: int) -> list[str]:
    return [f"photos/{number:04}.jpg" for number in range(files)]


type Chunks = Callable[[], Iterator[bytes]]


def same_chunks() -> Iterator[bytes]:
    """One object, again and again: making them costs nothing."""
    return repeat(CHUNK, FILE_SIZE // CHUNK_SIZE)


def new_chunks() -> Iterator[bytes]:
    """Who keeps them needs memory for them."""
    return map(bytes, map(bytearray, same_chunks()))


@cache
def crc32_of_a_file() -> int:
    return zlib.crc32(CHUNK * (FILE_SIZE // CHUNK_SIZE))


async def ours(files: int, chunks: Chunks, *, is_told: bool = True) -> int:
    from async_storages import ZipEntry, stream_zip

    async def stream() -> AsyncIterator[bytes]:
        for chunk in chunks():
            yield chunk

    size, crc32 = 0, crc32_of_a_file() if is_told else None
    async for piece in stream_zip([ZipEntry(name, stream, FILE_SIZE, crc32=crc32) for name in names(files)]):
        size += len(piece)
    return size


async def with_zipfile(files: int, chunks: Chunks) -> int:
    sink = Sink()
    with zipfile.ZipFile(sink, "w") as archive:
        for name in names(files):
            with archive.open(name, "w") as member:
                for chunk in chunks():
                    member.write(chunk)
    return sink.size


async def with_zipstream_ng(files: int, chunks: Chunks) -> int:
    from zipstream import ZipStream

    archive = ZipStream()
    for name in names(files):
        archive.add(chunks(), name)
    return sum(map(len, archive))


async def with_stream_zip(files: int, chunks: Chunks) -> int:
    from stream_zip import NO_COMPRESSION_64, stream_zip

    members = ((name, datetime.now(UTC), 0o600, NO_COMPRESSION_64, chunks()) for name in names(files))
    return sum(map(len, stream_zip(members, chunk_size=CHUNK_SIZE)))


class Bodies:
    """Stands for its client of S3."""

    def __init__(self, chunks: Chunks) -> None:
        self.chunks = chunks

    async def get_object(self, bucket: str, key: str) -> dict[str, Any]:
        return {"Body": Body(self.chunks())}


class Body:
    def __init__(self, chunks: Iterator[bytes]) -> None:
        self.chunks = chunks

    async def read(self, size: int) -> bytes:
        return next(self.chunks, b"")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None: ...


async def with_s3py_helper(files: int, chunks: Chunks) -> int:
    """To a sink, as its `stream_zip` fails after 1 MB."""
    from s3py_helper.storage import FileDownload
    from s3py_helper.storage.s3raw.service.download_service import S3RawDownloadServiceImpl

    sink = Sink()
    service = S3RawDownloadServiceImpl(Bodies(chunks))
    await service.download_files_as_zip([FileDownload(file_id=f"bucket/{name}") for name in names(files)], sink)
    return sink.size


WRITERS: dict[str, Callable[[int, Chunks], Awaitable[int]]] = {
    "ours": ours,
    "ours, where no checksum is known": partial(ours, is_told=False),
    "zipfile": with_zipfile,
    "zipstream-ng": with_zipstream_ng,
    "stream-zip": with_stream_zip,
    "s3py-helper": with_s3py_helper,
}


def archives() -> Iterator[Figure]:
    runs: dict[str, list[Costs]] = {name: [] for name in WRITERS}
    with ExitStack() as stack:
        processes = {name: stack.enter_context(child(__name__, "archives", name)) for name in WRITERS}
        for turn in range(ROUNDS):
            for name in rotated(list(WRITERS), turn):
                runs[name].append(processes[name].ask("cpu", FILES // SHARES.get(name, 1)))
        peaks = {name: processes[name].ask("memory", 2)["memory"]["peak"] for name in WRITERS}
    cpu = {name: medians(rounds)["cpu"]["cpu"] * SHARES.get(name, 1) for name, rounds in runs.items()}
    what = f"ZIP of {FILES} files of {FILE_SIZE >> 20} MiB"
    speeds = {name: FILES * FILE_SIZE / seconds / 1e6 for name, seconds in cpu.items()}
    megabytes = {name: kibibytes * 1024 / 1e6 for name, kibibytes in peaks.items()}
    ours, unit = speeds.pop("ours"), "MB per second of CPU"
    untold = speeds.pop("ours, where no checksum is known")
    goals = tuple(Goal(least, name) for name, least in GOALS.items())
    yield Figure(what, unit, ours, speeds, goals, is_more_better=True)
    yield Figure(f"{what}, where no checksum is known", unit, untold, speeds, is_more_better=True)
    yield Figure(f"{what}: peak memory", "MB above idle", megabytes.pop("ours"), megabytes)


async def serve_archives(name: str) -> None:
    async def archive(what: str, chunks: Chunks, files: int) -> Costs:
        with measured() as cost:
            size = await WRITERS[name](files, chunks)
        assert size > files * FILE_SIZE, size
        return {what: cost}

    await WRITERS[name](1, same_chunks)
    await serve({"cpu": partial(archive, "cpu", same_chunks), "memory": partial(archive, "memory", new_chunks)})


# ---- downloads


async def serve_downloads(name: str, *settings: str) -> None:
    endpoint, key_id, secret, bucket, file_id = settings
    config = {"endpoint": endpoint, "access_key_id": key_id, "secret_access_key": secret, "default_bucket": bucket}
    package: Any = import_module(PACKAGES[name])
    mode = package.StorageModeConfig(mode=package.StorageMode.S3)
    async with package.StorageManager(mode, package.S3Config(**config)) as manager:
        attach = await manager.upload_service.upload_bytes("warm.bin", b"warm")
        await manager.download_service.download_bytes(attach.file_id)

        async def download() -> Costs:
            size = 0
            with measured() as cost:
                async for chunk in manager.download_service.download_to_generator(file_id):
                    size += len(chunk)
            assert size == OBJECT
            return {"download": cost}

        await serve({"download": download})


PACKAGES = {"ours": "async_storages.compat.s3py_helper", "s3py-helper": "s3py_helper.storage"}


def downloads() -> Iterator[Figure]:
    runs: dict[str, list[Costs]] = {name: [] for name in PACKAGES}
    with seaweedfs_server() as server:
        settings = server.endpoint_url, server.access_key_id, server.secret_access_key, server.bucket
        file_id = asyncio.run(upload(*settings))
        for turn in range(DOWNLOADS):
            for name in rotated(list(PACKAGES), turn):
                with child(__name__, "downloads", name, *settings, file_id) as process:  # a peak is seen once only
                    runs[name].append(process.ask("download"))
    costs = {name: medians(rounds)["download"] for name, rounds in runs.items()}
    megabytes = {name: cost["peak"] * 1024 / 1e6 for name, cost in costs.items()}
    cpu = {name: cost["cpu"] for name, cost in costs.items()}
    what = f"{OBJECT >> 20} MiB through the download service"
    yield Figure(f"{what}: peak memory", "MB above idle", megabytes.pop("ours"), megabytes, (Goal(DOWNLOAD_GOAL),))
    yield Figure(f"{what}: CPU", "s of CPU", cpu.pop("ours"), cpu)


async def upload(endpoint: str, key_id: str, secret: str, bucket: str) -> str:
    from async_storages import S3Config, StorageManager, StorageMode, StorageModeConfig

    config = S3Config(endpoint=endpoint, access_key_id=key_id, secret_access_key=secret, default_bucket=bucket)
    async with StorageManager(StorageModeConfig(mode=StorageMode.S3), config) as manager:
        pieces = repeat(CHUNK, OBJECT // CHUNK_SIZE)
        return (await manager.upload_service.upload_stream("large.bin", pieces, OBJECT)).file_id


if __name__ == "__main__":
    what, *given = sys.argv[1:]
    asyncio.run({"archives": serve_archives, "downloads": serve_downloads}[what](*given))

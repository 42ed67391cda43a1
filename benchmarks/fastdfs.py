"""`FastDFSStorage` against aiofdfs on the test server, interleaved: CPU time of the client, speed, memory."""

import asyncio
import logging
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import Any

from async_storages.testing.fastdfs_server import fastdfs_process
from benchmarks import Figure, Goal
from benchmarks.child import child, serve
from benchmarks.s3 import large_figures, medians, rotated
from benchmarks.worker import CONTENT, Cost, Costs, measured

ROUNDS = 5
COUNTS = {1: 150, 32: 480}
"""Files per round by how many are in flight."""
CPU_GOALS = {"upload": 3, "download": 4, "info": 4}  # times ours is what aiofdfs must at least take
OPERATIONS = tuple(CPU_GOALS)

LARGE = 200 << 20
LARGE_ROUNDS = 3
MEMORY_GOAL = 16  # MB


class Engine(ABC):
    """A client of FastDFS. What reads answers how many bytes there are, for the caller to check."""

    def __init__(self, tracker: str) -> None:
        self.tracker = tracker

    @abstractmethod
    async def begin(self, stack: AsyncExitStack) -> None:
        """Make the client, which the stack closes."""

    @abstractmethod
    async def upload(self, content: bytes) -> str: ...

    @abstractmethod
    async def download(self, file_id: str) -> int: ...

    @abstractmethod
    async def info(self, file_id: str) -> int: ...

    @abstractmethod
    async def delete(self, file_id: str) -> None: ...

    @abstractmethod
    async def upload_path(self, path: Path) -> str: ...

    @abstractmethod
    async def stream(self, file_id: str) -> int: ...


class Ours(Engine):
    async def begin(self, stack: AsyncExitStack) -> None:
        from async_storages import FastDFSStorage

        self.storage = await stack.enter_async_context(FastDFSStorage(tracker_servers=[self.tracker]))

    async def upload(self, content: bytes) -> str:
        return (await self.storage.save(content, "report.bin", store_name=False)).file_id

    async def download(self, file_id: str) -> int:
        return len(await self.storage.read(file_id))

    async def info(self, file_id: str) -> int:
        return await self.storage.get_size(file_id)

    async def delete(self, file_id: str) -> None:
        await self.storage.delete(file_id)

    async def upload_path(self, path: Path) -> str:
        return (await self.storage.save(path, store_name=False)).file_id

    async def stream(self, file_id: str) -> int:
        size = 0
        async for chunk in self.storage.stream(file_id):
            size += len(chunk)
        return size


class Aiofdfs(Engine):
    async def begin(self, stack: AsyncExitStack) -> None:
        from aiofdfs import Async_Fdfs_Client, FastDfsConf

        self.client: Any = await stack.enter_async_context(Async_Fdfs_Client(FastDfsConf(self.tracker)))

    async def upload(self, content: bytes) -> str:
        return (await self.client.upload_by_buffer(content, "bin"))["file_id"]

    async def download(self, file_id: str) -> int:
        return len((await self.client.download_to_buffer(file_id))["content"])

    async def info(self, file_id: str) -> int:
        return (await self.client.query_file_info(file_id))["file_size"]

    async def delete(self, file_id: str) -> None:
        await self.client.delete_file(file_id)

    async def upload_path(self, path: Path) -> str:
        return (await self.client.upload_by_filename(str(path)))["file_id"]

    async def stream(self, file_id: str) -> int:
        size = 0
        async for chunk in self.client.download_to_generator(file_id):
            size += len(chunk)
        return size


ENGINES: dict[str, type[Engine]] = {"ours": Ours, "aiofdfs": Aiofdfs}


def measure() -> Iterator[Figure]:
    memory = Path("/dev/shm")  # so that the server waits for no disk
    with (
        tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder,
        fastdfs_process(f"--folder={folder}") as server,
    ):
        yield from small_files(server.tracker)
        yield from large_file(server.tracker, Path(folder, "large.bin"))


# ---- small files


def small_files(tracker: str) -> Iterator[Figure]:
    runs: dict[tuple[str, int], list[Costs]] = {(name, at_once): [] for name in ENGINES for at_once in COUNTS}
    with ExitStack() as stack:
        clients = {name: stack.enter_context(child(__name__, name, tracker)) for name in ENGINES}
        for turn in range(ROUNDS):
            for name in rotated(list(ENGINES), turn):
                for concurrency, count in COUNTS.items():
                    runs[name, concurrency].append(clients[name].ask("small", concurrency, count))
    found = {key: medians(rounds) for key, rounds in runs.items()}
    for concurrency in COUNTS:
        for operation in OPERATIONS:
            costs = {name: found[name, concurrency][operation] for name in ENGINES}
            what = f"FastDFS, {operation} 10 KiB, {concurrency} at once"
            yield from compared(what, costs, CPU_GOALS[operation])


def compared(what: str, costs: dict[str, Cost], goal: float) -> Iterator[Figure]:
    ours, theirs = costs["ours"], costs["aiofdfs"]
    cpu, speed = {"aiofdfs": 1000 * theirs["cpu"]}, {"aiofdfs": 1 / theirs["wall"]}
    yield Figure(f"{what}: CPU", "ms of CPU", 1000 * ours["cpu"], cpu, (Goal(goal, "aiofdfs"),))
    yield Figure(f"{what}: speed", "files per second", 1 / ours["wall"], speed, is_more_better=True)


async def small(engine: Engine, concurrency: int, count: int) -> Costs:
    """Upload, download and ask for so many files, so many at once; CPU and wall time are per file."""
    costs: Costs = {}
    ids: list[Any] = []
    for name in OPERATIONS:
        given = repeat(CONTENT, count) if name == "upload" else ids
        with measured() as cost:
            answers = await at_once(getattr(engine, name), given, concurrency)
        costs[name] = {"cpu": cost["cpu"] / count, "wall": cost["wall"] / count}
        ids = ids or answers
        assert name == "upload" or answers == [len(CONTENT)] * count
    await at_once(engine.delete, ids, concurrency)
    return costs


async def at_once[Given, Answer](
    operation: Callable[[Given], Awaitable[Answer]], given: "Iterator[Given] | list[Given]", concurrency: int
) -> list[Answer]:
    answers: list[Answer] = []
    waiting = iter(given)

    async def work() -> None:
        for each in waiting:
            answers.append(await operation(each))  # noqa: PERF401 - each waits for the one before

    await asyncio.gather(*(work() for _ in repeat(None, concurrency)))
    return answers


# ---- a large file


def large_file(tracker: str, path: Path) -> Iterator[Figure]:
    path.write_bytes(bytes(range(256)) * (LARGE >> 8))
    runs: dict[str, list[Costs]] = {name: [] for name in ENGINES}
    for turn in range(LARGE_ROUNDS):
        for name in rotated(list(ENGINES), turn):
            with child(__name__, name, tracker) as process:  # a new one: memory once used makes a peak invisible
                runs[name].append(process.ask("large", str(path)))
    found = {name: medians(rounds) for name, rounds in runs.items()}
    for direction in ("up", "down"):
        costs = {name: found[name][direction] for name in ENGINES}
        yield from large_figures(f"FastDFS, 200 MiB {direction}", costs, LARGE, (Goal(MEMORY_GOAL),))


async def large(engine: Engine, path: str) -> Costs:
    """Upload a file, download it again, and delete it."""
    with measured() as up:
        file_id = await engine.upload_path(Path(path))
    with measured() as down:
        assert await engine.stream(file_id) == LARGE
    await engine.delete(file_id)
    return {"up": up, "down": down}


async def main(name: str, tracker: str) -> None:
    logging.getLogger("aiofdfs").addHandler(logging.NullHandler())  # it warns of every wait for its pool of ten
    async with AsyncExitStack() as stack:
        engine = ENGINES[name](tracker)
        await engine.begin(stack)
        await small(engine, 2, 8)  # imports what is imported late
        await serve({"small": partial(small, engine), "large": partial(large, engine)})


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

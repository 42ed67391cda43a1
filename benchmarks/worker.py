"""Measures one S3 client in a process of its own, so that its CPU time and memory are its own.

It does what each line of its standard input asks, ``["small", 32, 320]``, and answers with a line, both JSON.
"""

import asyncio
import gc
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import asdict
from itertools import repeat
from pathlib import Path
from typing import Any

from benchmarks.engines import ENGINES, Engine, Server

OPERATIONS = ("put", "get", "head", "delete")
CONTENT = bytes(range(256)) * 40  # 10 KiB

type Cost = dict[str, float]
type Costs = dict[str, Cost]
"""By operation: ``cpu`` and ``wall`` in seconds, ``peak`` in KiB above what the process had."""


class Worker:
    """The process, as its parent sees it."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self._answer()  # once it is warm

    def ask(self, task: str, *arguments: object) -> Costs:
        assert self._process.stdin is not None
        print(json.dumps([task, *arguments]), file=self._process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError("the process that measures has failed, as it says above")
        return json.loads(answer)


@contextmanager
def worker(engine: str, server: Server) -> Iterator[Worker]:
    """Ends with the block."""
    command = [sys.executable, "-m", "benchmarks.worker", engine, json.dumps(asdict(server))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Worker(process)


@contextmanager
def measured() -> Iterator[Cost]:
    """What the block cost; the CPU time is that of all threads."""
    cost: Cost = {}
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    idle, cpu, wall = peak(), time.process_time(), time.perf_counter()
    yield cost
    cost.update(cpu=time.process_time() - cpu, wall=time.perf_counter() - wall, peak=peak() - idle)


def peak() -> int:
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1])


async def small(engine: Engine, concurrency: int, count: int) -> Costs:
    """Put, get, head and delete so many files of 10 KiB, so many at once; CPU and wall time are per file."""
    costs = {}
    for name in OPERATIONS:
        operation = getattr(engine, name)
        with measured() as cost:
            await at_once(operation, concurrency, count, CONTENT if name == "put" else None)
        costs[name] = {"cpu": cost["cpu"] / count, "wall": cost["wall"] / count}
    return costs


async def at_once(
    operation: Callable[..., Awaitable[int | None]], concurrency: int, count: int, content: bytes | None
) -> None:
    keys = iter([f"small/{os.getpid()}/{number:08x}_report.pdf" for number in range(count)])
    given = () if content is None else (content,)

    async def work() -> None:
        for key in keys:
            assert await operation(key, *given) in {None, len(CONTENT)}

    await asyncio.gather(*(work() for _ in repeat(None, concurrency)))


async def large(engine: Engine, path: str, size: int) -> Costs:
    """Upload a binary file, download it again, and delete it."""
    with measured() as up, Path(path).open("rb") as file:  # noqa: ASYNC230 - it is opened at once
        await engine.upload("large.bin", file)
    with measured() as down:
        assert await engine.download("large.bin") == size
    await engine.delete("large.bin")
    return {"up": up, "down": down}


async def main(name: str, server: str) -> None:
    engine = ENGINES[name](Server(**json.loads(server)))
    async with AsyncExitStack() as stack:
        await engine.begin(stack)
        answer = await small(engine, 2, 8)  # imports what is imported late
        print(json.dumps(answer), flush=True)
        for line in sys.stdin:
            task, *arguments = json.loads(line)
            answer = await TASKS[task](engine, *arguments)
            print(json.dumps(answer), flush=True)


TASKS: dict[str, Callable[..., Awaitable[Costs]]] = {"small": small, "large": large}

if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

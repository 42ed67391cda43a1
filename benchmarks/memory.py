"""The peak memory of writing and reading 256 MiB, above an idle storage; each in a process of its own."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator

from benchmarks import Figure, Goal

SIZE = 256 << 20

PROGRAM = """
import asyncio, os, re, sys, time
from pathlib import Path
from async_storages import LocalStorage

task, folder, size = sys.argv[1], sys.argv[2], int(sys.argv[3])

def peak():
    # not ru_maxrss: that one is inherited from the parent process
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

async def chunks():
    for _ in range(size // 1_000_000):
        yield os.urandom(1_000_000)
    yield bytes(size % 1_000_000)

async def write(storage):
    await storage.upload(chunks(), "big.bin")

async def write_path(storage):
    await storage.upload(Path(folder, "big.bin"), "copy.bin")

async def read(storage):
    total = 0
    async for chunk in storage.stream("big.bin"):
        total += len(chunk)
    assert total == size

async def download(storage):
    await storage.download_to("big.bin", Path(folder, "download.bin"))

async def main():
    async with LocalStorage(folder) as storage:
        await storage.upload(bytes(1000), "warm.bin")
        await storage.read("warm.bin")
        before = peak()
        started = time.perf_counter()
        await globals()[task](storage)
        took = time.perf_counter() - started
        print(peak() - before, took)

asyncio.run(main())
"""


def measure() -> Iterator[Figure]:
    tasks = {
        "write": "write 256 MiB from an async iterable",
        "write_path": "write 256 MiB from a path",
        "read": "stream 256 MiB",
        "download": "download 256 MiB to a path",
    }
    with tempfile.TemporaryDirectory() as folder:
        for task, what in tasks.items():
            done = subprocess.run(
                [sys.executable, "-c", PROGRAM, task, folder, str(SIZE)], check=True, capture_output=True, text=True
            )
            kibibytes, took = map(float, done.stdout.split())
            yield Figure(f"{what}: peak memory", "MiB above idle", kibibytes / 1024, goals=(Goal(16),))
            yield Figure(f"{what}: speed", "MiB/s", SIZE / took / (1 << 20), is_more_better=True)

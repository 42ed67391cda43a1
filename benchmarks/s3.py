"""`S3Storage` on a real server against other clients, interleaved: CPU time of the client, speed, memory."""

import asyncio
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from async_storages import S3Storage, StoredImage, events
from async_storages.testing.faults import FaultProxy
from async_storages.testing.seaweedfs import seaweedfs_server
from benchmarks import Figure, Goal
from benchmarks.dimensions import photograph
from benchmarks.engines import ENGINES, Server
from benchmarks.worker import OPERATIONS, Cost, Costs, worker

ROUNDS = 5
LARGE_ROUNDS = 3
LARGE = 256 << 20
COUNTS = {1: 100, 32: 320}
"""Files per round by how many are in flight."""

WARM_UP = 16
"""In flight at first, twice as many files: each makes the connections and calls that are not counted."""

PEER = "fastapi-async-storages"
PEER_VERSION = "0.1.4"
PEER_ROUNDS = 2
PEER_SHARE = 10  # it takes 50 to 100 times as long, so it is given so much less to do

# what the others' CPU time must at least be, as a multiple of ours
CPU_GOALS = {"aioboto3": 5, "obstore": 1}
MEMORY_GOALS = {"up": 40, "down": 8}  # MB


def measure() -> Iterator[Figure]:
    peer = peer_folder()
    engines = [name for name in ENGINES if name != PEER or peer]
    if not peer:
        yield Figure(f"{PEER} {PEER_VERSION}", note="left out, as pip could not install it")
    with seaweedfs_server() as running:
        server = Server(running.endpoint_url, running.bucket, running.access_key_id, running.secret_access_key, peer)
        yield from small_files(engines, server)
        yield from large_file(engines, server)
        yield from asyncio.run(dimensions(server))


def peer_folder() -> str | None:
    """Where fastapi-async-storages is installed, apart as it calls itself `async_storages`; None if it cannot be."""
    folder = Path(".benchmarks", f"{PEER}-{PEER_VERSION}").absolute()
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", folder, f"{PEER}=={PEER_VERSION}"]
    if not folder.exists() and subprocess.run(command, check=False, capture_output=True).returncode:
        return None
    return str(folder)


def medians(runs: list[Costs]) -> Costs:
    return {
        name: {what: statistics.median(run[name][what] for run in runs) for what in cost}
        for name, cost in runs[0].items()
    }


def rotated(names: list[str], turn: int) -> list[str]:
    turn %= len(names)
    return names[turn:] + names[:turn]


# ---- small files


def small_files(engines: list[str], server: Server) -> Iterator[Figure]:
    runs: dict[tuple[str, int], list[Costs]] = {}
    for turn in range(ROUNDS):
        for name in rotated(engines, turn):
            if name == PEER and turn >= PEER_ROUNDS:
                continue
            share = PEER_SHARE if name == PEER else 1
            with worker(name, server) as process:  # a new one: the same code differs by 10 % from process to process
                process.ask("small", WARM_UP, 2 * WARM_UP)
                for concurrency, count in COUNTS.items():
                    costs = process.ask("small", concurrency, count // share)
                    runs.setdefault((name, concurrency), []).append(costs)
    found = {key: medians(rounds) for key, rounds in runs.items()}
    for concurrency in COUNTS:
        for operation in OPERATIONS:
            costs = {name: found[name, concurrency][operation] for name in engines}
            yield from compared(f"{operation} 10 KiB, {concurrency} at once", costs)


def compared(what: str, costs: dict[str, Cost]) -> Iterator[Figure]:
    """CPU time and files per second; the others' against ours."""
    cpu = {name: 1000 * cost["cpu"] for name, cost in costs.items()}
    speeds = {name: 1 / cost["wall"] for name, cost in costs.items()}
    goals = tuple(Goal(least, name) for name, least in CPU_GOALS.items())
    yield Figure(f"{what}: CPU", "ms of CPU", cpu.pop("ours"), cpu, goals)
    yield Figure(f"{what}: speed", "files per second", speeds.pop("ours"), speeds, is_more_better=True)


# ---- a large file


def large_file(engines: list[str], server: Server) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "large.bin")
        path.write_bytes(bytes(range(256)) * (LARGE >> 8))
        runs: dict[str, list[Costs]] = {name: [] for name in engines}
        for turn in range(LARGE_ROUNDS):
            for name in rotated(engines, turn):
                with worker(name, server) as process:  # a new one: memory once used makes a peak invisible
                    runs[name].append(process.ask("large", str(path), LARGE))
    found = {name: medians(rounds) for name, rounds in runs.items()}
    for direction, goal in MEMORY_GOALS.items():
        costs = {name: found[name][direction] for name in engines}
        yield from large_figures(f"256 MiB {direction}", costs, LARGE, (Goal(goal),))


def large_figures(
    what: str, costs: dict[str, Cost], size: int, memory_goals: tuple[Goal, ...] = ()
) -> Iterator[Figure]:
    """Peak memory, CPU time and speed of a large transfer."""
    peaks = {name: cost["peak"] * 1024 / 1e6 for name, cost in costs.items()}
    cpu = {name: cost["cpu"] for name, cost in costs.items()}
    speeds = {name: size / cost["wall"] / (1 << 20) for name, cost in costs.items()}
    yield Figure(f"{what}: peak memory", "MB above idle", peaks.pop("ours"), peaks, memory_goals)
    yield Figure(f"{what}: CPU", "s of CPU", cpu.pop("ours"), cpu)
    yield Figure(f"{what}: speed", "MiB/s", speeds.pop("ours"), speeds, is_more_better=True)


# ---- dimensions


async def dimensions(server: Server) -> Iterator[Figure]:
    address = urlsplit(server.endpoint_url)
    content = photograph()
    async with (
        FaultProxy(str(address.hostname), address.port or 80) as proxy,
        S3Storage(
            server.bucket, endpoint_url=proxy.url, aws_access_key_id=server.key_id, aws_secret_access_key=server.secret
        ) as storage,
    ):
        image = StoredImage((await storage.save(content, "photo.jpg")).file_id, storage)
        seen: list[events.Event] = []
        sent = len(proxy.requests)
        events.hooks.append(seen.append)
        found = await image.get_dimensions()
        events.hooks.remove(seen.append)
        requests = [request.method for request in proxy.requests[sent:]]
    assert found == (3400, 4200), found
    read = sum(event.bytes for event in seen)
    name = f"dimensions of a JPEG of {len(content) / 1e6:.0f} MB: read from S3"
    return iter([Figure(name, "bytes", read, goals=(Goal(131_072),), note=f"requests: {len(requests)}")])

"""200 clients at once upload and download 1 MiB through uvicorn, on SeaweedFS: what is lost, memory, `/ping`."""

import asyncio
import json
import random
import re
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from statistics import quantiles

import aiohttp

from async_storages.testing.seaweedfs import S3Server, seaweedfs_server
from benchmarks import Figure, Goal, load_apps, load_ping
from benchmarks.s3 import PEER, PEER_VERSION

CLIENTS = 200
WAVES = 3
"""In each of which every client uploads one file and downloads it."""

LOST, SPEED = f"lost of {CLIENTS * WAVES}", "speed"
UNITS = {
    LOST: "files",
    SPEED: "MiB/s",
    "memory when idle": "MiB",
    **{f"peak memory, wave {number}": "MiB" for number in range(1, WAVES + 1)},
    **{f"ping, {which}": "ms" for which in ("p50", "p99", "longest")},
}
"""By kind of number, as they are shown."""

CONTENT = random.Random(1).randbytes(1 << 20)
PATIENCE = aiohttp.ClientTimeout(total=300)
SHARED = ("fastapi", "starlette", "uvicorn", "python-multipart")  # of the same versions in every environment


@dataclass
class Run:
    """What was seen of one application.

    Attributes:
        losses: What went wrong, a line each.
        idle: Its memory before, in KiB.
        peaks: The most it had in each wave.
        pings: Seconds.
        wall: Seconds in all.
    """

    losses: list[str] = field(default_factory=list)
    idle: int = 0
    peaks: list[int] = field(default_factory=list)
    pings: list[float] = field(default_factory=list)
    wall: float = 0


def measure() -> Iterator[Figure]:
    pythons = {"ours": sys.executable, "boto3": sys.executable, PEER: peer_python()}
    numbers = dict[str, dict[str, float]]()
    with seaweedfs_server() as server:
        for name, python in pythons.items():
            with application(name, python, server) as (process, port):
                numbers[name] = numbers_of(run := asyncio.run(measured(process.pid, port)))
            if run.losses:
                yield Figure(f"{CLIENTS} clients: the first loss of {name}", note=run.losses[0])
    for kind, unit in UNITS.items():
        peers = {name: found[kind] for name, found in numbers.items()}
        goals = (Goal(0),) if kind == LOST else ()
        what = f"{CLIENTS} clients, {WAVES} × 1 MiB up and down: {kind}"
        yield Figure(what, unit, peers.pop("ours"), peers, goals, is_more_better=kind == SPEED)


def numbers_of(run: Run) -> dict[str, float]:
    """What is shown of a run, by kind."""
    hundredths = quantiles(run.pings, n=100, method="inclusive")
    pings = [1000 * seconds for seconds in (hundredths[49], hundredths[98], max(run.pings))]
    memory = [kib / 1024 for kib in (run.idle, *run.peaks)]
    speed = 2 * CLIENTS * WAVES / run.wall
    return dict(zip(UNITS, [len(run.losses), speed, *memory, *pings], strict=True))


def peer_python() -> str:
    """The Python of an environment with fastapi-async-storages, built once."""
    folder = Path(".benchmarks", f"load-{PEER}-{PEER_VERSION}").absolute()
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        venv.create(folder, with_pip=True, clear=True)
        packages = [f"{PEER}[s3]=={PEER_VERSION}", "pillow", *(f"{name}=={version(name)}" for name in SHARED)]
        subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True, capture_output=True)
        (folder / "complete").touch()
    return str(python)


@contextmanager
def application(name: str, python: str, server: S3Server) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """Its process and port."""
    about = {
        "bucket": server.bucket,
        "endpoint_url": server.endpoint_url,
        "key_id": server.access_key_id,
        "secret": server.secret_access_key,
    }
    command = [python, "-I", load_apps.__file__, name, json.dumps(about)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, int(process.stdout.readline())
        finally:
            process.terminate()


async def measured(pid: int, port: int) -> Run:
    run = Run()
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", connector=connector, timeout=PATIENCE) as session:
        run.losses += filter(None, [await lost(session, 0)])  # what is imported late is
        run.idle = memory(pid, "VmRSS")
        pinging = await asyncio.create_subprocess_exec(
            *(sys.executable, load_ping.__file__, str(port)), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        started = time.perf_counter()
        for _ in range(WAVES):
            forget_peak(pid)
            outcomes = await asyncio.gather(*(lost(session, number) for number in range(CLIENTS)))
            run.losses += filter(None, outcomes)
            run.peaks.append(memory(pid, "VmHWM"))
        run.wall = time.perf_counter() - started
        run.pings = json.loads((await pinging.communicate())[0])
    return run


async def lost(session: aiohttp.ClientSession, number: int) -> str | None:
    """What went wrong when a client uploaded a file of its own and downloaded it; None if every byte came back."""
    content = CONTENT[number:] + CONTENT[:number]
    form = aiohttp.FormData()
    form.add_field("file", content, filename=f"{number}.bin", content_type="application/octet-stream")
    try:
        async with session.post("/files/upload", data=form, raise_for_status=True) as answer:
            key = (await answer.json())["file_id"]
        async with session.get(f"/files/{key}/download", raise_for_status=True) as answer:
            return None if await answer.read() == content else "other bytes"
    except (aiohttp.ClientError, TimeoutError) as error:
        return f"{type(error).__name__}: {error}"


def forget_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def memory(pid: int, what: str) -> int:
    found = re.search(rf"{what}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1])

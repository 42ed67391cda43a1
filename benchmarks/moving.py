"""Moving files and the rows that name them: from folder to folder with kills, and to S3, against ``rclone copy``."""

import asyncio
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from async_storages.testing.postgres import PostgresServer, postgres_server
from async_storages.testing.seaweedfs import S3Server, seaweedfs_server
from benchmarks import Figure, Goal
from benchmarks.mover import CONCURRENCY, EVERY, LEASE, Place
from benchmarks.worker import Cost

ROWS = int(os.environ.get("ROWS", "20000"))
"""At least 200 for each kill and 200 more."""

KILLS = int(os.environ.get("KILLS", "3"))
SIZE = 10 << 10
SMALL = 2000
"""Files of 10 KiB that are moved to S3."""

LARGE, LARGE_SIZE = 4, 64 << 20
ROUNDS = 3
RCLONE = "rclone"

FOLDER = os.environ.get("FOLDER")
"""Where the files are; by default in memory, if there is room."""

MEMORY = Path("/dev/shm")  # the disk of a virtual machine would be most of what is measured
PER_FILE = 40 << 10
"""Bytes that a file needs there, with its copy."""

TENTHS = """
    SELECT (count(*) - 1) / (max(moved) - min(moved))
    FROM (SELECT moved, ntile(10) OVER (ORDER BY moved) AS tenth FROM file_moves WHERE moved IS NOT NULL) AS tenths
    GROUP BY tenth ORDER BY tenth
"""
SIZES = "SELECT pg_relation_size('file_moves'), pg_indexes_size('file_moves')"
FILL = """
    INSERT INTO papers (id, file)
    SELECT n, 'file:old/' || n / 1000 || '/' || n || '.bin' FROM generate_series(1, {}) AS n
"""
LEFT = "SELECT count(*) FROM papers WHERE file LIKE 'file:old/%'"


def measure() -> Iterator[Figure]:
    with postgres_server() as server:
        for part in (folder_to_folder, folder_to_s3):
            for figure in part(server):
                tell(f"{figure.what}: {figure.ours} {figure.unit} {figure.note}")
                yield figure


# ---- folder to folder


def folder_to_folder(server: PostgresServer) -> Iterator[Figure]:
    """All rows, with a mover that is killed now and then."""
    with place_of(server, "folders", ROWS, SIZE) as place:
        tell(f"{ROWS:,} files are there")
        planned = ended("plan", place)
        yield Figure("plan", "rows per second", ROWS / planned["wall"], is_more_better=True, note=f"{ROWS:,} rows")
        yield Figure("plan: peak memory", "MiB above idle", planned["peak"] / 1024)
        began = time.perf_counter()
        runs = moved_with_kills(place)
        wall = time.perf_counter() - began
        tenths = [speed for (speed,) in asked(place, TENTHS)]
        note = f"{ROWS:,} files, {KILLS} kills"
        what = f"folder to folder, 10 KiB, {CONCURRENCY} at once"
        yield Figure(f"{what}: speed", "files per second", ROWS / wall, is_more_better=True, note=note)
        yield Figure(f"{what}: CPU", "ms of CPU", 1000 * runs[0]["cpu"] / runs[0]["files"], note=note)
        first = {"the first tenth": float(tenths[0])}
        goals, note = (Goal(0.9, *first),), f"slowest {min(tenths):,.0f}, fastest {max(tenths):,.0f}"
        last = float(tenths[-1])
        yield Figure(f"{what}: the last tenth", "files per second", last, first, goals, is_more_better=True, note=note)
        peak = max(each["peak"] for each in runs) / 1024
        yield Figure(f"{what}: peak memory of a mover", "MiB above idle", peak, goals=(Goal(16),))
        [(table, indexes)] = asked(place, SIZES)
        note = f"{table / ROWS:,.0f} of the table, {indexes / ROWS:,.0f} of its indexes"
        yield Figure("`file_moves`: a row", "bytes", (table + indexes) / ROWS, note=note)
        [(left,)] = asked(place, LEFT)
        yield Figure(f"{what}: rows that name an old file afterwards", "rows", left, goals=(Goal(0),))
        verified = ended("verify", place)
        yield Figure("verify with contents", "files per second", ROWS / verified["wall"], is_more_better=True)
        yield Figure("verify with contents: peak memory", "MiB above idle", verified["peak"] / 1024)
        wrong = ROWS - verified["files"] or int(not verified["is_right"])
        yield Figure("verify with contents: files that are not right", "files", wrong, goals=(Goal(0),))


def moved_with_kills(place: Place) -> list[Cost]:
    """The costs of the movers that came to their end; others were killed."""
    share = ROWS // (KILLS + 1) - EVERY  # so that some are left for the last one
    for _ in range(KILLS):
        with process("move", place) as mover:
            for said in said_by(mover):
                if isinstance(said, list) and said[0] >= share:
                    tell(f"killed after {said[0]:,} files")
                    mover.kill()
                    break
    runs = [last_run(place)]
    while asked(place, LEFT) != [(0,)]:  # what a killed mover had taken, until its lease is over
        time.sleep(LEASE.total_seconds() / 4)
        runs.append(ended("move", place))
        if runs[-1]["missing"] or runs[-1]["failed"]:
            raise RuntimeError(f"some files could not be moved: {runs[-1]}")
    return runs


def last_run(place: Place) -> Cost:
    """A mover that is not killed; it tells its speed and CPU time at each tenth, as another program may slow it."""
    cost: Cost = {}
    with process("move", place) as mover:
        began, cpu, before = time.perf_counter(), 0.0, 0
        for said in said_by(mover):
            if isinstance(said, dict):
                cost = said
            elif said[0] - before >= ROWS / (KILLS + 1) / 10:
                moved, used = said
                speed = (moved - before) / (time.perf_counter() - began)
                share = 1000 * (used - cpu) / (moved - before)
                tell(f"{moved:,} files; {speed:,.0f}/s, {share:.2f} ms CPU a file since the last")
                began, cpu, before = time.perf_counter(), used, moved
    if not cost:
        raise RuntimeError("the mover has failed, as it says above")
    return cost


def said_by(mover: "subprocess.Popen[str]") -> Iterator[Any]:
    for line in mover.stdout or ():
        yield json.loads(line)


def tell(what: str) -> None:
    """Say how far it is: a large run takes an hour, and may be stopped before the table is printed."""
    print(time.strftime("%H:%M:%S"), what, file=sys.stderr, flush=True)


# ---- folder to S3, as rclone does it without rows


def folder_to_s3(server: PostgresServer) -> Iterator[Figure]:
    rclone = shutil.which("rclone")
    for count, size in ((SMALL, SIZE), (LARGE, LARGE_SIZE)):
        ours, theirs = list[Cost](), list[Cost]()
        with seaweedfs_server() as s3:
            for turn in range(ROUNDS):
                with place_of(server, f"s3_{size}_{turn}", count, size) as there:
                    for run in (ours, theirs) if turn % 2 else (theirs, ours):
                        s3.create_bucket(bucket := f"{'ours' if run is ours else 'theirs'}{turn}")
                        if run is ours:
                            ours.append(
                                ended("plan_and_move", Place(there.database, there.folder, options(s3, bucket)))
                            )
                        elif rclone:
                            theirs.append(copied_by(rclone, there, s3, bucket))
        runs = {RCLONE: theirs} if rclone else {}
        yield from beside_rclone(ours, runs, count, size)


def beside_rclone(ours: list[Cost], theirs: dict[str, list[Cost]], count: int, size: int) -> Iterator[Figure]:
    is_small = size == SIZE
    what = f"folder to S3, {count:,} files of {'10 KiB' if is_small else '64 MiB'}, {CONCURRENCY} at once"
    unit, amount = ("files per second", count) if is_small else ("MiB/s", count * size >> 20)
    note = "" if theirs else "rclone is left out, as it is not on PATH"
    speeds = {name: amount / median(runs, "wall") for name, runs in theirs.items()}
    cpu = {name: 1000 * median(runs, "cpu") / count for name, runs in theirs.items()}
    own, goals = amount / median(ours, "wall"), tuple(Goal(1, name) for name in theirs)
    yield Figure(f"{what}: speed", unit, own, speeds, goals, is_more_better=True, note=note)
    yield Figure(f"{what}: CPU of a file", "ms of CPU", 1000 * median(ours, "cpu") / count, cpu)
    peaks = {name: max(each["peak"] for each in runs) / 1024 for name, runs in theirs.items()}
    note = ", ".join(f"{name}: {peak:.0f} MiB in all" for name, peak in peaks.items())
    yield Figure(f"{what}: peak memory", "MiB above idle", max(each["peak"] for each in ours) / 1024, note=note)


def median(runs: list[Cost], what: str) -> float:
    return statistics.median(each[what] for each in runs)


def options(server: S3Server, bucket: str) -> dict[str, Any]:
    return {
        "bucket_name": bucket,
        "endpoint_url": server.endpoint_url,
        "aws_access_key_id": server.access_key_id,
        "aws_secret_access_key": server.secret_access_key,
    }


def copied_by(rclone: str, place: Place, server: S3Server, bucket: str) -> Cost:
    remote = {
        "TYPE": "s3",
        "PROVIDER": "Other",
        "ENDPOINT": server.endpoint_url,
        "ACCESS_KEY_ID": server.access_key_id,
        "SECRET_ACCESS_KEY": server.secret_access_key,
        "NO_CHECK_BUCKET": "true",
    }
    known = {name: value for name, value in os.environ.items() if name != "AWS_CA_BUNDLE"}  # it stumbles over that
    environment = known | {f"RCLONE_CONFIG_THERE_{name}": value for name, value in remote.items()}
    at_once = ("--transfers", str(CONCURRENCY), "--checkers", str(CONCURRENCY))
    command = [rclone, "--config", "/dev/null", "copy", *at_once, f"{place.folder}/old", f"there:{bucket}"]
    began = time.perf_counter()
    with subprocess.Popen(command, env=environment) as running:
        _, status, used = os.wait4(running.pid, 0)
        running.returncode = os.waitstatus_to_exitcode(status)
    if running.returncode:
        raise RuntimeError(f"rclone has failed with {running.returncode}, as it says above")
    return {
        "wall": time.perf_counter() - began,
        "cpu": used.ru_utime + used.ru_stime,
        "peak": used.ru_maxrss,
    }


# ---- places and processes


@contextmanager
def place_of(server: PostgresServer, name: str, count: int, size: int) -> Iterator[Place]:
    """A database of its own, and a folder with files that its rows name."""
    is_roomy = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 2 * count * max(PER_FILE, 2 * size)
    with tempfile.TemporaryDirectory(prefix="moving-", dir=FOLDER or (MEMORY if is_roomy else None)) as folder:
        server.create_database(name)
        place = Place(server.url(name), folder)
        ended("create", place)
        content = bytearray(random.Random(name).randbytes(size))
        for number in range(1, count + 1):
            content[:8] = number.to_bytes(8)
            path = Path(folder, "old", str(number // 1000), f"{number}.bin")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        asked(place, FILL.format(count))
        asked(place, "ANALYZE papers")
        yield place
        server.drop_database(name)


@contextmanager
def process(task: str, place: Place) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "benchmarks.mover", task, json.dumps(asdict(place))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        try:
            yield running
        finally:
            running.kill()


def ended(task: str, place: Place) -> Cost:
    """The cost of a task that comes to its end."""
    with process(task, place) as running:
        assert running.stdout is not None
        *_, last = running.stdout
        running.wait()
    if running.returncode:
        raise RuntimeError(f"{task} has failed, as it says above")
    cost: Cost = json.loads(last)
    return cost


def asked(place: Place, statement: str) -> list[tuple[Any, ...]]:
    """The rows of a statement, if it has any."""

    async def ask() -> list[tuple[Any, ...]]:
        engine = create_async_engine(place.database)
        async with engine.begin() as connection:
            result = await connection.execute(text(statement))
            rows = [tuple(row) for row in result] if result.returns_rows else []
        await engine.dispose()
        return rows

    return asyncio.run(ask())

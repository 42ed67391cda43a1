"""The making of variants: against Pillow alone, a pool against a bare ProcessPoolExecutor, and peak memory."""

import asyncio
import multiprocessing
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from PIL import Image, ImageOps

from async_storages import ImageLimits, ImagePool, PillowEngine, Variant, VipsEngine
from async_storages.imaging.originals import inspected
from benchmarks import Figure, Goal

SIZE = (600, 800)
RECIPES = {name: Variant(*SIZE, format=name) for name in ("jpeg", "webp", "avif")}
QUALITIES = {"jpeg": 82, "webp": 80, "avif": 60}
CPU_GOAL = 1.1
BATCH_GOAL = 0.9
BATCH = 60
WORKERS = 2
FLAT = 16 << 10  # KiB
ORIENTATION = 0x0112
ALONE, BARE = "Pillow alone", "a bare ProcessPoolExecutor"


def photograph(path: Path) -> None:
    """Twelve megapixels that compress as a photograph does, held upright."""
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    noise = Image.effect_noise((1000, 750), 60).convert("RGB")
    noise.resize((4000, 3000), Image.Resampling.BICUBIC).save(path, "JPEG", quality=90, exif=exif)


def by_pillow(source: str, target: str, name: str) -> None:
    """What one would write who knows Pillow well: the fast order, without limits and colour profiles."""
    with Image.open(source, formats=["JPEG"]) as image:
        image.thumbnail(SIZE[::-1], Image.Resampling.LANCZOS)  # it is stored lying; a square would be decoded whole
        options = {"max_threads": 1} if name == "avif" else {}
        ImageOps.exif_transpose(image).save(target, name, quality=QUALITIES[name], **options)


def cpu(work: Callable[[], object], times: int = 7) -> float:
    """Seconds of CPU time; the least of several times."""
    spent = []
    for _ in range(times):
        begun = time.process_time()
        work()
        spent.append(time.process_time() - begun)
    return min(spent)


def one_variant(source: Path, target: Path) -> Iterator[Figure]:
    limits = ImageLimits()
    for name, recipe in RECIPES.items():
        times = 3 if name == "avif" else 9
        alone = cpu(lambda name=name: by_pillow(str(source), str(target), name), times)
        for engine in (PillowEngine(), VipsEngine()):
            spent = cpu(
                lambda engine=engine, recipe=recipe: engine.make(inspected(source, limits), target, recipe, limits),
                times,
            )
            what = f"12 megapixels to {name} of {SIZE[0]} × {SIZE[1]}, {type(engine).__name__}"
            goals = (Goal(1 / CPU_GOAL, ALONE),) if isinstance(engine, PillowEngine) else ()
            yield Figure(what, "ms of CPU", 1000 * spent, {ALONE: 1000 * alone}, goals)


async def through_pool(pool: ImagePool, source: Path, folder: Path, count: int) -> float:
    """Images a second."""
    begun = time.perf_counter()
    await asyncio.gather(*(pool.make(source, folder / f"{number}", RECIPES["jpeg"]) for number in range(count)))
    return count / (time.perf_counter() - begun)


def through_executor(executor: ProcessPoolExecutor, source: Path, folder: Path, count: int) -> float:
    """Images a second."""
    begun = time.perf_counter()
    calls = [executor.submit(by_pillow, str(source), str(folder / f"{number}"), "jpeg") for number in range(count)]
    for call in calls:
        call.result()
    return count / (time.perf_counter() - begun)


def peak(pid: int | str = "self") -> int:
    """KiB; not ru_maxrss, which is inherited from the parent process."""
    found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) if found else 0


def children() -> list[int]:
    return [int(pid) for path in Path("/proc/self/task").glob("*/children") for pid in path.read_text().split()]


async def batch(source: Path, folder: Path) -> Iterator[Figure]:
    spawn = multiprocessing.get_context("spawn")
    async with ImagePool(workers=WORKERS) as pool:
        await through_pool(pool, source, folder, 2 * WORKERS)
        workers, before = children(), peak()
        early = max(map(peak, workers))
        with ProcessPoolExecutor(WORKERS, spawn) as executor:
            await asyncio.to_thread(through_executor, executor, source, folder, 2 * WORKERS)
            rounds = []
            for _ in range(3):  # in turns, as the machine is not the same at all times
                ours = await through_pool(pool, source, folder, BATCH)
                bare = await asyncio.to_thread(through_executor, executor, source, folder, BATCH)
                rounds.append((ours, bare))
        late = max(map(peak, workers))
        own = peak() - before
    ours, bare = (max(speeds) for speeds in zip(*rounds, strict=True))
    what = f"{BATCH} photographs through {WORKERS} processes"
    goals, flat = (Goal(BATCH_GOAL, BARE),), (Goal(FLAT / 1024),)
    note = f"{late >> 10} MiB in all"
    grown, above = (late - early) / 1024, own / 1024
    return iter(
        [
            Figure(what, "images per second", ours, {BARE: bare}, goals, is_more_better=True),
            Figure(f"{what}: growth of a process after {3 * BATCH}", "MiB", grown, goals=flat, note=note),
            Figure(f"{what}: growth of the event loop's process", "MiB", above, goals=flat),
        ]
    )


def measure() -> Iterator[Figure]:
    os.environ.setdefault("VIPS_CONCURRENCY", "1")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photograph(folder / "photo.jpg")
        yield from one_variant(folder / "photo.jpg", folder / "made")
        yield from asyncio.run(batch(folder / "photo.jpg", folder))

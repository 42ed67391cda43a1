"""Variants of images: peers, first requests, several of one original, `regenerate_variants`, listings, an album."""

import asyncio
import json
import multiprocessing
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version
from itertools import chain
from pathlib import Path

from PIL import Image
from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from async_storages import (
    ImageLimits,
    ImagePool,
    LocalStorage,
    PillowEngine,
    S3Storage,
    StoredImage,
    Variant,
    Variants,
    events,
    file_urls,
)
from async_storages._tasks import map_bounded
from async_storages.ids import FileId
from async_storages.imaging.originals import inspected
from async_storages.integrations.sqlalchemy import FileLedger, ImageType, enable_file_tracking, regenerate_variants
from async_storages.integrations.sqlalchemy.ledger.storage_marks import FOLDER
from async_storages.testing.seaweedfs import seaweedfs_server
from async_storages.variants.keys import variant_id
from benchmarks import Figure, Goal
from benchmarks.environments import python_with
from benchmarks.imaging import BARE, FLAT, QUALITIES, SIZE, children, cpu, peak, photograph
from benchmarks.presigning import ENDPOINT, KEY_ID, SECRET
from benchmarks.variant_requests import first_requests

PEERS = {"django": "6.1.3", "easy-thumbnails": "2.10.1", "django-imagekit": "6.1.1", "sorl-thumbnail": "13.4.0"}
RECIPES = Variants(
    thumb=Variant(200, 200, fit="cover", format="webp"),
    card=Variant(width=400, format="webp"),
    large=Variant(width=800, format="webp"),
)
PHOTOGRAPHS = 1000
TURNS = 10
WORKERS = 2
BATCH_GOAL = 0.9
ROWS = 1000
LISTING_GOAL = 3.0
APART = "one by one"
ALBUM = 10_000
FILLED_AT_ONCE = 16
ROUNDS = 7


class Base(DeclarativeBase):
    pass


class Photo(Base):
    __tablename__ = "photos"
    id: Mapped[int] = mapped_column(primary_key=True)
    image: Mapped[StoredImage] = mapped_column(
        ImageType("unused", variants=RECIPES, width="width", height="height"), index=True
    )
    width: Mapped[int | None]
    height: Mapped[int | None]


@asynccontextmanager
async def database(folder: Path) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(f"sqlite+aiosqlite:///{folder / 'rows.sqlite'}")
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    yield engine
    await engine.dispose()


# ---- peers


def peers(source: Path, target: Path) -> Iterator[Figure]:
    python = python_with("variants", {**PEERS, "pillow": version("pillow")})
    if python is None:
        yield Figure("thumbnails for Django", note="left out, as pip could not install them")
        return
    limits, recipe = ImageLimits(), Variant(*SIZE, format="jpeg")
    asked = [source, *SIZE, QUALITIES["jpeg"], 5]
    command = [python, Path(__file__).with_name("variant_peers.py"), *map(str, asked)]
    told = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    ours = cpu(lambda: PillowEngine().make(inspected(source, limits), target, recipe, limits), 5)
    assert {tuple(made["size"]) for made in told.values()} == {SIZE}
    cpu_of_peers = {name: 1000 * made["seconds"] for name, made in told.items()}
    what = f"12 megapixels to jpeg of {SIZE[0]} × {SIZE[1]}, beside libraries for Django"
    yield Figure(what, "ms of CPU", 1000 * ours, cpu_of_peers)


# ---- several variants of one original


def together(source: Path, folder: Path) -> Iterator[Figure]:
    limits, engine = ImageLimits(), PillowEngine()
    flat = folder / "photo.png"
    with Image.open(source) as image:
        image.save(flat, compress_level=1)
    for path in (source, flat):
        original = inspected(path, limits)
        wanted = [(folder / name, recipe) for name, recipe in RECIPES.items()]

        def each(wanted=wanted, original=original) -> None:
            for target, recipe in wanted:
                engine.make(original, target, recipe, limits)

        alone = cpu(each, 5)
        at_once = cpu(lambda wanted=wanted, original=original: engine.make_many(original, wanted, limits), 5)
        kind = {".jpg": "JPEG", ".png": "PNG"}[path.suffix]
        what = f"three variants together of a {kind} of 12 megapixels"
        yield Figure(what, "ms of CPU", 1000 * at_once, {APART: 1000 * alone}, (Goal(1, APART),))


# ---- regenerate


def by_pillow(source: str, target: str) -> None:
    """The variants as one would write them who knows Pillow well: decoded once, without limits and colour profiles."""
    with Image.open(source, formats=["JPEG"]) as image:
        image.draft("RGB", (1600, 1600))
        image.load()
        for name, recipe in RECIPES.items():
            smaller = image.copy()
            smaller.thumbnail((recipe.width or 0, recipe.height or 1 << 14), Image.Resampling.LANCZOS)
            smaller.save(f"{target}-{name}", "webp", quality=QUALITIES["webp"])


async def regenerated(photo: Path, folder: Path) -> Iterator[Figure]:
    (folder / "files").mkdir()
    (folder / "bare").mkdir()
    source = folder / "smaller.jpg"
    with Image.open(photo) as image:
        image.resize((2000, 1500)).save(source, "JPEG", quality=90)
    turn = PHOTOGRAPHS // TURNS
    rounds, peaks = list[tuple[float, float]](), list[tuple[int, int]]()
    async with (
        database(folder) as engine,
        LocalStorage(folder / "files") as storage,
        ImagePool(workers=WORKERS) as pool,
    ):
        Photo.__table__.c.image.type.storage = storage
        last = await regenerate_new(engine, pool, source, folder, range(1, 5))
        workers = children()
        with ProcessPoolExecutor(WORKERS, multiprocessing.get_context("spawn")) as executor:
            await asyncio.to_thread(bare, executor, source, folder, range(4))
            for first in range(last + 1, last + PHOTOGRAPHS, turn):  # in turns, as the machine is not always the same
                numbers = range(first, first + turn)
                begun = time.perf_counter()
                await regenerate_new(engine, pool, source, folder, numbers)
                between = time.perf_counter()
                await asyncio.to_thread(bare, executor, source, folder, numbers)
                rounds.append((turn / (between - begun), turn / (time.perf_counter() - between)))
                peaks.append((peak(), max(map(peak, workers))))
    ratio = statistics.median(ours / theirs for ours, theirs in rounds)
    speeds = [statistics.median(speeds) for speeds in zip(*rounds, strict=True)]
    what = f"regenerate_variants of {PHOTOGRAPHS:,} photographs"
    theirs = {BARE: speeds[0] / ratio}  # by the median of the ratios
    figures = [Figure(what, "images per second", speeds[0], theirs, (Goal(BATCH_GOAL, BARE),), is_more_better=True)]
    for name, early, late in zip(("the event loop's process", "a worker"), peaks[0], peaks[-1], strict=True):
        grown, note = (late - early) / 1024, f"{late >> 10} MiB in all"
        figures.append(Figure(f"{what}: growth of {name}", "MiB", grown, goals=(Goal(FLAT / 1024),), note=note))
    return iter(figures)


async def regenerate_new(engine: AsyncEngine, pool: ImagePool, source: Path, folder: Path, numbers: range) -> int:
    """Make the variants of rows that are new."""
    for number in numbers:
        os.link(source, folder / "files" / f"{number:016x}_photo.jpg")
    async with engine.begin() as connection:
        rows = [{"id": number, "image": f"file:{number:016x}_photo.jpg"} for number in numbers]
        await connection.execute(insert(Photo.__table__), rows)
    done = await regenerate_variants(engine, Photo.image, pool=pool, after=(numbers[0] - 1,))
    assert (done.made, done.is_right) == (len(numbers) * len(RECIPES), True), done
    return numbers[-1]


def bare(executor: ProcessPoolExecutor, source: Path, folder: Path, numbers: range) -> None:
    calls = [executor.submit(by_pillow, str(source), str(folder / "bare" / f"{number}")) for number in numbers]
    for call in calls:
        call.result()


# ---- listings


async def images_of(session: AsyncSession) -> list[StoredImage]:
    return [row.image for row in await session.scalars(select(Photo).order_by(Photo.id))]


async def listing(session: AsyncSession, names: tuple[str, ...], *, presign: bool) -> int:
    """The URLs of all rows, from the SELECT on: of the images, or of their variants."""
    images = await images_of(session)
    session.expunge_all()
    files = [image.variant(name) for image in images for name in names] if names else images
    return len(await file_urls(files, presign=presign))


async def listings(folder: Path) -> Iterator[Figure]:
    figures = []
    plain = LocalStorage(folder, base_url="https://example.com/files")
    signed = S3Storage("photos", endpoint_url=ENDPOINT, aws_access_key_id=KEY_ID, aws_secret_access_key=SECRET)
    for storage, scheme, presign in ((plain, "file:", False), (signed, "s3:photos/", True)):
        async with database(folder) as engine, storage, AsyncSession(engine) as session:
            Photo.__table__.c.image.type.storage = storage
            async with engine.begin() as connection:
                rows = [
                    {"id": number, "image": f"{scheme}{number:016x}_cat.jpg", "width": 4000, "height": 3000}
                    for number in range(1, ROWS + 1)
                ]
                await connection.execute(insert(Photo.__table__), rows)
            asked, spent = list[str](), list[list[float]]()
            events.hooks.append(note := lambda event, asked=asked: asked.append(event.operation))
            for _ in range(ROUNDS):
                shown = ((), ("card",), tuple(RECIPES))
                spent.append([await cpu_of(listing(session, names, presign=presign)) for names in shown])
            events.hooks.remove(note)
        requests = requests_among(asked)
        image, one, three = map(min, zip(*spent, strict=True))
        what = f"{ROWS:,} rows with three {'presigned ' if presign else ''}URLs of variants each"
        fewer = {"one variant each": 1000 * one, "the image alone": 1000 * image}
        goals = (Goal(1 / LISTING_GOAL, "one variant each"),)
        figures.append(Figure(what, "ms of CPU", 1000 * three, fewer, goals))
        figures.append(Figure(f"{what}: requests", "requests", requests, goals=(Goal(0),)))
    return iter(figures)


def requests_among(operations: list[str]) -> int:
    """URLs are computed."""
    return sum(operation not in {"url", "presign"} for operation in operations)


async def cpu_of(work: Awaitable[object]) -> float:
    begun = time.process_time()
    await work
    return time.process_time() - begun


# ---- an album


async def albums(folder: Path) -> Iterator[Figure]:
    """Rows, images and variants that are there, in a folder and in a bucket; listed, and removed by one statement."""
    in_folder = LocalStorage(folder / "album", base_url="https://example.com/files")
    figures = [await album(folder, in_folder, "in a folder")]
    with seaweedfs_server() as server:
        bucket = S3Storage(
            server.bucket,
            endpoint_url=server.endpoint_url,
            aws_access_key_id=server.access_key_id,
            aws_secret_access_key=server.secret_access_key,
        )
        figures.append(await album(folder, bucket, "in a bucket of SeaweedFS"))
    return chain.from_iterable(figures)


async def album(folder: Path, opened: LocalStorage | S3Storage, where: str) -> list[Figure]:
    async with database(folder) as engine, opened as storage:
        Photo.__table__.c.image.type.storage = storage
        ids = [storage.identify(f"{number:016x}_cat.jpg") for number in range(ALBUM)]
        await map_bounded(partial(fill, storage), ids, limit=FILLED_AT_ONCE)
        async with engine.begin() as connection:
            rows = [{"id": n, "image": str(each), "width": 64, "height": 48} for n, each in enumerate(ids, 1)]
            await connection.execute(insert(Photo.__table__), rows)
        asked: list[str] = []
        events.hooks.append(note := lambda event: asked.append(event.operation))
        async with AsyncSession(engine) as session:
            spent = await cpu_of(listing(session, tuple(RECIPES), presign=False))
        requests = requests_among(asked)
        events.hooks.remove(note)
        ledger = FileLedger(engine, Base.metadata)
        await ledger.create()
        await ledger.adopt()
        sessions = enable_file_tracking(async_sessionmaker(engine), ledger=ledger)
        begun, busy = time.perf_counter(), time.process_time()
        async with sessions.begin() as session:
            await session.execute(delete(Photo))
        drained = await ledger.drain()
        took, busy = time.perf_counter() - begun, time.process_time() - busy
        left = len([info async for info in storage.list() if FOLDER not in info.file_id])  # but for the ledger's mark
    assert drained.deleted == ALBUM, drained
    what = f"an album of {ALBUM:,} images {where}"
    return [
        Figure(f"{what}: the URLs of all variants", "s of CPU", spent),
        Figure(f"{what}: requests for the URLs", "requests", requests, goals=(Goal(0),)),
        Figure(f"{what}: to remove an image", "ms of CPU", busy * 1000 / ALBUM, note=f"{took:.1f} s in all"),
        Figure(f"{what}: left after the removal", "files", left, goals=(Goal(0),)),
    ]


async def fill(storage: LocalStorage | S3Storage, original: FileId) -> None:
    """Store an image, which nobody looks at, and its variants."""
    for each in (original, *(variant_id(original, name, recipe) for name, recipe in RECIPES.items())):
        await storage.upload(b"image", each)


def measure() -> Iterator[Figure]:
    parts: list[Callable[[Path], Awaitable[Iterator[Figure]]]] = [listings, albums]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photograph(folder / "photo.jpg")
        yield from peers(folder / "photo.jpg", folder / "made")
        yield from first_requests(folder / "photo.jpg", folder)
        yield from together(folder / "photo.jpg", folder)
        yield from asyncio.run(regenerated(folder / "photo.jpg", folder))
        for part in parts:
            yield from asyncio.run(part(folder))

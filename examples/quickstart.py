"""The main job, end to end: upload, put into a column, load, ask, presign, fetch, delete.

    python examples/quickstart.py [FILE] [--postgres] [--s3] [--clean]

Everything it makes is in ``demo-files`` below the current folder; ``--clean`` removes it again.
"""

import argparse
import asyncio
import hashlib
import importlib.util
import shutil
import sys
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager
from io import BytesIO
from pathlib import Path

from aiohttp import ClientSession, web
from PIL import Image, ImageDraw
from rich.console import Console
from rich.table import Table
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from async_storages import LocalStorage, Storage, StorageException, StoredFile, StoredImage, registry
from async_storages.integrations.sqlalchemy import FileType, ImageType

WORKPLACE = Path("demo-files")


class Base(DeclarativeBase):
    pass


class Document(Base):
    __tablename__ = "documents"

    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[StoredFile | None] = mapped_column(FileType("documents"))
    image: Mapped[StoredImage | None] = mapped_column(
        ImageType("documents", width="image_width", height="image_height")
    )
    image_width: Mapped[int | None]
    image_height: Mapped[int | None]


class Report:
    """A table of what was done, what it gave and how long it took."""

    def __init__(self, title: str) -> None:
        self.table = Table("call", "result", "ms", title=title, title_justify="left")
        self.table.columns[1].overflow = "fold"
        self.table.columns[2].justify = "right"

    async def line[T](self, call: str, work: Awaitable[T], show: str | None = None) -> T:
        """Do one thing and note it; `show` stands in for a result that is not for reading."""
        started = time.perf_counter()
        result = await work
        took = (time.perf_counter() - started) * 1000
        self.table.add_row(call, show if show is not None else f"{result!s}", f"{took:.1f}")
        return result


async def run(path: Path, *, postgres: bool, s3: bool) -> None:
    """The main job on one file."""
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(database(postgres=postgres))
        storage = await stack.enter_async_context(s3_storage() if s3 else local_storage())
        stack.enter_context(registry.override("documents", storage))

        engine = create_async_engine(url)
        stack.push_async_callback(engine.dispose)
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        report = Report(f"{path.name} on {engine.dialect.name} + {storage!r}")
        await main_job(path, storage, async_sessionmaker(engine), report)
        Console(width=None if sys.stdout.isatty() else 140).print(report.table)


async def main_job(path: Path, storage: Storage, sessions: async_sessionmaker[AsyncSession], report: Report) -> None:
    """Upload, store, load, ask, presign, fetch, delete."""
    image = await report.line("storage.save(path, folder='images')", storage.save(path, folder="images"))
    note = await report.line("storage.upload(b'…', 'notes/hello.txt')", storage.upload(b"hello", "notes/hello.txt"))
    async with sessions() as session:
        session.add(Document(file=note, image=image))
        await report.line("session.commit()", session.commit(), show="1 row, 2 files")

    async with sessions() as session:
        query = select(Document).order_by(Document.id.desc()).limit(1)
        document = (await report.line("session.scalars(select(Document))", session.scalars(query), show="1 row")).one()
        report.table.add_row("document.image", repr(document.image), "")
        assert document.image is not None  # noqa: S101 - for the type checker: it was just put there
        assert document.file is not None  # noqa: S101
        await report.line("document.image.get_size()", document.image.get_size())
        await report.line("document.image.get_dimensions()", dimensions(document.image))
        report.table.add_row("document.image_width × height", f"{document.image_width} × {document.image_height}", "")
        await report.line("document.image.read()", compare(document.image, path))
        await report.line("document.file.read()", document.file.read())
        await report.line("document.image.get_path()", document.image.get_path())
        url = await report.line(
            "document.image.get_presigned_url(60)", document.image.get_presigned_url(60, disposition="inline")
        )
        await report.line("  GET it", fetch(url))
        await report.line("  GET it without its token", fetch(url.partition("?")[0]))
        await report.line("document.file.delete()", document.file.delete(), show="1 file less")
        document.file = None
        await report.line("session.commit()", session.commit(), show="1 row, 1 file")
    if isinstance(storage, LocalStorage):
        report.table.add_row("the file itself", str(storage.root / image.name), "")


@asynccontextmanager
async def database(*, postgres: bool) -> AsyncIterator[str]:
    """The URL of a SQLite file, or of a PostgreSQL that is started for the demo from its wheel."""
    if not postgres:
        yield f"sqlite+aiosqlite:///{WORKPLACE / 'demo.db'}"
        return
    from async_storages.testing.postgres import postgres_server  # noqa: PLC0415 - only with --postgres

    async with in_threads(postgres_server()) as server:
        yield server.url()


@asynccontextmanager
async def s3_storage() -> AsyncIterator[Storage]:
    """A bucket on SeaweedFS, a real S3 server, started for the demo from its wheel."""
    from async_storages import S3Storage  # noqa: PLC0415 - only with --s3
    from async_storages.testing.seaweedfs import seaweedfs_server  # noqa: PLC0415

    async with (
        in_threads(seaweedfs_server()) as server,
        S3Storage(
            server.bucket,
            endpoint_url=server.endpoint_url,
            aws_access_key_id=server.access_key_id,
            aws_secret_access_key=server.secret_access_key,
        ) as storage,
    ):
        yield storage


@asynccontextmanager
async def local_storage() -> AsyncIterator[Storage]:
    """A folder, whose presigned URLs are served while the demo runs."""
    async with (
        file_server() as base_url,
        LocalStorage(WORKPLACE / "storage", base_url=base_url, secret_key="only for this demo") as storage,  # noqa: S106
    ):
        yield storage


@asynccontextmanager
async def in_threads[T](manager: AbstractContextManager[T]) -> AsyncIterator[T]:
    """Enter and leave a context manager that blocks."""
    entered = await asyncio.to_thread(manager.__enter__)
    try:
        yield entered
    finally:
        await asyncio.to_thread(manager.__exit__, None, None, None)


@asynccontextmanager
async def file_server() -> AsyncIterator[str]:
    """Serve presigned URLs of the storage, as `signed_downloads` does in a FastAPI application."""

    async def serve(request: web.Request) -> web.StreamResponse:
        storage = registry.get("documents").storage_for(f"file:{request.match_info['key']}")
        assert isinstance(storage, LocalStorage)  # noqa: S101
        try:
            allowed = storage.verify_presigned("GET", request.match_info["key"], request.query.get("token", ""))
            info = await storage.stat(allowed.key)
        except StorageException as error:
            return web.Response(status=error.http_status, text=error.reason)
        response = web.StreamResponse(headers={"Content-Type": info.content_type or "application/octet-stream"})
        response.content_length = info.file_size
        await response.prepare(request)
        async for chunk in storage.stream(allowed.key):
            await response.write(chunk)
        return response

    app = web.Application()
    app.router.add_get("/files/{key:.+}", serve)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/files"
    finally:
        await runner.cleanup()


async def dimensions(image: StoredImage) -> str:
    """Width and height of what is an image; any file may have been given."""
    try:
        found = await image.get_dimensions()
    except StorageException as error:
        return f"{type(error).__name__}: {error.reason}"
    return f"{found[0]} × {found[1]}" if found else "None: not an image"


async def compare(stored: StoredFile, path: Path) -> str:
    """Whether what was read back is what was saved."""
    content = await stored.read()
    same = hashlib.sha256(content).digest() == await asyncio.to_thread(sha256_of, path)
    return f"{len(content):,} bytes, {'the same' if same else 'NOT THE SAME'} as {path.name} by SHA-256"


async def fetch(url: str) -> str:
    """What a browser would get."""
    async with ClientSession() as client, client.get(url) as answer:
        body = await answer.read()
        return f"{answer.status} {answer.content_type}, {len(body):,} bytes"


def sha256_of(path: Path) -> bytes:
    """The digest of the user's own file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def sample_photo() -> Path:
    """A real photograph if a package with sample data is installed, else one drawn for the demo."""
    for package, sample in (("sklearn", "datasets/images/china.jpg"), ("skimage", "data/astronaut.png")):
        spec = importlib.util.find_spec(package)
        for place in (spec.submodule_search_locations or []) if spec else []:
            if (found := Path(place) / sample).is_file():
                return found
    return draw_photo(WORKPLACE / "sunset.jpg")


def draw_photo(path: Path) -> Path:
    """A sunset of 2400 × 1600, as a camera held upright stores it: turned, with an EXIF orientation."""
    width, height = 1600, 2400
    image = Image.linear_gradient("L").resize((width, height))
    red, green = ([255 - level // 4 for level in range(256)], [190 - level // 2 for level in range(256)])
    sky = Image.merge("RGB", (image.point(red), image.point(green), image))
    ImageDraw.Draw(sky).ellipse((500, 1300, 1100, 1900), fill=(255, 230, 150))
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = BytesIO()
    sky.save(buffer, "JPEG", quality=92, exif=exif)
    path.write_bytes(buffer.getvalue())
    return path


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="The main job of async_storages on one file.")
    parser.add_argument("file", nargs="?", type=Path, help="any file; by default a photograph")
    parser.add_argument("--postgres", action="store_true", help="on a PostgreSQL started for the demo, not SQLite")
    parser.add_argument("--s3", action="store_true", help="on an S3 server started for the demo, not a local folder")
    parser.add_argument("--clean", action="store_true", help=f"remove {WORKPLACE}/ and do nothing else")
    arguments = parser.parse_args()
    if arguments.clean:
        shutil.rmtree(WORKPLACE, ignore_errors=True)
        print(f"removed {WORKPLACE}/")
        return 0
    WORKPLACE.mkdir(exist_ok=True)
    path = arguments.file or sample_photo()
    try:
        asyncio.run(run(path, postgres=arguments.postgres, s3=arguments.s3))
    except StorageException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(f"What was stored here stays in {WORKPLACE}/;  make demo ARGS=--clean  removes them.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

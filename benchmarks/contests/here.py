"""Contests in this process: URLs, columns, commits, images and archives."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from io import BytesIO
from itertools import repeat
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from sqlalchemy import create_engine, insert
from sqlalchemy.orm import Session

from async_storages import ImageLimits, LocalStorage, PillowEngine, S3Storage, registry
from async_storages.images.probe import ImageProbe
from async_storages.imaging.originals import inspected
from benchmarks import imaging, orm_load, presigning, tracking, zipping
from benchmarks.contests.contest import Contest, taken

__all__ = [
    "archives",
    "commits",
    "dimensions",
    "imports",
    "loads",
    "presigned_urls",
    "variants",
]

# so little work that a turn takes some milliseconds: nothing disturbs some of them
ROWS = 800
HEADERS = 60
ARCHIVED = 2
COMMITS = 2
KEYS = presigning.KEYS[:6]
TIMES = {"presign": 16, "presign_many": 32}


def often(times: int, work: Callable[[], object]) -> Callable[[], None]:
    def again() -> None:
        for _ in repeat(None, times):
            work()

    return again


@contextmanager
def presigned_urls(kind: type[S3Storage] = S3Storage) -> Iterator[Contest]:
    """Ours makes its URLs several times: it is so much faster that a turn would be too short."""
    works = dict(zip(TIMES, presigning.ours(kind, KEYS), strict=True))
    theirs = presigning.botocore(KEYS)

    def ours() -> dict[str, float]:
        spent = taken({what: often(TIMES[what], work) for what, work in works.items()})
        return {what: seconds / TIMES[what] for what, seconds in spent.items()}

    yield Contest("botocore", ours, lambda: dict.fromkeys(TIMES, taken({"": theirs})[""]))


@contextmanager
def loads() -> Iterator[Contest]:
    engine = create_engine("sqlite://")
    orm_load.Base.metadata.create_all(engine)
    models = {"String": orm_load.AsString, "FileType": orm_load.AsFile, "ImageType": orm_load.AsImage}
    rows = [{"file": f"mem:documents/{number:08x}_report.pdf"} for number in range(ROWS)]
    with Session(engine) as session:
        for model in models.values():
            session.execute(insert(model), rows)
        session.commit()
        works = {name: partial(orm_load.loaded, session, model) for name, model in models.items()}
        columns = {name: works[name] for name in ("FileType", "ImageType")}
        yield Contest(
            "String", partial(taken, columns), lambda: dict.fromkeys(columns, taken({"": works["String"]})[""])
        )


@contextmanager
def dimensions() -> Iterator[Contest]:
    """The size of a photograph from its first bytes, beside Pillow, which opens it without decoding."""
    buffer = BytesIO()
    Image.effect_noise((600, 400), 60).convert("RGB").save(buffer, "JPEG", exif=upright())
    content = buffer.getvalue()

    def ours() -> None:
        probe = ImageProbe()
        while (wanted := probe.wanted) is not None:
            probe.feed(wanted.offset, content[wanted.offset : wanted.offset + wanted.length])
        assert probe.result is not None

    def theirs() -> None:
        with Image.open(BytesIO(content), formats=["JPEG"]) as image:
            assert image.size == (600, 400)
            image.getexif().get(imaging.ORIENTATION)

    works = (partial(taken, {"": often(HEADERS, work)}) for work in (ours, theirs))
    yield Contest("Pillow", *works)


def upright() -> Image.Exif:
    exif = Image.Exif()
    exif[imaging.ORIENTATION] = 6
    return exif


@contextmanager
def variants() -> Iterator[Contest]:
    limits = ImageLimits()
    with TemporaryDirectory() as name:
        source, target = Path(name, "photo.jpg"), Path(name, "made")
        imaging.photograph(source)
        engine, recipe = PillowEngine(), imaging.RECIPES["jpeg"]

        def ours() -> None:
            engine.make(inspected(source, limits), target, recipe, limits)

        theirs = partial(imaging.by_pillow, str(source), str(target), "jpeg")
        yield Contest(imaging.ALONE, partial(taken, {"": ours}), partial(taken, {"": theirs}), rounds=20)


@contextmanager
def archives() -> Iterator[Contest]:
    with asyncio.Runner() as runner:

        def turn(name: str) -> dict[str, float]:
            return taken({"": lambda: runner.run(archive(name))})

        async def archive(name: str) -> None:
            await zipping.WRITERS[name](ARCHIVED, zipping.same_chunks)

        yield Contest("zipfile", partial(turn, "ours"), partial(turn, "zipfile"))


@contextmanager
def commits() -> Iterator[Contest]:
    """Commits with a file on SQLite: with tracking and with a ledger, beside none."""
    with (
        TemporaryDirectory(dir=tracking.MEMORY if tracking.MEMORY.is_dir() else None) as folder,
        asyncio.Runner() as runner,
    ):
        storage = LocalStorage(Path(folder, "files"))
        stack = AsyncExitStack()

        def turn(*levels: str) -> dict[str, float]:
            return {
                tracking.SHOWN.get(level, level): taken({"": lambda level=level: runner.run(commit(level))})[""]
                for level in levels
            }

        async def commit(level: str) -> None:
            made = tracking.committing(level, sessions[level], storage, tracking.WITH_FILE)
            for _ in repeat(None, COMMITS):
                await made()

        none, *tracked = tracking.LEVELS
        with registry.override("tracking", storage):
            sessions = runner.run(
                stack.enter_async_context(tracking.levels(f"sqlite+aiosqlite:///{folder}/rows.sqlite"))
            )
            try:
                yield Contest(
                    none, partial(turn, *tracked), lambda: dict.fromkeys(tracking.SHOWN.values(), turn(none)[none])
                )
            finally:
                runner.run(stack.aclose())


OTHERS = "import pydantic"
"""This is imported before, so that it is not counted."""

OURS = "from async_storages import LocalStorage"
STANDARD = "import http.server, mailbox, sqlite3, unittest.mock, xml.dom.minidom, xmlrpc.server, zipapp"
MEASURED = "import time; {}; begun = time.process_time(); {}; print(time.process_time() - begun)"


@contextmanager
def imports() -> Iterator[Contest]:
    """Imports in fresh processes, beside one of some modules of the standard library; all of them are compiled."""
    with TemporaryDirectory() as folder:
        environment = os.environ | {"PYTHONPYCACHEPREFIX": folder, "PYTHONDONTWRITEBYTECODE": ""}

        def spent(program: str) -> dict[str, float]:
            command = [sys.executable, "-c", MEASURED.format(OTHERS, program)]
            return {"": float(subprocess.run(command, check=True, capture_output=True, env=environment).stdout)}

        yield Contest("the standard library", partial(spent, OURS), partial(spent, STANDARD), rounds=8)

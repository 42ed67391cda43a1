"""The dimensions of a photograph of 20 MB, against reading the file."""

import asyncio
import os
import struct
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO

from PIL import Image

from async_storages import LocalStorage, StoredImage, events
from async_storages.errors import InvalidArgumentException
from async_storages.images.probe import ImageProbe
from benchmarks import Figure, Goal


def photograph() -> bytes:
    """Noise compresses badly: 4200 x 3400 is about 20 MB; held upright, so that the EXIF orientation counts."""
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = BytesIO()
    Image.frombytes("RGB", (4200, 3400), os.urandom(4200 * 3400 * 3)).save(buffer, "JPEG", quality=97, exif=exif)
    return buffer.getvalue()


async def _measure(folder: str) -> Iterator[Figure]:
    async with LocalStorage(folder) as storage:
        content = photograph()
        stored = await storage.save(content, "photo.jpg")
        image = StoredImage(stored.file_id, storage)
        seen: list[events.Event] = []
        events.hooks.append(seen.append)
        found = await image.get_dimensions()
        events.hooks.remove(seen.append)
        assert found == (3400, 4200), found
        ranged = await fastest(image.get_dimensions)

        async def whole() -> None:
            Image.open(BytesIO(await image.read())).load()

        entire = await fastest(image.read)
        decoded = await fastest(whole)
    read = sum(event.bytes for event in seen)
    name = f"dimensions of a JPEG of {len(content) / 1e6:.0f} MB"
    return iter(
        [
            Figure(f"{name}: read from a folder", "bytes", read, goals=(Goal(131_072),), note=f"ranges: {len(seen)}"),
            Figure(
                f"{name}: time",
                "ms",
                ranged * 1000,
                {"reading the whole file": entire * 1000, "decoding it with Pillow": decoded * 1000},
            ),
        ]
    )


async def fastest(func) -> float:
    times = []
    for _ in range(5):
        started = time.perf_counter()
        await func()
        times.append(time.perf_counter() - started)
    return min(times)


_FTYP = b"\0\0\0\x10ftypheic\0\0\0\0"
HOSTILE = {
    "PNG of empty chunks": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1" + bytes(9), b"\0\0\0\0tEXt\0\0\0\0"),
    "JPEG of fill bytes": (b"\xff\xd8\xff\xfe\0\2", b"\xff"),
    "TIFF of 2,048 fields": (b"II*\0\x08\0\0\0\0\x08", struct.pack("<HHII", 256, 5, 1, 1)),
    "HEIC of empty boxes": (_FTYP, b"\0\0\0\x08free"),
    "HEIC of many items": (
        _FTYP
        + struct.pack(">I4sI", 0, b"meta", 0)
        + struct.pack(">I4sIH", 14, b"pitm", 0, 9)
        + struct.pack(">I4sI4sII", 0, b"iprp", 0, b"ipma", 0, 8000),
        b"\0\1\1\1",
    ),
}
"""How a header begins, and what follows again and again."""

HOSTILE_GOAL = 5.0  # ms


def hostile(start: bytes, again: bytes) -> float:
    """Milliseconds of CPU time in which a header is given up."""
    content = start + again * ((4 << 20) // len(again))
    probe, begun = ImageProbe(), time.thread_time()
    with suppress(InvalidArgumentException):
        while (wanted := probe.wanted) is not None:
            probe.feed(wanted.offset, content[wanted.offset : wanted.offset + wanted.length])
    return (time.thread_time() - begun) * 1000


def measure() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        yield from asyncio.run(_measure(folder))
    for name, header in HOSTILE.items():
        spent = min(hostile(*header) for _ in range(9))
        yield Figure(
            f"a hostile header, {name}: the event loop's thread", "ms of CPU", spent, goals=(Goal(HOSTILE_GOAL),)
        )

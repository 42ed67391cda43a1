"""The dimensions of a photograph of 20 MB, against reading the file."""

import asyncio
import os
import tempfile
import time
from collections.abc import Iterator
from io import BytesIO

from PIL import Image

from async_storages import LocalStorage, StoredImage, events
from benchmarks import Figure


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
            Figure(f"{name}: bytes read", f"{read:,} in {len(seen)} range(s)", "≤ 131,072", read <= 131_072),
            Figure(f"{name}: time", f"{ranged * 1000:.2f} ms"),
            Figure("  reading the whole file", f"{entire * 1000:.1f} ms, {entire / ranged:.0f}×"),
            Figure("  reading and decoding it with Pillow", f"{decoded * 1000:.0f} ms, {decoded / ranged:.0f}×"),
        ]
    )


async def fastest(func) -> float:
    times = []
    for _ in range(5):
        started = time.perf_counter()
        await func()
        times.append(time.perf_counter() - started)
    return min(times)


def measure() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        yield from asyncio.run(_measure(folder))

"""Images that other packages ship, as originals: `python -m tests.support.found_images FOLDER …` prints the figures.

Pillow's own test images, of its source distribution, are the most various that there are.
"""

import asyncio
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from async_storages import (
    ImageLimits,
    ImagePool,
    ImageProcessingException,
    InvalidFileTypeException,
    PillowEngine,
    Variant,
    VipsEngine,
)
from async_storages.images.formats import READABLE

IMAGES = re.compile(
    r"\.(apng|avifs?|bmp|blp|crash|cur|dds|dib|eps|f[lt]ic?|fpx|gif|heic|icns|ico|j2k|jp[2cx]|jpe?g|jxl|mic|mpo|msp|oom"
    r"|p[bgnp]m|pcx|pdf|png|psd|qoi|ras|sgi|svg|tga|tiff?|webp|[we]mf|x[bp]m)",
    re.IGNORECASE,
)
RECIPES = [
    Variant(200, 200, fit="cover", crop="entropy"),
    Variant(width=800, format="webp", animated=True),
    Variant(320, 240, fit="contain", format="jpeg", background="#804020", sharpen=1, strip=False),
]


def found(folders: Iterable[Path]) -> Iterator[Path]:
    """The files in the folders that have the suffix of an image."""
    for folder in folders:
        yield from sorted(path for path in folder.rglob("*") if IMAGES.fullmatch(path.suffix) and path.is_file())


@dataclass
class Outcome:
    """What became of images.

    Attributes:
        made: Variants that were made.
        refused: Reasons, and the images that were refused for them.
        failed: Images that took too much time or memory.
        wrong: Whatever else was raised.
    """

    made: int = 0
    refused: dict[str, list[Path]] = field(default_factory=dict)
    failed: list[tuple[Path, str]] = field(default_factory=list)
    wrong: list[tuple[Path, BaseException]] = field(default_factory=list)


async def through(pool: ImagePool, images: Iterable[Path], at_once: int = 4) -> Outcome:
    """Make each recipe of each image."""
    outcome, waiting = Outcome(), iter(list(images))

    async def work(target: Path) -> None:
        for image in waiting:
            for recipe in RECIPES:
                await _note(outcome, image, pool.make(image, target, recipe))
            await _note(outcome, image, pool.placeholder(image))

    with TemporaryDirectory() as folder:
        async with asyncio.TaskGroup() as group:
            for number in range(at_once):
                group.create_task(work(Path(folder, str(number))))
    return outcome


async def _note(outcome: Outcome, image: Path, asked) -> None:
    try:
        await asked
    except InvalidFileTypeException as error:
        outcome.refused.setdefault(error.reason, []).append(image)
    except ImageProcessingException as error:
        outcome.failed.append((image, error.reason))
    except Exception as error:  # noqa: BLE001 - it is what is looked for
        outcome.wrong.append((image, error))
    else:
        outcome.made += 1


def _told(outcome: Outcome) -> Iterator[str]:
    refused = Counter({reason: len(paths) for reason, paths in outcome.refused.items()})
    yield f"  {outcome.made} made, {refused.total()} refused, {len(outcome.failed)} failed, {len(outcome.wrong)} wrong"
    for reason, count in refused.most_common():
        yield f"  {count:5} {reason[:110]}: {outcome.refused[reason][0].name}"
    for image, reason in [*outcome.failed, *outcome.wrong]:
        yield f"  {image}: {reason!r}"


async def _main(folders: list[Path]) -> int:
    images = list(found(folders))
    wrong = 0
    for engine in (PillowEngine(), VipsEngine()):
        began = perf_counter()
        async with ImagePool(engine=engine, limits=ImageLimits(formats=tuple(READABLE))) as pool:
            outcome = await through(pool, images)
        head = f"{engine}: {len(images)} files, {perf_counter() - began:.0f} s"
        sys.stdout.write("\n".join([head, *_told(outcome), ""]))
        sys.stdout.flush()
        wrong += len(outcome.wrong)
    return min(wrong, 1)


if __name__ == "__main__":
    sys.exit(asyncio.run(_main([Path(folder) for folder in sys.argv[1:]])))

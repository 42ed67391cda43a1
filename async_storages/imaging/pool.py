"""`ImagePool`: it makes images in separate processes."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from async_storages.backends.transport.per_loop import PerLoop
from async_storages.errors import InvalidArgumentException
from async_storages.images.recipes import Variant
from async_storages.imaging.crew import Crew
from async_storages.imaging.engines import ImageEngine, Previewer
from async_storages.imaging.limits import ImageLimits
from async_storages.imaging.specifications import specified
from async_storages.imaging.worker_handle import WorkerHandle

__all__ = ["ImagePool", "MadeImage"]

_MOST = 4


@dataclass(frozen=True, slots=True)
class MadeImage:
    """The description of a new image.

    Attributes:
        width: The width in pixels.
        height: The height in pixels.
        content_type: The content type.
        file_size: The size of the file in bytes.
    """

    width: int
    height: int
    content_type: str
    file_size: int


class ImagePool:
    """Makes images in a limited number of processes. It does not block the event loop.

    The pool starts its processes when it needs them. They end with `aclose`, with the event loop, or with this process.

    Args:
        workers: The largest number of processes, at least 1. By default the number of CPUs, but at most four.
        engine: The engine that makes the images: `PillowEngine()` (the default), `VipsEngine()`, or one of your own.
        limits: The limits for each image. The default is `ImageLimits()`.

    Raises:
        InvalidArgumentException: `workers` is below 1, or other processes cannot import the engine.

    Example:
        ```python
        async with ImagePool(workers=2) as pool:
            made = await pool.make(Path("photo.jpg"), Path("thumb.webp"), Variant(200, 200, format="webp"))
        ```
    """

    def __init__(
        self, *, workers: int | None = None, engine: ImageEngine | None = None, limits: ImageLimits | None = None
    ) -> None:
        size = _default_size() if workers is None else workers
        if size < 1:
            raise InvalidArgumentException(f"workers is at least 1, not {workers!r}")
        specification = ["async_storages.imaging.pillow", "PillowEngine", {}] if engine is None else specified(engine)
        self.limits = limits or ImageLimits()
        self._crews = PerLoop(lambda: Crew(lambda: WorkerHandle(specification, self.limits), size))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End the processes of this event loop. Unfinished calls raise StorageClosedException."""
        await self._crews.aclose()

    async def make(self, source: Path, target: Path, recipe: Variant) -> MadeImage:
        """Make a variant.

        Args:
            source: The file of the original.
            target: The file to write. Its extension does not matter. After an error, the file does not exist.
            recipe: The recipe of the variant.

        Returns:
            Size, content type and file size of the variant.

        Raises:
            FileNotFoundException: The original is missing.
            InvalidFileTypeException: The original is not an image of an allowed format, is damaged, or has too many
                pixels or frames.
            ImageProcessingException: It took too long or too much memory, or the worker process died.
            StorageClosedException: The pool was closed during the call.
            ImportError: The engine's library is missing. The message names the extra to install.
        """
        [made] = await self.make_many(source, {target: recipe})
        return made

    async def make_many(self, source: Path, wanted: Mapping[Path, Variant]) -> list[MadeImage]:
        """Make several variants of one original, all or none. The process may decode the original only once.

        The job may take `ImageLimits.timeout` seconds for each variant.

        Args:
            source: The file of the original.
            wanted: The recipe for each file to write. After an error, none of the files exists.

        Returns:
            The descriptions of the variants, in the same order.

        Raises:
            StorageException: As for `make`.
            ImportError: The engine's library is missing. The message names the extra to install.
        """
        if not wanted:
            return []
        told = [[_whole(target), recipe.to_json()] for target, recipe in wanted.items()]
        crew = await self._crews.get()
        answer = await crew.do({"job": "make", "source": _whole(source), "wanted": told}, list(wanted))
        return [MadeImage(**made) for made in answer["made"]]

    async def placeholder(self, source: Path) -> str:
        """Return the ThumbHash of an image, about 32 characters of base64. Raises as `make` does.

        Args:
            source: The file of the image.
        """
        crew = await self._crews.get()
        told: dict[str, str] = await crew.do({"job": "placeholder", "source": _whole(source)})
        return told["placeholder"]

    async def preview(self, source: Path, target: Path, previewer: Previewer) -> None:
        """Make an image of a file that is not an image, for example a video. Raises also as `make` does.

        Args:
            source: The file to show.
            target: The image file to write, a PNG or a JPEG.
            previewer: The previewer that makes the image.

        Raises:
            InvalidArgumentException: Other processes cannot import the previewer.
        """
        previews = specified(previewer)
        told = {"job": "preview", "source": _whole(source), "target": _whole(target), "previewer": previews}
        crew = await self._crews.get()
        await crew.do(told, [target])


def _whole(path: Path) -> str:
    """Return the absolute path, because the process may run in another folder."""
    return str(path.absolute())


def _default_size() -> int:
    try:
        cpus = len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        cpus = os.cpu_count() or 1
    return min(cpus, _MOST)

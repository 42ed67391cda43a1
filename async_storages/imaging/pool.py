"""The pool that makes images in processes of its own."""

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
    """An image that was made.

    Attributes:
        width: Pixels across.
        height: Pixels down.
        content_type: Its media type.
        file_size: Its bytes.
    """

    width: int
    height: int
    content_type: str
    file_size: int


class ImagePool:
    """Makes images in a bounded number of processes, within limits; the event loop waits for none of them.

    The processes are spawned when they are needed. They end with `aclose`, with the event loop, or with this process.

    Args:
        workers: The most processes; by default as many as there are CPUs, but four at the most.
        engine: Makes the images: `PillowEngine()` by default, `VipsEngine()`, or one of your own.
        limits: What each image must keep to.

    Raises:
        InvalidArgumentException: `workers` is below 1, or the engine cannot be imported by other processes.

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
        """End the processes of this event loop; what they are doing raises StorageClosedException there."""
        await self._crews.aclose()

    async def make(self, source: Path, target: Path, recipe: Variant) -> MadeImage:
        """Make a variant.

        Args:
            source: The original.
            target: The file that is written; its extension does not matter. After an error there is none.
            recipe: The variant.

        Raises:
            FileNotFoundException: There is no original.
            InvalidFileTypeException: The original is no image of a format that is let in, is damaged, or has too many
                pixels or frames.
            ImageProcessingException: It took too long or too much memory, or the worker died.
            StorageClosedException: The pool was closed meanwhile.
            ImportError: The engine's library is missing; it names the extra.
        """
        [made] = await self.make_many(source, {target: recipe})
        return made

    async def make_many(self, source: Path, wanted: Mapping[Path, Variant]) -> list[MadeImage]:
        """Make several variants in one process, which may decode the original once; all or none.

        Args:
            source: The original.
            wanted: The variant of each file that is written. After an error there is none of them.

        Returns:
            The images that were made, in the same order. Each may take the time of one.

        Raises:
            StorageException: As for `make`.
            ImportError: The engine's library is missing; it names the extra.
        """
        if not wanted:
            return []
        told = [[_whole(target), recipe.to_json()] for target, recipe in wanted.items()]
        crew = await self._crews.get()
        answer = await crew.do({"job": "make", "source": _whole(source), "wanted": told}, list(wanted))
        return [MadeImage(**made) for made in answer["made"]]

    async def placeholder(self, source: Path) -> str:
        """The ThumbHash of an image, some 32 characters of base64; errors are those of `make`.

        Args:
            source: The original.
        """
        crew = await self._crews.get()
        told: dict[str, str] = await crew.do({"job": "placeholder", "source": _whole(source)})
        return told["placeholder"]

    async def preview(self, source: Path, target: Path, previewer: Previewer) -> None:
        """Make an image of what is none; errors are those of `make`.

        Args:
            source: The file that it is made of.
            target: The image that is written, a PNG or a JPEG.
            previewer: Makes it.

        Raises:
            InvalidArgumentException: The previewer cannot be imported by other processes.
        """
        previews = specified(previewer)
        told = {"job": "preview", "source": _whole(source), "target": _whole(target), "previewer": previews}
        crew = await self._crews.get()
        await crew.do(told, [target])


def _whole(path: Path) -> str:
    """The path for a process that may have begun in another folder."""
    return str(path.absolute())


def _default_size() -> int:
    try:
        cpus = len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        cpus = os.cpu_count() or 1
    return min(cpus, _MOST)

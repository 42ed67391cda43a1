"""A worker: a process that reads jobs from its standard input, makes images one by one, and answers.

```
parent   settings NL   job NL   job NL …        each a JSON object; the end of the input ends the process
worker   ready NL      answer NL  answer NL …
```

The messages are JSON, never pickles. They name files by their paths. The process limits itself, and dies with its
parent.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from time import process_time
from typing import Any, BinaryIO

from async_storages.errors import ImageProcessingException, InvalidFileTypeException, StorageException
from async_storages.images import thumbhash
from async_storages.images.recipes import Variant
from async_storages.imaging.engines import ImageEngine, MakesMany
from async_storages.imaging.limits import ImageLimits
from async_storages.imaging.originals import Original, inspected, size_in
from async_storages.imaging.specifications import loaded

__all__ = ["main"]

_SECONDS_TO_SPARE = 5


def main() -> None:
    """Work until the input ends."""
    answers = _take_output()
    jobs = _read_input()
    settings = json.loads(jobs.get())
    limits = ImageLimits(**settings["limits"])
    _limit(limits)
    engines: list[ImageEngine] = []
    _send(answers, _answered(partial(_load, engines, settings["engine"])))
    for engine in engines:  # one, or none if it cannot be had
        while True:
            job = json.loads(jobs.get())
            _limit_seconds(limits.timeout * len(job.get("wanted", [""])))
            answer = _answered(partial(_JOBS[job.pop("job")], engine, limits, **job))
            _send(answers, answer)
            if answer.get("is_last"):
                return


def _load(engines: list[ImageEngine], specification: list[Any]) -> dict[str, Any]:
    engines.append(loaded(specification))
    return {}


def _take_output() -> BinaryIO:
    """Take the standard output for the answers. Other code can no longer write to it."""
    answers = os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "wb") as nothing:  # noqa: PTH123 - a device
        os.dup2(nothing.fileno(), 1)
    return answers


def _read_input() -> SimpleQueue[bytes]:
    """Yield the lines of the standard input. Its end means that the parent has ended, and ends this process at once."""
    lines: SimpleQueue[bytes] = SimpleQueue()

    def read() -> None:
        for line in sys.stdin.buffer:
            lines.put(line)
        _end()

    Thread(target=read, daemon=True).start()
    return lines


def _end() -> None:
    """End this process and the processes that it started."""
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(0)


def _limit(limits: ImageLimits) -> None:
    """Limit the memory, disable core dumps, and die with the parent, if the system supports this."""
    _lower("RLIMIT_AS", limits.memory)
    _lower("RLIMIT_CORE", 0)
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 - needed only here

        parent = os.getppid()
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:
            _end()


def _limit_seconds(timeout: float) -> None:
    """End the process after this much more CPU time, in case its parent can no longer end it."""
    _lower("RLIMIT_CPU", int(process_time() + 2 * timeout) + _SECONDS_TO_SPARE)


def _lower(name: str, value: int) -> None:
    """Set a limit, unless the system does not have it or has a lower one."""
    with suppress(ImportError, OSError, ValueError):
        import resource  # noqa: PLC0415 - Windows has none

        kind = getattr(resource, name)
        _, hard = resource.getrlimit(kind)
        resource.setrlimit(kind, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


def _send(answers: BinaryIO, answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer).encode() + b"\n")
    answers.flush()


def _answered(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return the answer to a job, or its error."""
    try:
        return work()
    except StorageException as error:
        rule = error.rule if isinstance(error, InvalidFileTypeException) else None
        return {"error": type(error).__name__, "reason": error.reason, "file_id": error.file_id, "rule": rule}
    except ImportError as error:
        return {"error": "ImportError", "reason": str(error)}
    except MemoryError:
        reason = "the image needs more memory than is allowed"
        return {"error": ImageProcessingException.__name__, "reason": reason, "is_last": True}
    except Exception as error:  # noqa: BLE001 - an engine's own is the caller's to see as one of ours
        reason = f"the image could not be made: {type(error).__name__}: {error}"
        return {"error": ImageProcessingException.__name__, "reason": reason}


def _make(engine: ImageEngine, limits: ImageLimits, source: str, wanted: list[list[str]]) -> dict[str, Any]:
    """Make variants, and check that each has the promised size."""
    original = inspected(Path(source), limits)
    variants = [(Path(target), Variant.from_json(recipe)) for target, recipe in wanted]
    for _, recipe in variants:
        limits.check_pixels(recipe.size_of(original.size).dimensions, "the variant")
    if isinstance(engine, MakesMany):
        engine.make_many(original, variants, limits)
    else:
        for target, recipe in variants:
            engine.make(original, target, recipe, limits)
    return {"made": [_checked(original, target, recipe) for target, recipe in variants]}


def _checked(original: Original, target: Path, recipe: Variant) -> dict[str, Any]:
    promised = recipe.size_of(original.size)
    with target.open("rb") as file:
        made = size_in(file)
        file_size = file.seek(0, os.SEEK_END)
    if made is None or made != promised:
        raise ImageProcessingException(f"the engine made {made}, but {promised} was wanted")
    return {
        "width": made.width,
        "height": made.height,
        "content_type": recipe.format_for(original.content_type).content_type,
        "file_size": file_size,
    }


def _placeholder(engine: ImageEngine, limits: ImageLimits, source: str) -> dict[str, Any]:
    original = inspected(Path(source), limits)
    pixels = engine.shrink(original, thumbhash.LARGEST, limits)
    return {"placeholder": thumbhash.thumbhash(pixels.width, pixels.height, pixels.rgba)}


def _preview(_: ImageEngine, limits: ImageLimits, source: str, target: str, previewer: list[Any]) -> dict[str, Any]:
    loaded(previewer).preview(Path(source), Path(target), limits)
    with open(target, "rb") as file:  # noqa: PTH123 - the path is a str
        size = size_in(file)
    if size is None:
        raise InvalidFileTypeException("no image could be made of the file")
    limits.check_pixels(size.dimensions, "the preview")
    return {"width": size.width, "height": size.height}


_JOBS: dict[str, Callable[..., dict[str, Any]]] = {"make": _make, "placeholder": _placeholder, "preview": _preview}

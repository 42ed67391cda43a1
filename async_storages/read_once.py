"""Sources that can be read only once. A second reading is refused: it would store an empty or partial file.

A generator knows if it was started. Other iterators, pipes and async files are remembered as long as they live. Python
cannot reference some iterators weakly, for example those of a list, a `map` or a `zip`. They are read through a
generator, which refuses an iterator without any item.
"""

import inspect
from collections.abc import Generator, Iterator
from contextlib import suppress
from typing import Any
from weakref import WeakValueDictionary

from async_storages.errors import InvalidArgumentException

__all__ = ["begin_reading", "rememberable"]

_begun: "WeakValueDictionary[int, Any]" = WeakValueDictionary()


def begin_reading(source: Any) -> None:
    """Remember that a source is read now.

    Raises:
        InvalidArgumentException: The source was read or closed before.
    """
    if _was_begun(source):
        raise InvalidArgumentException(
            f"this {type(source).__name__} can be read only once, and was: make a new one, or pass bytes, a path or "
            "a file that can seek, which are read as often as needed"
        )
    with suppress(TypeError):  # it cannot be referenced weakly
        _begun[id(source)] = source


def rememberable(source: Any) -> Any:
    """Return the source itself, or a generator around an iterator that cannot be referenced weakly."""
    if isinstance(source, Iterator) and not type(source).__weakrefoffset__:
        return _through(source)
    return source


def _was_begun(source: Any) -> bool:
    if inspect.isgenerator(source) and inspect.getgeneratorstate(source) != inspect.GEN_CREATED:
        return True
    if inspect.isasyncgen(source) and inspect.getasyncgenstate(source) != inspect.AGEN_CREATED:
        return True
    return _begun.get(id(source)) is source


def _through[Item](iterator: Iterator[Item]) -> Generator[Item]:
    is_empty = True
    for item in iterator:
        is_empty = False
        yield item
    if is_empty:
        raise InvalidArgumentException(
            f"the {type(iterator).__name__} gives nothing, as if it was read before: make a new one, or pass b'' for "
            "an empty file"
        )

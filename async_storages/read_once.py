"""Sources that can be read only once: a second reading is refused, as it would store nothing, or a part as the whole.

Generators know by themselves whether they were begun. Other iterators, pipes and async files are remembered as long as
they live. An iterator that Python cannot reference weakly, such as that of a list, a `map` or a `zip`, is not: it is
read through a generator, which refuses one that gives nothing at all.
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
        InvalidArgumentException: It was read, or closed, before.
    """
    if _was_begun(source):
        raise InvalidArgumentException(
            f"this {type(source).__name__} can be read only once, and was: make a new one, or pass bytes, a path or "
            "a file that can seek, which are read as often as needed"
        )
    with suppress(TypeError):  # it cannot be referenced weakly
        _begun[id(source)] = source


def rememberable(source: Any) -> Any:
    """The source itself; a generator around an iterator that nobody could remember otherwise."""
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

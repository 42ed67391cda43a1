"""Synchronous methods made from asynchronous ones, with the same types and the same documentation.

Example:
    >>> class SyncStoredFile(Facade[StoredFile]):
    ...     read = Method(StoredFile.read)
    ...     stream = Iteration(StoredFile.stream)
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator
from functools import wraps
from typing import Any, Concatenate, overload

from async_storages.errors import OperationNotSupportedException
from async_storages.synchronous.background_loop import iterate, run_sync

__all__ = ["Facade", "Iteration", "Method"]


class Facade[Target]:
    """The synchronous side of an object."""

    __slots__ = ("_target",)

    def __init__(self, target: Target) -> None:
        self._target = target

    def __repr__(self) -> str:
        return f"{self._target!r}.sync"


class Method[Target, **Options, Result]:
    """A synchronous method that waits for an asynchronous method of the object."""

    def __init__(self, method: Callable[Concatenate[Target, Options], Coroutine[Any, Any, Result]]) -> None:
        self._method = method
        self.__doc__ = method.__doc__

    @overload
    def __get__(self, facade: None, owner: type) -> "Method[Target, Options, Result]": ...
    @overload
    def __get__(self, facade: Facade[Any], owner: type) -> Callable[Options, Result]: ...
    def __get__(
        self, facade: Facade[Any] | None, owner: type
    ) -> "Method[Target, Options, Result] | Callable[Options, Result]":
        if facade is None:
            return self
        method = _method_of(facade, self._method)

        @wraps(self._method)
        def call(*args: Options.args, **kwargs: Options.kwargs) -> Result:
            result: Result = run_sync(method(*args, **kwargs))
            return result

        return call


class Iteration[Target, **Options, Item]:
    """A synchronous method that iterates over the items of an asynchronous method of the object."""

    def __init__(self, method: Callable[Concatenate[Target, Options], AsyncIterator[Item]]) -> None:
        self._method = method
        self.__doc__ = method.__doc__

    @overload
    def __get__(self, facade: None, owner: type) -> "Iteration[Target, Options, Item]": ...
    @overload
    def __get__(self, facade: Facade[Any], owner: type) -> Callable[Options, Iterator[Item]]: ...
    def __get__(
        self, facade: Facade[Any] | None, owner: type
    ) -> "Iteration[Target, Options, Item] | Callable[Options, Iterator[Item]]":
        if facade is None:
            return self
        method = _method_of(facade, self._method)

        @wraps(self._method)
        def call(*args: Options.args, **kwargs: Options.kwargs) -> Iterator[Item]:
            return iterate(_generated(method, *args, **kwargs))

        return call


async def _generated(method: Callable[..., AsyncIterator[Any]], *args: object, **kwargs: object) -> AsyncGenerator[Any]:
    """Yield the items of a method. The method is called in the background loop, at the first item."""
    items = method(*args, **kwargs)
    try:
        async for item in items:
            yield item
    finally:
        if isinstance(items, AsyncGenerator):
            await items.aclose()


def _method_of(facade: Facade[Any], method: Callable[..., Any]) -> Callable[..., Any]:
    """Return the method of the object itself, which may override the given one."""
    target = facade._target  # noqa: SLF001 - its own
    found: Callable[..., Any] | None = getattr(target, method.__name__, None)
    if found is None:
        raise OperationNotSupportedException(f"{type(target).__name__} has no {method.__name__}()")
    return found

"""Hiding secrets from tracebacks: those of rich and Sentry show every variable."""

from collections.abc import Mapping
from typing import SupportsIndex, cast

__all__ = ["Hidden", "hidden", "without_frames"]


class Hidden(str):
    """A str whose repr is hidden. The repr of a slice of it is hidden too.

    Text made from it is not hidden: hide ``f"Bearer {token}"`` again.

    Example:
        >>> {"Authorization": Hidden("Bearer secret")}
        {'Authorization': '**********'}
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "'**********'"

    def __getitem__(self, index: SupportsIndex | slice) -> "Hidden":
        return Hidden(super().__getitem__(index))


def hidden[Value](value: Value) -> Value:
    """Hide a text, or all texts in a list, a tuple or a mapping. Other values, such as None, are returned unchanged.

    A function with a secret argument begins with ``secret = hidden(secret)``, so that its frame does not show it.
    """
    return cast("Value", _hidden(value))


def _hidden(value: object) -> object:
    if isinstance(value, str):
        return Hidden(value)
    if isinstance(value, list | tuple):
        return [_hidden(each) for each in value]
    return {key: _hidden(each) for key, each in value.items()} if isinstance(value, Mapping) else value


def without_frames[Error: BaseException](error: Error) -> Error:
    """Remove the tracebacks of an error and its causes, because the frames of libraries hold their arguments."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            each.__traceback__ = None
            waiting += (each.__cause__, each.__context__)
    return error

"""Secrets that nobody sees by accident: tracebacks of rich and of Sentry show every variable."""

from collections.abc import Mapping
from typing import SupportsIndex, cast

__all__ = ["Hidden", "hidden", "without_frames"]


class Hidden(str):
    """Text that works as any other, and whose repr does not show it; nor does that of a part of it.

    What is made of it is plain text again: ``f"Bearer {token}"`` is to be hidden anew.

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
    """A text, or all texts in a list, a tuple or a mapping, hidden; anything else, such as None or a mistake, as it is.

    Whoever is given a secret begins with ``secret = hidden(secret)``, so that no frame of his shows it.
    """
    return cast("Value", _hidden(value))


def _hidden(value: object) -> object:
    if isinstance(value, str):
        return Hidden(value)
    if isinstance(value, list | tuple):
        return [_hidden(each) for each in value]
    return {key: _hidden(each) for key, each in value.items()} if isinstance(value, Mapping) else value


def without_frames[Error: BaseException](error: Error) -> Error:
    """The error, and what led to it, without tracebacks: the frames of libraries hold what they were given."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            each.__traceback__ = None
            waiting += (each.__cause__, each.__context__)
    return error

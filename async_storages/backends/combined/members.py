"""Members of a combined storage: the rules for them, and the class of the combined storage."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from async_storages.errors import InvalidArgumentException
from async_storages.storage.base import Storage

__all__ = ["check_members", "class_for", "part_of_another"]

type Powers = tuple[type[Any], ...]


def check_members(whole: str, members: Mapping[str, object]) -> None:
    """Refuse storages that cannot be combined.

    Args:
        whole: The class of the combined storage, for error messages.
        members: The storages, by the names of their arguments.

    Raises:
        InvalidArgumentException: A member is not a storage, chooses its ids, has a registered name, or is the same
            place as another member. Or the members have different ids.
    """
    storages = [_checked(whole, argument, member) for argument, member in members.items()]
    first = storages[0]
    for storage in storages[1:]:
        if _ids_of(storage) != _ids_of(first):
            raise InvalidArgumentException(
                f"the ids of a {whole} must be the same in all its storages: {first!r} has ids "
                f"'{_ids_of(first)}…', {storage!r} has '{_ids_of(storage)}…'"
            )
    places = [storage.location for storage in storages if storage.location is not None]
    if len({*places}) < len(places):
        raise InvalidArgumentException(f"the storages of a {whole} must be in different places, not all in {places[0]}")


def _checked(whole: str, argument: str, member: object) -> Storage:
    if not isinstance(member, Storage):
        raise InvalidArgumentException(f"{argument} of a {whole} must be a storage, not {type(member).__name__}")
    if member.chooses_ids:
        raise InvalidArgumentException(
            f"{member!r} chooses the ids of its files, so that no other storage can have the same: it cannot be in a "
            f"{whole}"
        )
    if member.name is not None:
        raise InvalidArgumentException(
            f"{member!r} is registered as {member.name!r}, so that two storages would serve its ids: leave its name "
            f"out, and give it to the {whole}"
        )
    return member


def _ids_of(storage: Storage) -> str:
    """Return the beginning of the ids of bare keys."""
    bucket = "" if storage.bucket is None else f"{storage.bucket}/"
    return f"{storage.scheme}:{bucket}{storage.prefix}"


def part_of_another(member: Storage, *, read_only: bool) -> Storage:
    """Return the same storage, marked so that its operations are parts of another storage's operations."""
    other: Storage = object.__new__(_part_class(type(member), read_only=read_only))
    object.__setattr__(other, "__dict__", vars(member))  # the very same: both are opened, closed and changed together
    return other


@cache
def _part_class(kind: type[Storage], *, read_only: bool) -> Any:
    own: dict[str, Any] = {"is_part": True, "__module__": kind.__module__, "__doc__": kind.__doc__}
    if read_only:
        own["read_only"] = property(lambda _: True)
    metaclass: Any = type(kind)
    return metaclass(kind.__name__, (kind,), own)


def class_for[Kind: type[Storage]](kind: Kind, first: Storage, powers: Iterable[type[Any]]) -> Kind:
    """Return the class of a storage with exactly these powers. `isinstance` finds powers by their methods.

    Args:
        kind: The class of the storage, without powers.
        first: The storage that takes new files.
        powers: Classes, each with the methods of one capability.
    """
    made: Kind = _made(kind, first.scheme, frozenset(first.able_options), tuple(powers))
    return made


@cache
def _made(kind: type[Storage], scheme: str, able: frozenset[str], powers: Powers) -> Any:
    own = {"scheme": scheme, "able_options": able, "__module__": kind.__module__, "__doc__": kind.__doc__}
    metaclass: Any = type(kind)
    return metaclass(kind.__name__, (kind, *powers), own)

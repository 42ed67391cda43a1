"""The objects that a flush writes, and their file attributes that are new or changed."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection
from sqlalchemy import inspect as inspect_object
from sqlalchemy.orm import InstanceState, Mapper, Session
from sqlalchemy.orm.attributes import set_attribute
from sqlalchemy.orm.base import PASSIVE_NO_INITIALIZE

from async_storages.files import StoredFile
from async_storages.integrations.sqlalchemy.columns.fields import (
    FileField,
    fields_of,
    iterate_files,
)
from async_storages.integrations.sqlalchemy.columns.file_list import FileList
from async_storages.integrations.sqlalchemy.tracking.previous_files import Identity

__all__ = ["AssignedContent", "ChangedObject", "FlushedObjects", "assigned_since", "copy_value", "identity_of"]

type _State = InstanceState[Any]


@dataclass(frozen=True, slots=True)
class ChangedObject:
    """An object whose row is about to be written.

    Attributes:
        target: The object.
        state: SQLAlchemy's view of it.
        fields: The file attributes that are new or changed.
    """

    target: Any
    state: _State
    fields: list[FileField]

    @property
    def values(self) -> Iterator[tuple[FileField, Any]]:
        """The values of its fields."""
        return ((field, self.state.dict.get(field.key)) for field in self.fields)


@dataclass(slots=True, eq=False)
class AssignedContent:
    """Content in an attribute of an object.

    Attributes:
        target: The object.
        field: Its attribute.
        before: The value with the content: a PendingFile, or a list that contains some.
        after: The value with stored files, after the upload.
    """

    target: Any
    field: FileField
    before: Any
    after: Any = None

    def __post_init__(self) -> None:
        """Copy a list, because the upload replaces its items."""
        if isinstance(self.before, list):
            self.before = list(self.before)

    def set(self, value: Any) -> Any:
        """Set the attribute. For a list, replace the items of that list, because the user may have it in a variable.

        Returns:
            The new value of the attribute. For a list it is a copy.
        """
        held = inspect_object(self.target).dict
        before = held.get(self.field.key)
        if isinstance(before, FileList):
            before[:] = value
            return list(before)
        set_attribute(self.target, self.field.key, value)
        return held[self.field.key]


class FlushedObjects:
    """The objects of a session that one flush writes.

    Args:
        session: The session.
        chosen: The objects to flush; None for all.
    """

    def __init__(self, session: Session, chosen: Iterable[object] | None) -> None:
        self._session = session
        self._chosen = None if not chosen else {id(each) for each in chosen}

    def changes(self) -> Iterator[ChangedObject]:
        """The objects with new or changed files."""
        for state in self._states(self._session.new):
            fields = [field for field in fields_of(state.mapper) if state.dict.get(field.key) is not None]
            if fields:
                yield ChangedObject(state.obj(), state, fields)
        for state in self._states(self._session.dirty):
            fields = [field for field in fields_of(state.mapper) if _has_changed(state, field)]
            if fields:
                yield ChangedObject(state.obj(), state, fields)

    def deleted(self) -> list[_State]:
        """The objects that are deleted."""
        return self._states(self._session.deleted)

    def new_by_identity(self) -> dict[tuple[Mapper[Any], Identity], _State]:
        """The new objects by class and primary key."""
        return {
            (state.mapper.base_mapper, tuple(state.mapper.primary_key_from_instance(state.obj()))): state
            for state in self._states(self._session.new)
        }

    def connection(self, mapper: Mapper[Any]) -> Connection:
        """The session's connection for the rows of a class."""
        return self._session.connection(bind_arguments={"mapper": mapper})

    def _states(self, targets: Iterable[Any]) -> list[_State]:
        chosen = [target for target in targets if self._chosen is None or id(target) in self._chosen]
        return [inspect_object(target) for target in chosen]


def assigned_since(state: _State, seen: Mapping[FileField, Any]) -> list[FileField]:
    """Return the file attributes of an object that have changed since the flush saw them."""
    found = []
    for field in fields_of(state.mapper):
        if field in seen:
            value = copy_value(state.dict.get(field.key))
            is_new = value is not seen[field] and value != seen[field]
        else:
            is_new = _has_changed(state, field)
        found += [field] if is_new else []
    return found


def _has_changed(state: _State, field: FileField) -> bool:
    return field.key in state.committed_state and state.get_history(field.key, PASSIVE_NO_INITIALIZE).has_changes()


def copy_value(value: Any) -> Any:
    """Return a file unchanged, and the files of a list in a new list, because the list may change later."""
    return value if isinstance(value, StoredFile) else list(iterate_files(value))


def identity_of(state: _State) -> Identity:
    """Return the primary key of an object; empty for a new object."""
    return tuple(state.identity or ())

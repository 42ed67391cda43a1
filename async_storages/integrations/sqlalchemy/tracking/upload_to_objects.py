"""New objects for `upload_to`, which is called before their INSERT.

A column that only the INSERT fills is None before it, and the files of all tenants would be in ``tenants/None/``. Keys
of related objects and Python defaults are therefore put into the object first, and the INSERT uses them. `upload_to`
gets a stand-in for the object. The stand-in refuses to read a column that only the database can fill. Related objects
are read through stand-ins, too.
"""

from collections.abc import Iterator
from inspect import getattr_static
from types import GetSetDescriptorType, MemberDescriptorType, WrapperDescriptorType
from typing import Any

from sqlalchemy import Column
from sqlalchemy import inspect as inspect_object
from sqlalchemy.orm import (
    ColumnProperty,
    CompositeProperty,
    InstanceState,
    RelationshipDirection,
    RelationshipProperty,
    SynonymProperty,
    object_session,
)
from sqlalchemy.orm.attributes import set_attribute, set_committed_value
from sqlalchemy.sql import schema

from async_storages.errors import InvalidArgumentException
from async_storages.integrations.sqlalchemy.columns.comparator import is_sql
from async_storages.integrations.sqlalchemy.columns.fields import file_type

__all__ = ["make_stand_in"]

type _State = InstanceState[Any]

_DESCRIPTORS_OF_C = (GetSetDescriptorType, MemberDescriptorType, WrapperDescriptorType)
"""Descriptors that only work with the object itself."""


def make_stand_in(target: Any) -> Any:
    """Fill a new object as far as possible, and make a stand-in for it.

    Args:
        target: An object of a mapped class.

    Returns:
        A stand-in that reads and sets the object's attributes. It passes ``isinstance`` for the object's class.
    """
    _fill(inspect_object(target), set())
    return _StandIn(target)


class _StandIn:
    """A stand-in for an object. The object's properties and methods also read it through the stand-in."""

    __slots__ = ("__weakref__", "_target")

    def __init__(self, target: Any) -> None:
        object.__setattr__(self, "_target", target)

    def __getattribute__(self, name: str) -> Any:
        target = object.__getattribute__(self, "_target")
        return type(target) if name == "__class__" else _read(self, target, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(_target(self), name, value)

    def __eq__(self, other: object) -> bool:
        return bool(_target(self) == _target(other))

    def __hash__(self) -> int:
        return hash(_target(self))

    def __repr__(self) -> str:
        class_: Any = type(_target(self))
        return str(class_.__repr__(self))

    def __str__(self) -> str:
        class_: Any = type(_target(self))
        return str(class_.__str__(self))


def _target(value: Any) -> Any:
    return object.__getattribute__(value, "_target") if type(value) is _StandIn else value


# ---- reading


def _read(reader: _StandIn, target: Any, name: str) -> Any:
    state: _State = inspect_object(target)
    attribute = state.mapper.attrs.get(name)
    if isinstance(attribute, SynonymProperty):
        return _read(reader, target, attribute.name)
    if isinstance(attribute, CompositeProperty):
        for part in attribute.props:
            _read(reader, target, part.key)
    if isinstance(attribute, ColumnProperty):
        return _column(state, target, attribute)
    if isinstance(attribute, RelationshipProperty):
        return _stand_ins(_related(state, target, attribute))
    found = getattr_static(type(target), name, None)
    is_own = attribute is not None or name in vars(target) or isinstance(found, _DESCRIPTORS_OF_C)
    if is_own or not hasattr(type(found), "__get__"):
        return getattr(target, name)
    return found.__get__(reader, type(target))


def _column(state: _State, target: Any, attribute: ColumnProperty[Any]) -> Any:
    value = getattr(target, attribute.key)
    if is_sql(value) or (value is None and state.key is None and _is_left_to_insert(state, attribute)):
        name = f"{state.class_.__name__}.{attribute.key}"
        raise InvalidArgumentException(
            f"upload_to reads {name}, which nobody knows before the database has written the row: flush the object "
            f"before it gets its file, set {name}, or give its column a default that Python computes, such as uuid4",
            operation="upload",
        )
    return value


def _is_left_to_insert(state: _State, attribute: ColumnProperty[Any]) -> bool:
    columns = attribute.columns
    if _is_json_null(state, attribute):
        return False
    if any(related.key is None and ours in columns for related, _, ours in _related_keys(state)):
        return True
    return any(
        not isinstance(column, Column)
        or column.primary_key
        or column.server_default is not None
        or column is state.mapper.version_id_col
        or (column.default is not None and not _is_python(column))
        for column in columns
    )


def _related(state: _State, target: Any, attribute: RelationshipProperty[Any]) -> Any:
    """Return the related object, and load it if necessary: SQLAlchemy loads none for an object without a row."""
    value, session = getattr(target, attribute.key), object_session(target)
    if value is not None or session is None or attribute.direction is not RelationshipDirection.MANYTOONE:
        return value
    keys = {theirs: _value(state, ours) for theirs, ours in attribute.synchronize_pairs}
    wanted = attribute.mapper.primary_key
    if keys.keys() != set(wanted) or None in keys.values():
        return None
    return session.get(attribute.mapper.class_, tuple(keys[column] for column in wanted))


def _stand_ins(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _stand_ins(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set):
        kind = set if isinstance(value, set) else list
        return kind(map(_stand_ins, value))
    return None if value is None else make_stand_in(value)


# ---- filling in


def _fill(state: _State, seen: set[_State]) -> None:
    """Set the keys and defaults that the INSERT would set."""
    if state in seen:
        return
    seen.add(state)
    target = state.obj()
    for related, theirs, ours in _related_keys(state):
        if related.key is None:
            _fill(related, seen)
        key = state.mapper.get_property_by_column(ours).key
        value = _value(related, theirs)
        if value is not None and state.dict.get(key) != value:
            set_attribute(target, key, value)
    for attribute in state.mapper.column_attrs if state.key is None else ():
        if getattr(target, attribute.key) is None and not _is_json_null(state, attribute):
            _fill_default(target, attribute)


def _fill_default(target: Any, attribute: ColumnProperty[Any]) -> None:
    for column in attribute.columns:
        if isinstance(column, Column) and _is_python(column):
            default: Any = column.default
            set_committed_value(target, attribute.key, default.arg(None) if default.is_callable else default.arg)
            return


def _is_json_null(state: _State, attribute: ColumnProperty[Any]) -> bool:
    """Return True if the attribute was set to a None that the INSERT writes, as for a JSON column."""
    return attribute.key in state.dict and attribute.columns[0].type.should_evaluate_none


def _is_python(column: Column[Any]) -> bool:
    """Return True if the column has a default that can be computed before the INSERT."""
    default: Any = column.default
    if default is None or file_type(column.type) is not None:
        return False
    # a function that takes no context is one of SQLAlchemy's, with the user's in it
    is_plain = default.is_callable and getattr(default.arg, "__globals__", None) is vars(schema)
    return bool(default.is_scalar or is_plain)


def _related_keys(state: _State) -> Iterator[tuple[_State, Any, Any]]:
    """Yield the objects whose keys the flush copies into this one, each with its own column and the column here."""
    for attribute in state.mapper.relationships:
        is_given = state.key is None or attribute.key in state.committed_state
        if attribute.direction is RelationshipDirection.MANYTOONE and not attribute.viewonly and is_given:
            related = state.dict.get(attribute.key)
            for theirs, ours in attribute.synchronize_pairs if related is not None else ():
                yield inspect_object(related), theirs, ours
    parents = [(token, parent) for token, parent in state.parents.items() if parent and parent.obj() is not None]
    for token, parent in parents if state.key is None else ():
        for attribute in parent.mapper.relationships:
            if id(attribute) == token and attribute.direction is RelationshipDirection.ONETOMANY:
                for theirs, ours in attribute.synchronize_pairs:
                    yield parent, theirs, ours


def _value(state: _State, column: Any) -> Any:
    return getattr(state.obj(), state.mapper.get_property_by_column(column).key)

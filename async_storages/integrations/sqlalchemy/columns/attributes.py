"""ORM attributes of file columns: assigned values become file objects at once."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sqlalchemy import ARRAY, event
from sqlalchemy import inspect as inspect_object
from sqlalchemy.orm import InstanceState, Mapper
from sqlalchemy.types import TypeEngine

from async_storages.content import PendingFile, is_no_file
from async_storages.errors import InvalidArgumentException
from async_storages.files import StoredFile
from async_storages.integrations.sqlalchemy.columns import fields
from async_storages.integrations.sqlalchemy.columns.comparator import is_sql
from async_storages.integrations.sqlalchemy.columns.fact_columns import (
    check_fact_columns,
    fact_columns_of,
    give_facts,
    set_facts,
)
from async_storages.integrations.sqlalchemy.columns.file_list import FileList
from async_storages.integrations.sqlalchemy.columns.list_attributes import coerce_for_attribute, watch_lists
from async_storages.integrations.sqlalchemy.columns.list_types import FileListType
from async_storages.integrations.sqlalchemy.columns.sqlmodel import keep_coerced_values
from async_storages.integrations.sqlalchemy.columns.types import FileType

__all__ = ["coercion_for", "listen"]

type _Coerce = Callable[[Any], Any]


def listen() -> None:
    """Watch every class that is mapped from now on; a second call does nothing."""
    if not event.contains(Mapper, "mapper_configured", _watch):
        event.listen(Mapper, "mapper_configured", _watch)


def _watch(mapper: Mapper[Any], class_: type[Any]) -> None:
    coercions: dict[str, _Coerce] = {}
    facts: dict[str, dict[str, str]] = {}
    lists: dict[str, FileListType] = {}
    for attribute in mapper.column_attrs:
        type_ = attribute.columns[0].type
        is_own = attribute.parent is mapper  # an inherited one is watched on its own class
        if is_own and (coerce := coercion_for(type_)) is not None:
            coercions[attribute.key] = coerce
            facts |= {attribute.key: names} if (names := fact_columns_of(type_)) else {}
            lists |= {attribute.key: type_} if isinstance(type_, FileListType) else {}
            check_fact_columns(class_, type_)
            _watch_assignment(getattr(class_, attribute.key), facts.get(attribute.key, {}), coerce)
    fields.remember_mapper(mapper)
    if coercions:
        _watch_refresh(class_, coercions)
        keep_coerced_values(class_, coercions, facts)
    if facts:
        _watch_loading(class_, facts)
    if lists:
        watch_lists(class_, lists)


def coercion_for(type_: TypeEngine[Any]) -> _Coerce | None:
    """Return the function that turns values for a column into file objects; None for a column without files."""
    if isinstance(type_, FileType | FileListType):
        return type_.coerce
    if isinstance(type_, ARRAY) and isinstance(type_.item_type, FileType):
        return _coercion_of_arrays(type_.item_type.coerce)
    return None


def _coercion_of_arrays(coerce: _Coerce) -> _Coerce:
    def coerce_all(values: Any) -> Any:
        if values is None:
            return None
        if not isinstance(values, list | tuple):
            raise InvalidArgumentException(f"an array of files is a list, not {type(values).__name__}")
        chosen = [value for value in values if not is_no_file(value)]
        return [coerce_all(value) if isinstance(value, list | tuple) else coerce(value) for value in chosen]

    return coerce_all


def _watch_assignment(attribute: Any, facts: Mapping[str, str], coerce: _Coerce) -> None:
    key = attribute.key

    def assign(target: Any, value: Any, before: Any, _initiator: Any) -> Any:
        if isinstance(value, StoredFile | PendingFile):  # no SQL, and no list
            file: Any = coerce(value)
        else:
            file = value if is_sql(value) else coerce_for_attribute(inspect_object(target), key, value, coerce)
        if facts:
            set_facts(target, facts, file, before)
        return file

    def default(target: Any, value: Any, state_dict: dict[str, Any]) -> Any:
        """Turn the default of a mapped dataclass into a file object, because SQLAlchemy 2.1 does not assign it."""
        file = coerce_for_attribute(inspect_object(target), key, value, coerce)
        if isinstance(file, FileList):
            state_dict[key] = file  # it may be changed
        return file

    event.listen(attribute, "set", assign, retval=True, propagate=True)
    event.listen(attribute, "init_scalar", default, retval=True, propagate=True)


def _watch_refresh(class_: type[Any], coercions: dict[str, _Coerce]) -> None:
    """Turn plain values into file objects after column defaults or bulk updates put them into the object's state."""

    def refresh(state: InstanceState[Any], _context: Any, names: Iterable[str] | None) -> None:
        for name in coercions.keys() & (state.dict if names is None else names):
            if name in state.dict:
                state.dict[name] = coerce_for_attribute(state, name, state.dict[name], coercions[name])

    event.listen(class_, "refresh", refresh, raw=True, propagate=True)
    event.listen(class_, "refresh_flush", refresh, raw=True, propagate=True)


def _watch_loading(class_: type[Any], facts: Mapping[str, Mapping[str, str]]) -> None:
    """Give the files of loaded rows the facts from their sibling columns."""

    def give(state: InstanceState[Any], _context: Any, _names: Any = None) -> None:
        for key, names in facts.items():
            give_facts(state.dict, key, names)

    event.listen(class_, "load", give, raw=True, propagate=True)
    event.listen(class_, "refresh", give, raw=True, propagate=True)

"""Attributes that hold lists of files: how an attribute and its list know each other."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sqlalchemy import event
from sqlalchemy import inspect as inspect_object
from sqlalchemy.orm import InstanceState
from sqlalchemy.orm.attributes import set_attribute

from async_storages.files import StoredFile
from async_storages.integrations.sqlalchemy.columns.fields import items
from async_storages.integrations.sqlalchemy.columns.file_list import FileList
from async_storages.integrations.sqlalchemy.columns.list_types import FileListType

__all__ = ["held", "loaded_ids", "note_written", "put", "watch_lists"]

_PICKLED = "async_storages.file_lists"


def held(state: InstanceState[Any], key: str, value: Any, coerce: Callable[[Any], Any]) -> Any:
    """What an attribute holds instead of `value`; a list that is its own stays the same object."""
    if isinstance(value, FileList) and value.owner == (state, key):
        return value
    files = coerce(value)
    if isinstance(files, FileList) and files.item_type is not None:
        files.belong_to(state, key, files.item_type)
    return files


def put(target: Any, key: str, value: Any) -> Any:
    """Set an attribute; a list that it holds is filled anew, as its user may have it at hand.

    Returns:
        What it holds then; of a list a copy.
    """
    before = inspect_object(target).dict.get(key)
    if isinstance(before, FileList):
        before[:] = value
        return list(before)
    set_attribute(target, key, value)
    return inspect_object(target).dict[key]


def note_written(state: InstanceState[Any], key: str) -> None:
    """The row holds what the attribute holds."""
    value = state.dict.get(key)
    if isinstance(value, FileList):
        value.note_loaded()


def loaded_ids(state: InstanceState[Any], key: str) -> frozenset[str]:
    """The ids of the files that the row named when its list or array was loaded."""
    now, before = state.dict.get(key), state.committed_state.get(key)
    lists = [each.loaded for each in (now, before) if isinstance(each, FileList)]
    if isinstance(before, list) and not isinstance(before, FileList):
        lists.append(frozenset(item.file_id for item in items(before) if isinstance(item, StoredFile)))
    return frozenset().union(*lists)


def watch_lists(class_: type[Any], types: Mapping[str, FileListType]) -> None:
    """See to the lists of loaded, merged and unpickled objects.

    Args:
        class_: A mapped class.
        types: Its attributes that hold lists.
    """

    def load(state: InstanceState[Any], _context: Any, names: Iterable[str] | None = None) -> None:
        for key in types.keys() & state.dict & (types.keys() if names is None else set(names)):
            state.dict[key] = held(state, key, state.dict[key], types[key].coerce)
            note_written(state, key)

    def pickle(state: InstanceState[Any], pickled: dict[str, Any]) -> None:
        lists = pickled.setdefault(_PICKLED, {})  # a superclass may have its own in it
        lists |= {key: state.dict[key] for key in types.keys() & state.dict}

    def unpickle(state: InstanceState[Any], pickled: dict[str, Any]) -> None:
        lists = pickled.get(_PICKLED, {})  # the object itself holds nothing yet
        for key in types.keys() & lists:
            if isinstance(lists[key], FileList):
                lists[key].belong_to(state, key, types[key].item_type)

    listeners: dict[str, Callable[..., None]] = {
        "load": load,
        "refresh": load,
        "_sa_event_merge_wo_load": load,
        "pickle": pickle,
        "unpickle": unpickle,
    }
    for name, listener in listeners.items():
        event.listen(class_, name, listener, raw=True, propagate=True)

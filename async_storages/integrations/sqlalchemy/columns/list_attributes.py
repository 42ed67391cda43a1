"""Attributes with lists of files: the link between an attribute and its list."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import InstanceState

from async_storages.files import StoredFile
from async_storages.integrations.sqlalchemy.columns.fields import iterate_files
from async_storages.integrations.sqlalchemy.columns.file_list import FileList
from async_storages.integrations.sqlalchemy.columns.list_types import FileListType

__all__ = ["coerce_for_attribute", "loaded_ids", "watch_lists"]

_PICKLED = "async_storages.file_lists"


def coerce_for_attribute(state: InstanceState[Any], key: str, value: Any, coerce: Callable[[Any], Any]) -> Any:
    """Turn a value for an attribute into files. If it is the attribute's own list, return the same object."""
    if isinstance(value, FileList) and value.owner == (state, key):
        return value
    files = coerce(value)
    if isinstance(files, FileList) and files.item_type is not None:
        files.attach_to(state, key, files.item_type)
    return files


def loaded_ids(state: InstanceState[Any], key: str) -> frozenset[str]:
    """Return the ids of the files that the row named when the list or array was loaded."""
    now, before = state.dict.get(key), state.committed_state.get(key)
    lists = [each.loaded for each in (now, before) if isinstance(each, FileList)]
    if isinstance(before, list) and not isinstance(before, FileList):
        lists.append(frozenset(item.file_id for item in iterate_files(before) if isinstance(item, StoredFile)))
    return frozenset().union(*lists)


def watch_lists(class_: type[Any], types: Mapping[str, FileListType]) -> None:
    """Link the lists of loaded, merged and unpickled objects to their attributes.

    Args:
        class_: A mapped class.
        types: Its attributes that hold lists.
    """
    links = _ListLinks(types)
    listeners: dict[str, Callable[..., None]] = {
        "load": links.load,
        "refresh": links.load,
        "_sa_event_merge_wo_load": links.load,
        "pickle": links.pickle,
        "unpickle": links.unpickle,
    }
    for name, listener in listeners.items():
        event.listen(class_, name, listener, raw=True, propagate=True)


class _ListLinks:
    """Listeners for the objects of one class."""

    def __init__(self, types: Mapping[str, FileListType]) -> None:
        self._types = types

    def load(self, state: InstanceState[Any], _context: Any, names: Iterable[str] | None = None) -> None:
        for key in self._types.keys() & state.dict & (self._types.keys() if names is None else set(names)):
            value = coerce_for_attribute(state, key, state.dict[key], self._types[key].coerce)
            state.dict[key] = value
            if isinstance(value, FileList):
                value.remember_loaded()

    def pickle(self, state: InstanceState[Any], pickled: dict[str, Any]) -> None:
        lists = pickled.setdefault(_PICKLED, {})  # a superclass may have its own in it
        lists |= {key: state.dict[key] for key in self._types.keys() & state.dict}

    def unpickle(self, state: InstanceState[Any], pickled: dict[str, Any]) -> None:
        lists = pickled.get(_PICKLED, {})  # the object itself holds nothing yet
        for key in self._types.keys() & lists:
            if isinstance(lists[key], FileList):
                lists[key].attach_to(state, key, self._types[key].item_type)

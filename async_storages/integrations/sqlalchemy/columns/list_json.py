"""The JSON of a list of files: first its ids, then one object with the facts of these files by id.

The ids are always plain strings in their places, with or without facts. A search for an id in the list finds it, in SQL
and in an older version of this package. No file is named by its facts alone.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from async_storages.files import StoredFile
from async_storages.integrations.sqlalchemy.columns.fact_columns import known_facts, tell_facts

__all__ = ["keep_facts", "list_as_json", "split_list", "tell_listed_facts"]

_NUMBERS = frozenset({"size", "width", "height"})
_TIME = "uploaded_at"

type _Facts = Mapping[str, Mapping[str, Any]]


def list_as_json(ids: Sequence[str | None], files: Sequence[Any], facts: Collection[str]) -> list[Any]:
    """Return the JSON of a list: the ids, and then the facts if any are known."""
    told: dict[str, dict[str, Any]] = {}
    for file_id, file in zip(ids, files, strict=True):
        if file_id is not None and (known := known_facts(file, facts)):
            told.setdefault(file_id, {}).update({fact: _as_json(value) for fact, value in known.items()})
    return [*ids, told] if told else [*ids]


def _as_json(value: object) -> object:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value


def split_list(items: list[Any]) -> tuple[list[Any], _Facts]:
    """Return the ids of a list and the facts after them. Other items between the ids are returned with the ids."""
    last = items[-1] if items else None
    if isinstance(last, dict) and all(isinstance(each, dict) for each in last.values()):
        return items[:-1], last
    return items, {}


def tell_listed_facts(file: StoredFile, facts: _Facts) -> None:
    """Give a file its facts from the list. Invalid facts, such as a size of "big", are ignored."""
    if told := facts.get(file.file_id):
        read = {fact: _read(fact, value) for fact, value in told.items()}
        tell_facts(file, {fact: value for fact, value in read.items() if value is not None})


def _read(fact: str, value: object) -> object:
    if fact in _NUMBERS:
        return value if type(value) is int and value >= 0 else None
    if not isinstance(value, str):
        return None
    if fact == _TIME:
        with suppress(ValueError):
            return datetime.fromisoformat(value)
        return None
    return value


def keep_facts(files: Iterable[StoredFile], before: Iterable[StoredFile], facts: Collection[str]) -> None:
    """Copy facts between files of the same id, without overwriting facts that a file knows already."""
    known = {file.file_id: known_facts(file, facts) for file in before}
    for file in files:
        if told := known.get(file.file_id):
            tell_facts(file, {**told, **known_facts(file, facts)})

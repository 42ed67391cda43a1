"""The JSON of a list of files: its ids, and after them one object with the facts of these files by id.

The ids are plain strings in their places, with facts and without: whatever looks for an id in the list, in SQL or in an
older version of this package, finds it there. Facts are never the only place that names a file.
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
    """The JSON of a list: the ids, and the known facts of the files; the ids alone where nothing is known."""
    told: dict[str, dict[str, Any]] = {}
    for file_id, file in zip(ids, files, strict=True):
        if file_id is not None and (known := known_facts(file, facts)):
            told.setdefault(file_id, {}).update({fact: _as_json(value) for fact, value in known.items()})
    return [*ids, told] if told else [*ids]


def _as_json(value: object) -> object:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value


def split_list(items: list[Any]) -> tuple[list[Any], _Facts]:
    """The ids of a list, with whatever else others have put between them, and the facts after them."""
    last = items[-1] if items else None
    if isinstance(last, dict) and all(isinstance(each, dict) for each in last.values()):
        return items[:-1], last
    return items, {}


def tell_listed_facts(file: StoredFile, facts: _Facts) -> None:
    """Let a file know the facts that its list has of it; what is none, such as a size of "big", is passed over."""
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
    """Let files know facts that files of the same ids know, unless they know better."""
    known = {file.file_id: known_facts(file, facts) for file in before}
    for file in files:
        if told := known.get(file.file_id):
            tell_facts(file, {**told, **known_facts(file, facts)})

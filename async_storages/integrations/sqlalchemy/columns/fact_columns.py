"""Facts of files in sibling columns. An assigned file sets them, and the file of a loaded row knows them."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime
from sqlalchemy import inspect as inspect_object
from sqlalchemy.orm.attributes import set_attribute
from sqlalchemy.orm.base import NO_VALUE
from sqlalchemy.types import TypeEngine

from async_storages.errors import InvalidArgumentException
from async_storages.files import StoredFile, StoredImage
from async_storages.images.size import ImageSize
from async_storages.integrations.sqlalchemy.columns.types import FileType

__all__ = [
    "check_fact_columns",
    "fact_columns_of",
    "fact_value",
    "give_facts",
    "known_fact",
    "known_facts",
    "set_facts",
    "tell_facts",
]

_KNOWN: Mapping[str, Callable[[StoredFile], object]] = {
    "size": lambda file: file.known_size,
    "content_type": lambda file: file.known_content_type,
    "filename": lambda file: file.known_filename,
    "sha256": lambda file: file.known_sha256,
    "uploaded_at": lambda file: file.known_upload_time,
    "width": lambda file: _side(file, 0),
    "height": lambda file: _side(file, 1),
    "placeholder": lambda file: file.known_placeholder if isinstance(file, StoredImage) else None,
}
"""Facts by the parameters of the column types that take an attribute's name."""


def _side(file: StoredFile, index: int) -> int | None:
    known = file.known_dimensions if isinstance(file, StoredImage) else None
    return known[index] if known else None


def fact_columns_of(type_: TypeEngine[Any]) -> dict[str, str]:
    """Return the names of the sibling attributes that a column type fills, by fact."""
    if not isinstance(type_, FileType):
        return {}
    named = {fact: vars(type_).get(fact) for fact in _KNOWN}
    return {fact: name for fact, name in named.items() if name is not None}


def known_fact(file: object, fact: str) -> object:
    """Return a fact that a file knows without I/O. None means that it is unknown, or that the value is no file."""
    return _KNOWN[fact](file) if isinstance(file, StoredFile) else None


def known_facts(file: object, facts: Iterable[str]) -> dict[str, Any]:
    """Return those of some facts that a file knows."""
    known = {fact: known_fact(file, fact) for fact in facts}
    return {fact: value for fact, value in known.items() if value is not None}


def check_fact_columns(class_: type[Any], type_: TypeEngine[Any]) -> None:
    """Refuse names of attributes that a mapped class lacks.

    Raises:
        InvalidArgumentException: The class lacks one of the attributes.
    """
    for fact, name in fact_columns_of(type_).items():
        if not hasattr(class_, name):
            raise InvalidArgumentException(
                f"{class_.__name__} has no attribute {name!r}, which {fact}= of a file names"
            )


def set_facts(target: Any, names: Mapping[str, str], file: object, before: object) -> None:
    """Set the sibling attributes of a file that is assigned.

    A fact that the file does not know becomes None. It stays unchanged if this is the first file of a new row, or the
    same file as before: then no sibling holds a fact of another file.

    Args:
        target: The object.
        names: The attributes by fact.
        file: The assigned file.
        before: The previous file.
    """
    state = inspect_object(target)
    keeps_others = (before is NO_VALUE and not state.has_identity) or before == file
    columns = state.mapper.column_attrs
    for fact, name in names.items():
        value = known_fact(file, fact)
        if value is None and keeps_others:
            continue
        if name in columns:
            # not by the __setattr__ of models: see `keep_coerced_values`
            set_attribute(target, name, fact_value(value, columns[name].columns[0].type))
        else:
            setattr(target, name, value)


def give_facts(values: Mapping[str, Any], key: str, names: Mapping[str, str]) -> None:
    """Give the file of a loaded row the facts from its sibling columns.

    Args:
        values: The loaded attributes of the row.
        key: The attribute of the file.
        names: The attributes by fact.
    """
    file = values.get(key)
    if not isinstance(file, StoredFile):
        return
    tell_facts(file, {fact: value for fact, name in names.items() if (value := values.get(name)) is not None})


def tell_facts(file: StoredFile, told: Mapping[str, Any]) -> None:
    """Give facts to a file."""
    width, height, uploaded_at = told.get("width"), told.get("height"), told.get("uploaded_at")
    file.remember(
        size=told.get("size"),
        content_type=told.get("content_type"),
        filename=told.get("filename"),
        sha256=told.get("sha256"),
        upload_time=_as_aware(uploaded_at) if isinstance(uploaded_at, datetime) else None,
        image_size=ImageSize(width, height) if width and height else None,
        placeholder=told.get("placeholder"),
    )


def fact_value(value: object, type_: TypeEngine[Any]) -> object:
    """Return a fact as its column stores it. A time is in UTC, without a zone if the column has none."""
    if isinstance(value, datetime) and isinstance(type_, DateTime) and not type_.timezone:
        return value.astimezone(UTC).replace(tzinfo=None)
    return value


def _as_aware(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time

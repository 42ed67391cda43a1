"""The files that INSERT and UPDATE statements write, as far as the statements say it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import BindParameter, Null
from sqlalchemy.sql import Insert, Update

from async_storages.errors import InvalidArgumentException
from async_storages.files import StoredFile
from async_storages.integrations.sqlalchemy.columns.attributes import coercion
from async_storages.integrations.sqlalchemy.columns.comparator import is_sql
from async_storages.integrations.sqlalchemy.columns.fields import (
    FileField,
    fields_of,
    fields_of_table,
    is_pending,
    stored_files,
)

__all__ = ["fields_by_name", "files_in", "refusal", "unknown_files", "values_of", "writes_in_with", "written"]

type Parameters = Mapping[str, Any]


def fields_by_name(statement: Any) -> dict[str, FileField]:
    """The file columns of a statement's table, by the names that its values may have."""
    in_table = fields_of_table(getattr(statement, "table", None))
    if not in_table:
        return {}
    found = {field.key: field for field in in_table}
    entity = statement._propagate_attrs.get("plugin_subject")  # noqa: SLF001 - the class that an ORM statement is for
    if entity is not None:
        columns = {field.column for field in in_table}
        found |= {field.key: field for field in fields_of(entity.mapper) if field.column in columns}
    return found


def written(statement: Insert | Update, parameters: Sequence[Parameters]) -> Iterator[tuple[FileField, StoredFile]]:
    """The files that rows are to name, as far as the statement says it.

    Args:
        statement: The statement.
        parameters: Its parameters, a mapping for each execution.

    Raises:
        InvalidArgumentException: It is given content.
    """
    for field, value in _values(statement, parameters):
        if not is_sql(value):
            yield from ((field, stored) for stored in files_in(field, value))


def unknown_files(statement: Any, parameters: Sequence[Parameters]) -> str | None:
    """The reason why nobody can tell which files the rows will name; None if the statement says it."""
    fields = fields_by_name(statement)
    names = (getattr(statement, "_select_names", None) or ()) if getattr(statement, "select", None) is not None else ()
    for name in names if fields else ():
        if _key(name) in fields:
            return f"{_key(name)} is filled by a SELECT, so nobody can tell which files the rows name: insert their ids"
    for field, value in _values(statement, parameters):
        if is_sql(value):
            return f"{field.key} is set to an SQL expression, so nobody can tell which files the rows name"
    return None


def _values(statement: Any, parameters: Sequence[Parameters]) -> Iterator[tuple[FileField, Any]]:
    fields = fields_by_name(statement)
    for values in _rows(statement, parameters) if fields else ():
        for name, value in values.items():
            field = fields.get(name)
            if field is not None and not _is_no_file(value, field):
                yield field, value


def files_in(field: FileField, value: Any) -> list[StoredFile]:
    """The files of a value that a statement writes.

    Raises:
        InvalidArgumentException: It is content.
    """
    files = (coercion(field.column.type) or field.type.coerce)(value)
    if is_pending(files):
        raise refusal("content can be assigned to an object, not given to a statement: `await storage.save(…)`")
    return stored_files(files)


def values_of(statement: Any, given: Parameters) -> dict[str, Any]:
    """The values that an UPDATE, or the one row of an INSERT, sets, by the names of columns or attributes."""
    pairs = (statement._values or {}).items()  # noqa: SLF001 - there is no other way to see them
    ordered = getattr(statement, "_ordered_values", None) or ()
    return {**given, **{_key(name): _value(value, given) for name, value in (*pairs, *ordered)}}


def writes_in_with(compiled: Any) -> bool:
    """True if a statement has an INSERT or UPDATE of file columns in its WITH clause, as PostgreSQL allows."""
    parts = (cte.element for cte in getattr(compiled, "ctes", None) or ())
    return any(isinstance(part, Insert | Update) and fields_by_name(part) for part in parts)


def refusal(reason: str) -> InvalidArgumentException:
    """The error for a statement whose effect on files nobody can tell."""
    return InvalidArgumentException(reason, operation="execute")


def _rows(statement: Any, parameters: Sequence[Parameters]) -> Iterator[Mapping[str, Any]]:
    for given in parameters or ({},):
        yield values_of(statement, given)
    for rows in getattr(statement, "_multi_values", ()):
        for row in rows:
            yield {_key(name): _value(value, {}) for name, value in row.items()}
    yield dict(_on_conflict(statement))


def _on_conflict(statement: Any) -> Iterator[tuple[str, Any]]:
    clause = getattr(statement, "_post_values_clause", None)
    chosen = getattr(clause, "update_values_to_set", None) or getattr(clause, "update", None) or ()
    pairs = chosen.items() if isinstance(chosen, Mapping) else chosen
    return ((_key(name), _value(value, {})) for name, value in pairs)


def _is_no_file(value: Any, field: FileField) -> bool:
    """NULL, or the value that the statement's own rows or the row itself have already."""
    if isinstance(value, Null) or value is None:
        return True
    is_excluded = getattr(getattr(value, "table", None), "name", None) == "excluded"
    return (
        getattr(value, "key", None) == field.column.key
        and is_sql(value)
        and (is_excluded or getattr(value, "table", None) is field.column.table)
    )


def _key(name: Any) -> str:
    return str(name if isinstance(name, str) else name.key)


def _value(value: Any, given: Parameters) -> Any:
    if not isinstance(value, BindParameter):
        return value
    return given.get(value.key, value.effective_value)

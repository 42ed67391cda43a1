"""The files that INSERT and UPDATE statements write, found in the statements themselves."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import BindParameter, Null
from sqlalchemy.sql import Insert, Update

from async_storages.errors import InvalidArgumentException
from async_storages.files import StoredFile
from async_storages.integrations.sqlalchemy.columns.attributes import coercion_for
from async_storages.integrations.sqlalchemy.columns.comparator import is_sql
from async_storages.integrations.sqlalchemy.columns.fields import (
    FileField,
    fields_of,
    fields_of_table,
    has_pending_content,
    stored_files_in,
)

__all__ = [
    "coerce_files",
    "explain_unknown_files",
    "fields_by_name",
    "has_writing_cte",
    "refusal",
    "values_set_by",
    "written_files",
]

type Parameters = Mapping[str, Any]


def fields_by_name(statement: Any) -> dict[str, FileField]:
    """Return the file columns of a statement's table, by all names that its values may use for them."""
    in_table = fields_of_table(getattr(statement, "table", None))
    if not in_table:
        return {}
    found = {field.key: field for field in in_table}
    entity = statement._propagate_attrs.get("plugin_subject")  # noqa: SLF001 - the class that an ORM statement is for
    if entity is not None:
        columns = {field.column for field in in_table}
        found |= {field.key: field for field in fields_of(entity.mapper) if field.column in columns}
    return found


def written_files(
    statement: Insert | Update, parameters: Sequence[Parameters]
) -> Iterator[tuple[FileField, StoredFile]]:
    """Yield the files that a statement writes into rows. `explain_unknown_files` reports files it does not know.

    Args:
        statement: The statement.
        parameters: Its parameters, a mapping for each execution.

    Raises:
        InvalidArgumentException: A value is content that is not stored yet.
    """
    for field, value in _values(statement, parameters):
        if not is_sql(value):
            yield from ((field, stored) for stored in coerce_files(field, value))


def explain_unknown_files(statement: Any, parameters: Sequence[Parameters]) -> str | None:
    """Return the reason why the files that the rows will name are unknown; None if the statement names them."""
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


def coerce_files(field: FileField, value: Any) -> list[StoredFile]:
    """Return the files in a value that a statement writes.

    Raises:
        InvalidArgumentException: The value is content that is not stored yet.
    """
    files = (coercion_for(field.column.type) or field.type.coerce)(value)
    if has_pending_content(files):
        raise refusal("content can be assigned to an object, not given to a statement: `await storage.save(…)`")
    return stored_files_in(files)


def values_set_by(statement: Any, given: Parameters) -> dict[str, Any]:
    """Return the values that an UPDATE or a one-row INSERT sets, by the names of columns or attributes."""
    pairs = (statement._values or {}).items()  # noqa: SLF001 - there is no other way to see them
    ordered = getattr(statement, "_ordered_values", None) or ()
    return {**given, **{_key(name): _value(value, given) for name, value in (*pairs, *ordered)}}


def has_writing_cte(compiled: Any) -> bool:
    """Return True if the WITH clause of a statement writes file columns, as PostgreSQL allows."""
    parts = (cte.element for cte in getattr(compiled, "ctes", None) or ())
    return any(isinstance(part, Insert | Update) and fields_by_name(part) for part in parts)


def refusal(reason: str) -> InvalidArgumentException:
    """Return the error for a statement with an unknown effect on files."""
    return InvalidArgumentException(reason, operation="execute")


def _rows(statement: Any, parameters: Sequence[Parameters]) -> Iterator[Mapping[str, Any]]:
    for given in parameters or ({},):
        yield values_set_by(statement, given)
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
    """Return True for NULL, and for a value that the row, or the statement's own row, has already."""
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

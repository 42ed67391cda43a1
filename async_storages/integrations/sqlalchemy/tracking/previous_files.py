"""The files that rows name now, asked of the database: what a session remembers of them may be missing or outdated."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import batched
from typing import Any

from sqlalchemy import Connection, FromClause, Select, Table, func, select, tuple_
from sqlalchemy.orm import Mapper

from async_storages.integrations.sqlalchemy.columns.fields import FileField

__all__ = ["Identity", "Row", "can_lock_rows", "locked", "rows_now"]

type Identity = tuple[Any, ...]
type Row = dict[FileField, Any]

_ASKED = 500
"""Rows asked for by one statement."""


def rows_now(
    connection: Connection,
    mapper: Mapper[Any],
    wanted: Mapping[Identity, Iterable[FileField]],
    *,
    only_deleted: bool = False,
) -> dict[Identity, Row]:
    """The values of some attributes of some objects, whose rows are locked until the transaction ends.

    Without the lock two sessions that replace the file of one row would both remove the first one, and neither that
    of the other.

    Args:
        connection: The session's own.
        mapper: The class of the objects.
        wanted: Primary key → attributes, which must be of this mapper.
        only_deleted: All of the rows are to be deleted.
    """
    fields = list(dict.fromkeys(field for chosen in wanted.values() for field in chosen))
    keys = len(mapper.primary_key)
    found: dict[Identity, Row] = {}
    can_lock = not (fields and only_deleted) or can_lock_rows(connection, mapper.persist_selectable)
    for batch in batched(wanted, _ASKED) if fields else ():
        rows = _selecting(mapper, fields, batch)
        for row in connection.execute(locked(rows, mapper.persist_selectable) if can_lock else rows):
            identity = tuple(row[:keys])
            chosen, values = wanted.get(identity, ()), zip(fields, row[keys:], strict=True)
            found[identity] = {field: value for field, value in values if field in chosen}
    return found


def _selecting(mapper: Mapper[Any], fields: Sequence[FileField], identities: Iterable[Identity]) -> Select[Any]:
    key, columns = mapper.primary_key, (field.column for field in fields)
    found = select(*key, *columns).select_from(mapper.persist_selectable).order_by(*key)
    if len(key) == 1:
        return found.where(key[0].in_([identity[0] for identity in identities]))
    return found.where(tuple_(*key).in_(list(identities)))


def locked(rows: Select[Any], table: FromClause) -> Select[Any]:
    """The same rows, locked as an UPDATE locks them: rows that refer to them can be inserted meanwhile."""
    return rows.with_for_update(key_share=True, of=table if isinstance(table, Table) else None)


def can_lock_rows(connection: Connection, table: FromClause) -> bool:
    """True if the role of a connection may lock rows that it is to delete: PostgreSQL asks for UPDATE on the table."""
    if connection.dialect.name != "postgresql" or not isinstance(table, Table):
        return True
    options, quote = connection.get_execution_options(), connection.dialect.identifier_preparer.quote
    schema = (options.get("schema_translate_map") or {}).get(table.schema, table.schema)
    name = ".".join(quote(each) for each in (schema, table.name) if each is not None)
    return bool(connection.scalar(select(func.has_any_column_privilege(func.to_regclass(name), "UPDATE"))))

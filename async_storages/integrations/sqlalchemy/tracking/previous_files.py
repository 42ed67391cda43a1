"""The files that rows name now, read from the database. A session's own values may be missing or outdated."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import batched
from typing import Any

from sqlalchemy import Connection, FromClause, Select, Table, func, select, tuple_
from sqlalchemy.orm import Mapper

from async_storages.integrations.sqlalchemy.columns.fields import FileField

__all__ = ["Identity", "Row", "can_lock_rows", "lock_and_read_rows", "lock_rows"]

type Identity = tuple[Any, ...]
type Row = dict[FileField, Any]

_BATCH = 500
"""Rows per statement."""


def lock_and_read_rows(
    connection: Connection,
    mapper: Mapper[Any],
    wanted: Mapping[Identity, Iterable[FileField]],
    *,
    only_deleted: bool = False,
) -> dict[Identity, Row]:
    """Lock the rows of some objects until the transaction ends, and read some of their attributes.

    Without the lock, two sessions that replace the file of one row would both remove the first file. Neither would
    remove the file of the other.

    Args:
        connection: The session's connection.
        mapper: The class of the objects.
        wanted: The attributes to read, all of this mapper, by primary key.
        only_deleted: True if all of the rows will be deleted.

    Returns:
        The values by primary key and attribute.
    """
    fields = list(dict.fromkeys(field for chosen in wanted.values() for field in chosen))
    keys = len(mapper.primary_key)
    found: dict[Identity, Row] = {}
    can_lock = not (fields and only_deleted) or can_lock_rows(connection, mapper.persist_selectable)
    for batch in batched(wanted, _BATCH) if fields else ():
        rows = _select_rows(mapper, fields, batch)
        for row in connection.execute(lock_rows(rows, mapper.persist_selectable) if can_lock else rows):
            identity = tuple(row[:keys])
            chosen, values = wanted.get(identity, ()), zip(fields, row[keys:], strict=True)
            found[identity] = {field: value for field, value in values if field in chosen}
    return found


def _select_rows(mapper: Mapper[Any], fields: Sequence[FileField], identities: Iterable[Identity]) -> Select[Any]:
    key, columns = mapper.primary_key, (field.column for field in fields)
    found = select(*key, *columns).select_from(mapper.persist_selectable).order_by(*key)
    if len(key) == 1:
        return found.where(key[0].in_([identity[0] for identity in identities]))
    return found.where(tuple_(*key).in_(list(identities)))


def lock_rows(rows: Select[Any], table: FromClause) -> Select[Any]:
    """Return the query with the lock of an UPDATE. Others can still insert rows that refer to these rows."""
    return rows.with_for_update(key_share=True, of=table if isinstance(table, Table) else None)


def can_lock_rows(connection: Connection, table: FromClause) -> bool:
    """Return True if a connection's role may lock rows to delete them. PostgreSQL needs UPDATE on the table for it."""
    if connection.dialect.name != "postgresql" or not isinstance(table, Table):
        return True
    options, quote = connection.get_execution_options(), connection.dialect.identifier_preparer.quote
    schema = (options.get("schema_translate_map") or {}).get(table.schema, table.schema)
    name = ".".join(quote(each) for each in (schema, table.name) if each is not None)
    return bool(connection.scalar(select(func.has_any_column_privilege(func.to_regclass(name), "UPDATE"))))

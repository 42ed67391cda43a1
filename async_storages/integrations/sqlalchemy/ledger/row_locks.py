"""Statements that change or lock rows of chosen ids, and no others.

MySQL reads all rows of a small table, whatever the condition is, and locks the rows that it reads. At REPEATABLE READ
it also locks the gaps between them, until the transaction ends. These statements therefore tell MySQL to use the
primary key.
"""

from typing import Any

from sqlalchemy import Connection, Select, Table, bindparam, delete

from async_storages.integrations.sqlalchemy.columns.database_types import MYSQL_DIALECTS

__all__ = ["by_key", "delete_ids", "free_ids"]

_ID = "chosen_id"


def by_key[Statement](statement: Statement, table: Table) -> Statement:
    """Return the SELECT or UPDATE with a hint that makes MySQL find rows by their primary keys, which must be given."""
    hinted: Any = statement  # the two have `with_hint` from different classes
    for name in MYSQL_DIALECTS:
        hinted = hinted.with_hint(selectable=table, text="FORCE INDEX (PRIMARY)", dialect_name=name)
    told: Statement = hinted
    return told


def free_ids(connection: Connection, found: Select[Any], *, are_claims_free: bool = False) -> Any:
    """Lock the rows of a query for ids, without rows that others have locked. Return a value for ``IN``.

    MySQL cannot change a table that a subquery reads. There the result is the ids themselves.

    Args:
        connection: The connection.
        found: The query.
        are_claims_free: True also locks, on PostgreSQL, entries that sessions have claimed.
    """
    free = found.with_for_update(skip_locked=True, key_share=are_claims_free)
    return connection.scalars(free).all() if connection.dialect.name in MYSQL_DIALECTS else free


def delete_ids(connection: Connection, table: Table, ids: Any) -> int:
    """Delete the rows of some ids, and return their number. MySQL's DELETE takes no hint, so it deletes one by one.

    Args:
        connection: The connection.
        table: One of the ledger's tables.
        ids: A list, or the result of `free_ids`.
    """
    if connection.dialect.name not in MYSQL_DIALECTS:
        return connection.execute(delete(table).where(table.c.id.in_(ids))).rowcount
    if not ids:
        return 0
    one = delete(table).where(table.c.id == bindparam(_ID)).execution_options(preserve_rowcount=True)
    return connection.execute(one, [{_ID: each} for each in ids]).rowcount

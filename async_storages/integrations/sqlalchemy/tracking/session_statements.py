"""INSERT and UPDATE statements on the connections of sessions: this package notices every file written into a row.

A flush knows its files in advance. This module sees all other statements: ``session.execute``, ``bulk_save_objects``
and similar methods, and statements on the session's connection. With a ledger, each file is claimed, or the statement
is refused.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary, WeakSet, ref

from sqlalchemy import Connection, Engine, event
from sqlalchemy.sql import Delete, Insert, Update

from async_storages.integrations.sqlalchemy.references.column_locations import OWN_STATEMENT
from async_storages.integrations.sqlalchemy.tracking.plain_tables import (
    forget_plain_tables,
    is_harmless_query,
    is_plain_write,
)
from async_storages.integrations.sqlalchemy.tracking.reference_writer import ReferenceWriter, require_available
from async_storages.integrations.sqlalchemy.tracking.session_transactions import SessionTransactions
from async_storages.integrations.sqlalchemy.tracking.written_files import (
    explain_unknown_files,
    has_writing_cte,
    refusal,
    written_files,
)

__all__ = ["watch_statements"]

_CHANGES_SCHEMA = re.compile(r"\s*(?:CREATE|ALTER|DROP|DO|CALL)\b", re.IGNORECASE)

_sessions: "WeakKeyDictionary[Connection, list[ref[SessionTransactions]]]" = WeakKeyDictionary()
_engines: "WeakSet[Engine]" = WeakSet()


def watch_statements(connection: Connection, transactions: SessionTransactions) -> None:
    """Watch the statements on a connection of a session while the session has a transaction."""
    if connection.engine not in _engines:
        event.listen(connection.engine, "before_execute", _executing)
        event.listen(connection.engine, "before_cursor_execute", _sending)
        _engines.add(connection.engine)
    sessions = [each for each in _sessions.get(connection, ()) if each() is not None]
    _sessions[connection] = [*sessions, ref(transactions)]


def _transactions_on(connection: Connection) -> SessionTransactions | None:
    """Return the transactions of the session that works on a connection. Of several sessions, return the innermost."""
    for each in reversed(_sessions.get(connection, ())):
        transactions = each()
        if transactions is not None and transactions.is_on(connection):
            return transactions
    return None


def _executing(
    connection: Connection,
    statement: Any,
    multiparams: Sequence[Mapping[str, Any]],
    params: Mapping[str, Any],
    options: Mapping[str, Any],
) -> None:
    transactions = None if OWN_STATEMENT in options else _transactions_on(connection)
    if transactions is None:
        return
    flush = transactions.flush if transactions.is_flushing and "compiled_cache" in options else None
    if flush is not None and isinstance(statement, Insert | Update | Delete):
        flush.record_statement(statement)
        if transactions.has_flushed_rows_only and not is_plain_write(connection, statement):
            transactions.expect_other_changes()
        return
    if (transactions.is_flushing or transactions.has_flushed_rows_only) and not is_harmless_query(statement):
        transactions.expect_other_changes()
    if isinstance(statement, Insert | Update):
        _write_files(connection, statement, multiparams or [params], options, transactions)


def _write_files(
    connection: Connection,
    statement: Insert | Update,
    parameters: Sequence[Mapping[str, Any]],
    options: Mapping[str, Any],
    transactions: SessionTransactions,
) -> None:
    """Check, claim and record the files that a statement is about to write."""
    if reason := explain_unknown_files(statement, parameters):
        _hold_or_refuse(transactions, reason)
    added = list(written_files(statement, parameters))
    if not added:
        return
    require_available(stored for _, stored in added)
    ReferenceWriter(transactions, options).claim(connection, added, skip_claimed=True)
    scope = transactions.scope
    files = [scope.record_added(field, stored) for field, stored in added]
    transactions.record_locations([file for file in files if file in scope.new_files], options)


def _hold_or_refuse(transactions: SessionTransactions, reason: str) -> None:
    """With a ledger, refuse a statement that writes unknown files. Without one, hold all files."""
    if transactions.options.claims is not None:
        raise refusal(reason)
    transactions.scope.hold_all_files()


def _sending(connection: Connection, _cursor: object, sql: str, _parameters: object, context: Any, _: bool) -> None:
    if _CHANGES_SCHEMA.match(sql):
        forget_plain_tables(connection.engine)
    if context.compiled is None and OWN_STATEMENT not in context.execution_options:
        transactions = _transactions_on(connection)
        if transactions is not None:
            transactions.expect_other_changes()
    if not getattr(context.compiled, "ctes", None):
        return
    transactions = _transactions_on(connection)
    if transactions is None or not has_writing_cte(context.compiled):
        return
    _hold_or_refuse(transactions, "a WITH clause writes file columns, so nobody can tell which files the rows name")

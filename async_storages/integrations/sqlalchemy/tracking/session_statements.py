"""INSERT and UPDATE statements on the connections of sessions: no file is written into a row unnoticed.

A flush knows its files before. All others are seen here, whichever way they come: ``session.execute``,
``bulk_save_objects`` and its like, or statements on the session's connection. With a ledger each of their files is
claimed, or the statement is refused.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary, WeakSet, ref

from sqlalchemy import Connection, Engine, event
from sqlalchemy.sql import Delete, Insert, Update

from async_storages.integrations.sqlalchemy.references.column_locations import OWN
from async_storages.integrations.sqlalchemy.tracking.flush import check_there, claim
from async_storages.integrations.sqlalchemy.tracking.plain_tables import forget_plain_tables, is_harmless, is_plain
from async_storages.integrations.sqlalchemy.tracking.transactions import Transactions
from async_storages.integrations.sqlalchemy.tracking.written_files import (
    refusal,
    unknown_files,
    writes_in_with,
    written,
)

__all__ = ["watch_statements"]

_CHANGES_SCHEMA = re.compile(r"\s*(?:CREATE|ALTER|DROP|DO|CALL)\b", re.IGNORECASE)

_sessions: "WeakKeyDictionary[Connection, list[ref[Transactions]]]" = WeakKeyDictionary()
_engines: "WeakSet[Engine]" = WeakSet()


def watch_statements(connection: Connection, transactions: Transactions) -> None:
    """See the statements on a connection of a session for as long as the session has a transaction."""
    if connection.engine not in _engines:
        event.listen(connection.engine, "before_execute", _executing)
        event.listen(connection.engine, "before_cursor_execute", _sending)
        _engines.add(connection.engine)
    sessions = [each for each in _sessions.get(connection, ()) if each() is not None]
    _sessions[connection] = [*sessions, ref(transactions)]


def _transactions_on(connection: Connection) -> Transactions | None:
    """The session that works on a connection; of several, the innermost."""
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
    transactions = None if OWN in options else _transactions_on(connection)
    if transactions is None:
        return
    flush = transactions.flush if transactions.is_flushing and "compiled_cache" in options else None
    if flush is not None and isinstance(statement, Insert | Update | Delete):
        flush.send(statement)
        if transactions.is_undisturbed and not is_plain(connection, statement):
            transactions.disturb()
        return
    if (transactions.is_undisturbed or transactions.is_flushing) and not is_harmless(statement):
        transactions.disturb()
    if not isinstance(statement, Insert | Update):
        return
    claims = transactions.options.claims
    given = multiparams or [params]
    if reason := unknown_files(statement, given):
        if claims is not None:
            raise refusal(reason)
        transactions.scope.hold_everything()
    named = list(written(statement, given))
    if not named:
        return
    check_there(stored for _, stored in named)
    if claims is not None:
        fresh = [(field, stored) for field, stored in named if not transactions.has_claimed(stored)]
        claims.check(connection, [field for field, _ in fresh], options)
        claim(transactions, connection, fresh)
    scope = transactions.scope
    added = [scope.add(field, stored) for field, stored in named]
    transactions.locate([file for file in added if file in scope.made], options)


def _sending(connection: Connection, _cursor: object, sql: str, _parameters: object, context: Any, _: bool) -> None:
    if _CHANGES_SCHEMA.match(sql):
        forget_plain_tables(connection.engine)
    if context.compiled is None:
        transactions = _transactions_on(connection)
        if transactions is not None:
            transactions.disturb()
    if not getattr(context.compiled, "ctes", None):
        return
    transactions = _transactions_on(connection)
    if transactions is None or not writes_in_with(context.compiled):
        return
    if transactions.options.claims is not None:
        raise refusal("a WITH clause writes file columns, so nobody can tell which files the rows name")
    transactions.scope.hold_everything()

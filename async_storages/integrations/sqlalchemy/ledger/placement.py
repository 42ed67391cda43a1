"""Placement of tables: sessions and the ledger must use the same database and the same schema."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, Table

from async_storages.errors import InvalidArgumentException
from async_storages.integrations.sqlalchemy.ledger.connections import Connections, is_autocommitting

__all__ = ["Placement"]

_SCHEMA = (
    "coalesce((SELECT nspname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace "
    "WHERE pg_class.oid = to_regclass({0})), current_schema())"
)

type _Schema = tuple[str, str]
"""A database and its schema. On SQLite: a file, and the name under which it is attached. On MySQL: a database."""


class Placement:
    """The schemas in which the ledger has found tables.

    Args:
        connections: The ledger's.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._schemas: dict[Table, _Schema] = {}
        self._file: str | None = None

    def check(
        self, connection: Connection, tables: Iterable[Table], options: Mapping[str, Any] = MappingProxyType({})
    ) -> None:
        """Refuse a session that works in another place than the ledger, or whose locks do not last.

        Args:
            connection: The session's connection.
            tables: The tables whose rows it changes.
            options: Execution options of its statement, if they differ from the connection's.

        Raises:
            InvalidArgumentException: The worker would not find the rows that the session writes.
        """
        self._connections.check_session()
        if not self._connections.is_sqlite and is_autocommitting(connection):
            raise _misplaced(
                "the session's isolation_level is AUTOCOMMIT, in which the ledger cannot lock its files until the "
                "commit: give it an isolation_level with transactions"
            )
        chosen = [self._connections.main.table, *tables]
        found = self._find(connection, chosen, {**connection.get_execution_options(), **options})
        if found != [self._schemas.get(table) for table in chosen]:
            self._compare(chosen, found)

    def _compare(self, tables: Sequence[Table], theirs: Sequence[_Schema]) -> None:
        """Compare with the ledger's own view. It is read again, because it may have changed."""
        options = self._connections.engine.get_execution_options()
        ours = self._connections.reading.run_in_event(lambda connection, _: self._find(connection, tables, options))
        self._schemas |= zip(tables, ours, strict=True)
        for table, their, our in zip(tables, theirs, ours, strict=True):
            if their != our:
                raise _misplaced(
                    f"{table.name!r} is in {'.'.join(their)} for this session, in {'.'.join(our)} for the ledger: "
                    "let them use the same database, search_path and schema_translate_map, or make a FileLedger for "
                    "each place"
                )

    def _find(self, connection: Connection, tables: Sequence[Table], options: Mapping[str, Any]) -> list[_Schema]:
        """Return the schemas in which tables of these names are, or would be created."""
        translated = options.get("schema_translate_map") or {}
        schemas = [translated.get(table.schema, table.schema) for table in tables]
        if self._connections.is_sqlite:
            ours = str(self._connections.engine.url.database)
            file = ours if connection.engine.url.database == ours else self._file_of(connection, ours)
            return [(file, schema or "main") for schema in schemas]
        if self._connections.is_mysql:
            current = str(connection.exec_driver_sql("SELECT DATABASE()").scalar())
            return [("mysql", schema or current) for schema in schemas]
        quote = connection.dialect.identifier_preparer.quote
        asked = [
            _SCHEMA.format(_literal(quote(table.name))) if schema is None else _literal(schema)
            for table, schema in zip(tables, schemas, strict=True)
        ]
        database, *found = connection.exec_driver_sql(f"SELECT current_database(), {', '.join(asked)}").one()
        return [(database, schema) for schema in found]

    def _file_of(self, connection: Connection, ours: str) -> str:
        """Return the file of a SQLite database. For another name of the ledger's file, return the ledger's own name."""
        self._file = self._file or self._connections.reading.run_in_event(lambda own, _: _opened(own))
        found = _opened(connection)
        return ours if found == self._file else found or ":memory:"


def _opened(connection: Connection) -> str:
    """Return the path of a SQLite database as SQLite sees it; empty if it is in memory."""
    return next(str(row[2] or "") for row in connection.exec_driver_sql("PRAGMA database_list") if row[1] == "main")


def _literal(name: str) -> str:
    escaped = name.replace("'", "''")
    return f"'{escaped}'"


def _misplaced(reason: str) -> InvalidArgumentException:
    return InvalidArgumentException(reason, operation="claim")

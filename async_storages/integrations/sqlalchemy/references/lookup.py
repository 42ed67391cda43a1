"""Lookup of files in the rows of a database, before a file is removed.

A session uses its own connection, which sees its uncommitted rows. The worker of a ledger uses another connection.
"""

import json
import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import batched
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, Inspector, inspect

from async_storages.errors import StorageException
from async_storages.ids import FileId, is_fusion_id
from async_storages.integrations.sqlalchemy import _greenlet
from async_storages.integrations.sqlalchemy.columns.database_types import MYSQL_DIALECTS
from async_storages.integrations.sqlalchemy.columns.fields import FileField
from async_storages.integrations.sqlalchemy.columns.tracked_file import TrackedFile
from async_storages.integrations.sqlalchemy.references.column_locations import (
    ColumnLocation,
    can_serve,
    fetch_all_rows,
    router_of,
)
from async_storages.integrations.sqlalchemy.references.lookup_sql import ISOLATION_QUERY, build_lookup, is_searchable
from async_storages.registry import StorageAddress, StorageRouter

__all__ = [
    "LookupResult",
    "bare_spelling",
    "find_named_ids",
    "find_unindexed",
    "is_indexed",
    "look_up_files",
    "warn_unindexed",
]

logger = logging.getLogger("async_storages")

_IDS = 500
"""Ids per statement."""

_AT_A_TIME = 100
"""Number of ids after which other tasks get a turn."""

_COLUMNS = 50
"""Columns per statement."""


@dataclass(slots=True)
class LookupResult:
    """The result of a search for files in rows.

    Attributes:
        named: Files that a row names.
        unsure: Files that rows may name which the connection does not see.
        is_final: True if the lookup saw everything that others had committed by then. A snapshot at REPEATABLE READ
            does not.
        engines: The engines of the databases.
    """

    named: set[TrackedFile] = field(default_factory=set)
    unsure: set[TrackedFile] = field(default_factory=set)
    is_final: bool = True
    engines: list[Engine] = field(default_factory=list)

    def should_keep(self, file: TrackedFile) -> bool:
        """Return True if a file must not be removed."""
        return file in self.named or file in self.unsure

    def add(self, other: "LookupResult") -> None:
        """Add the result of another connection."""
        self.named |= other.named
        self.unsure |= other.unsure
        self.is_final = self.is_final and other.is_final
        self.engines += other.engines


def look_up_files(
    connection: Connection,
    locations: Iterable[ColumnLocation],
    files: Collection[TrackedFile],
    *,
    is_locking: bool = False,
) -> LookupResult:
    """Search the rows that a connection sees for files, by the full id or, as in old rows, by the bare key.

    Args:
        connection: The connection. The lookup is part of its transaction.
        locations: The result of `locate_columns` for it, or for another connection to the same database.
        files: The files.
        is_locking: True waits, on MySQL, for transactions that have changed the rows.

    Returns:
        The result. A file is unsure if a column that can name it is hidden, or holds lists that this database cannot
        search.
    """
    result = LookupResult()
    for router, columns in _by_router(locations):
        readable = [each for each in columns if not each.is_hidden and is_searchable(each, connection.dialect.name)]
        by_id = _served_by_id(router, files)
        if len(readable) < len(columns):
            result.unsure.update(file for same_id in by_id.values() for file in same_id)
        for file_id in _find(connection, router, readable, by_id, result, is_locking=is_locking):
            result.named.update(by_id[file_id])
    if not result.engines:
        _record_isolation(result, connection)
    return result


def _served_by_id(router: StorageRouter | None, files: Iterable[TrackedFile]) -> dict[str, list[TrackedFile]]:
    """Return the files that columns of a storage can name, by their ids."""
    serves: dict[StorageAddress | None, bool] = {}
    by_id: dict[str, list[TrackedFile]] = {}
    for file in _greenlet.pace(files):
        if file.address not in serves:
            serves[file.address] = can_serve(router, file)
        if serves[file.address]:
            by_id.setdefault(file.file_id, []).append(file)
    return by_id


def _by_router(locations: Iterable[ColumnLocation]) -> list[tuple[StorageRouter | None, list[ColumnLocation]]]:
    groups: dict[int, tuple[StorageRouter | None, list[ColumnLocation]]] = {}
    for location in locations:
        router = router_of(location.field)
        groups.setdefault(id(router), (router, []))[1].append(location)
    return list(groups.values())


def find_named_ids(connection: Connection, locations: Iterable[ColumnLocation], ids: Collection[str]) -> set[str]:
    """Find the ids that rows name, for files in any storage. Otherwise it works as `look_up_files`."""
    result = LookupResult()
    return {
        file_id
        for router, columns in _by_router(locations)
        for file_id in _find(connection, router, columns, ids, result)
    }


def _spelled(router: StorageRouter | None, ids: Iterable[str]) -> dict[str, list[str]]:
    spelled: dict[str, list[str]] = {}
    for batch in batched(ids, _AT_A_TIME):
        for file_id in batch:
            for each in {file_id, bare_spelling(router, file_id)}:
                spelled.setdefault(each, []).append(file_id)
        if len(batch) == _AT_A_TIME:
            _greenlet.give_way()
    return spelled


def bare_spelling(router: StorageRouter | None, file_id: str) -> str:
    """Return the spelling of an id in old rows of a storage's columns, or the id itself if there is no other."""
    if not is_fusion_id(file_id):
        return file_id
    parsed = FileId.parse(file_id)
    if router is None:
        return parsed.key
    try:
        key = router.storage_for(parsed).bare_key(parsed)
        return key if str(router.identify(key)) == file_id else file_id
    except StorageException:
        return parsed.key  # the storage is unknown


def _find(
    connection: Connection,
    router: StorageRouter | None,
    locations: Sequence[ColumnLocation],
    ids: Collection[str],
    result: LookupResult,
    *,
    is_locking: bool = False,
) -> Iterator[str]:
    dialect = connection.dialect
    for batch in batched(ids, _IDS):
        spelled = _spelled(router, batch)
        parameters = _parameters(list(spelled), dialect.name)
        for columns in batched(locations, _COLUMNS):
            statement = build_lookup(columns, dialect, is_locking=is_locking)
            given = {name: value for name, value in parameters.items() if name in statement._bindparams}  # noqa: SLF001
            for row in fetch_all_rows(connection, statement, given):
                if row[0] is None:  # at any position: PostgreSQL may look into several columns at once
                    _record_isolation(result, connection, row)
                else:
                    yield from spelled.get(row[0].decode() if isinstance(row[0], bytes) else row[0], ())
    if ids:
        warn_unindexed(connection, locations)


def _parameters(ids: list[str], dialect: str) -> dict[str, Any]:
    """Return the ids, and their spelling in JSON. Malformed JSON is searched for the latter."""
    escaped = [json.dumps(each)[1:-1] for each in ids]
    if dialect == "sqlite":
        return {"ids": json.dumps(dict(zip(escaped, ids, strict=True)))}
    if dialect in MYSQL_DIALECTS:
        return {"ids": ids, "asked": json.dumps(list(zip(escaped, ids, strict=True)))}
    return {"ids": ids, "escaped": escaped}


def _record_isolation(result: LookupResult, connection: Connection, row: Any = None) -> None:
    """Record the engine of a lookup, and if its isolation level shows everything that others have committed."""
    if result.engines:
        return
    if connection.dialect.name == "postgresql":
        _, isolation = row or connection.exec_driver_sql(ISOLATION_QUERY).one()
        result.is_final = isolation == "read committed"
    elif connection.dialect.name != "sqlite":  # a writer of SQLite sees all that others have written
        options = connection.get_execution_options()
        presumed = options.get("isolation_level", connection.default_isolation_level)
        result.is_final = presumed == "READ COMMITTED" and connection.get_isolation_level() == presumed
    result.engines.append(connection.engine)


# ---- indexes

_warned: "WeakKeyDictionary[Engine, set[ColumnLocation]]" = WeakKeyDictionary()


def warn_unindexed(connection: Connection, locations: Iterable[ColumnLocation]) -> None:
    """Log a warning about columns without an index, once for each column and engine."""
    warned = _warned.setdefault(connection.engine, set())
    unwarned = [each for each in locations if each not in warned]
    warned.update(unwarned)
    for name in find_unindexed(connection, unwarned) if unwarned else ():
        logger.warning("%s has no index: its table is read whole to see whether rows name a file", name)


def find_unindexed(connection: Connection, locations: Iterable[ColumnLocation]) -> list[str]:
    """Return the names of the columns without an index."""
    inspector = inspect(connection)
    return [
        f"{each.field.column.table.fullname}.{each.field.column.name}"
        for each in locations
        if not is_indexed(inspector, each.field, each.schema)
    ]


def is_indexed(inspector: Inspector, file_field: FileField, schema: str | None) -> bool:
    """Return True if the database has an index that begins with the column."""
    table, name = file_field.column.table.name, file_field.column.name
    key = inspector.get_pk_constraint(table, schema=schema)["constrained_columns"]
    unique = inspector.get_unique_constraints(table, schema=schema)
    indexes = inspector.get_indexes(table, schema=schema)
    leading = [key[:1], *(each["column_names"][:1] for each in unique), *(each["column_names"][:1] for each in indexes)]
    return [name] in leading

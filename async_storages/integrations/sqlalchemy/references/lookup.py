"""Which files rows name: the question that the database is asked before a file is removed.

A session asks on its own connection, where its uncommitted rows are; the worker of a ledger asks on its own.
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
from async_storages.integrations.sqlalchemy.columns.fields import FileField
from async_storages.integrations.sqlalchemy.columns.tracked_file import TrackedFile
from async_storages.integrations.sqlalchemy.references.column_locations import (
    Location,
    fetch_whole,
    may_serve,
    router_of,
)
from async_storages.integrations.sqlalchemy.references.lookup_sql import STANDING, is_searchable, looking_for_ids
from async_storages.registry import StorageAddress, StorageRouter

__all__ = ["Answer", "ask", "is_indexed", "named_ids"]

logger = logging.getLogger("async_storages")

_IDS = 500
"""Ids that one statement looks for."""

_SPELLED = 100
"""Ids between which others get their turn."""

_COLUMNS = 50
"""Columns that one statement looks into."""


@dataclass(slots=True)
class Answer:
    """The answer of a database about some files.

    Attributes:
        named: Files that a row names.
        unsure: Files that rows may name which the connection does not see.
        is_final: Nothing that others had committed by then is left out, as a snapshot at REPEATABLE READ does.
        engines: The engines that were asked.
    """

    named: set[TrackedFile] = field(default_factory=set)
    unsure: set[TrackedFile] = field(default_factory=set)
    is_final: bool = True
    engines: list[Engine] = field(default_factory=list)

    def keeps(self, file: TrackedFile) -> bool:
        """True if a file must not be removed."""
        return file in self.named or file in self.unsure

    def add(self, other: "Answer") -> None:
        """Join the answer of another connection."""
        self.named |= other.named
        self.unsure |= other.unsure
        self.is_final = self.is_final and other.is_final
        self.engines += other.engines


def ask(connection: Connection, locations: Iterable[Location], files: Collection[TrackedFile]) -> Answer:
    """Which of the files a row names that this connection sees, by the full id or, as old rows may, by the bare key.

    Args:
        connection: Asked in its transaction.
        locations: What `locate` found for it, or for one to the same database.
        files: The files.

    Returns:
        The answer; where lists of this database cannot be looked into, it is unsure.
    """
    answer = Answer()
    for router, columns in _by_router(locations):
        readable = [each for each in columns if not each.is_hidden and is_searchable(each, connection.dialect.name)]
        serves: dict[StorageAddress | None, bool] = {}
        by_id: dict[str, list[TrackedFile]] = {}
        for file in _greenlet.paced(files):
            if file.address not in serves:
                serves[file.address] = may_serve(router, file)
            if serves[file.address]:
                by_id.setdefault(file.file_id, []).append(file)
                answer.unsure.update([file] if len(readable) < len(columns) else ())
        for file_id in _found(connection, router, readable, by_id, answer):
            answer.named.update(by_id[file_id])
    if not answer.engines:
        _note_standing(answer, connection)
    return answer


def _by_router(locations: Iterable[Location]) -> list[tuple[StorageRouter | None, list[Location]]]:
    groups: dict[int, tuple[StorageRouter | None, list[Location]]] = {}
    for location in locations:
        router = router_of(location.field)
        groups.setdefault(id(router), (router, []))[1].append(location)
    return list(groups.values())


def named_ids(connection: Connection, locations: Iterable[Location], ids: Collection[str]) -> set[str]:
    """The ids that rows name, of files in whatever storage; otherwise as `ask`."""
    answer = Answer()
    return {
        file_id
        for router, columns in _by_router(locations)
        for file_id in _found(connection, router, columns, ids, answer)
    }


def _spelled(router: StorageRouter | None, ids: Iterable[str]) -> dict[str, list[str]]:
    spelled: dict[str, list[str]] = {}
    for batch in batched(ids, _SPELLED):
        for file_id in batch:
            for each in {file_id, _bare_key(router, file_id)}:
                spelled.setdefault(each, []).append(file_id)
        if len(batch) == _SPELLED:
            _greenlet.give_way()
    return spelled


def _bare_key(router: StorageRouter | None, file_id: str) -> str:
    """The spelling of an id in old rows of a storage's columns; the id itself, where there is no other."""
    if not is_fusion_id(file_id):
        return file_id
    parsed = FileId.parse(file_id)
    if router is None:
        return parsed.key
    try:
        key = router.storage_for(parsed).bare_key(parsed)
        return key if str(router.identify(key)) == file_id else file_id
    except StorageException:
        return parsed.key  # nobody knows


def _found(
    connection: Connection,
    router: StorageRouter | None,
    locations: Sequence[Location],
    ids: Collection[str],
    answer: Answer,
) -> Iterator[str]:
    dialect = connection.dialect
    for batch in batched(ids, _IDS):
        spelled = _spelled(router, batch)
        parameters = _parameters(list(spelled), dialect.name)
        for columns in batched(locations, _COLUMNS):
            statement = looking_for_ids(columns, dialect)
            given = {name: value for name, value in parameters.items() if name in statement._bindparams}  # noqa: SLF001
            for row in fetch_whole(connection, statement, given):
                if row[0] is None:  # wherever it is among them: PostgreSQL may look into several columns at once
                    _note_standing(answer, connection, row)
                else:
                    yield from spelled.get(row[0], ())
    for location in locations if ids else ():
        _say_unindexed(connection, location)


def _parameters(ids: list[str], dialect: str) -> dict[str, Any]:
    """The ids, and beside each how JSON escapes it, which is looked for in values that are no JSON."""
    escaped = [json.dumps(each)[1:-1] for each in ids]
    if dialect == "sqlite":
        return {"ids": json.dumps(dict(zip(escaped, ids, strict=True)))}
    return {"ids": ids, "escaped": escaped}


def _note_standing(answer: Answer, connection: Connection, row: Any = None) -> None:
    """Note how far a connection sees."""
    if answer.engines:
        return
    if connection.dialect.name == "postgresql":
        _, isolation = row or connection.exec_driver_sql(STANDING).one()
        answer.is_final = isolation == "read committed"
    elif connection.dialect.name != "sqlite":  # who writes there sees what all others have written
        options = connection.get_execution_options()
        answer.is_final = options.get("isolation_level", connection.default_isolation_level) == "READ COMMITTED"
    answer.engines.append(connection.engine)


# ---- indexes

_said: "WeakKeyDictionary[Engine, set[Location]]" = WeakKeyDictionary()


def _say_unindexed(connection: Connection, location: Location) -> None:
    """Say once which columns have no index."""
    table, column = location.field.column.table, location.field.column
    said = _said.setdefault(connection.engine, set())
    if location in said:
        return
    said.add(location)
    if not is_indexed(inspect(connection), location.field, location.schema):
        logger.warning(
            "%s.%s has no index: its table is read whole to see whether rows name a file", table, column.name
        )


def is_indexed(inspector: Inspector, file_field: FileField, schema: str | None) -> bool:
    """True if the database has an index that begins with a column."""
    table, name = file_field.column.table.name, file_field.column.name
    key = inspector.get_pk_constraint(table, schema=schema)["constrained_columns"]
    unique = inspector.get_unique_constraints(table, schema=schema)
    indexes = inspector.get_indexes(table, schema=schema)
    leading = [key[:1], *(each["column_names"][:1] for each in unique), *(each["column_names"][:1] for each in indexes)]
    return [name] in leading

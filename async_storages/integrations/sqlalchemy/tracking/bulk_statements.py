"""UPDATE and DELETE statements of sessions: the files that their rows lose.

The rows that a statement will change are first selected and locked, by the statement's criteria. Then the statement is
executed for their primary keys. It therefore changes exactly the rows whose files are known, even if its criteria would
find other rows at a second time, as with ``random()`` or ``SKIP LOCKED``.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import batched, chain
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Connection, Result, Select, Table, select, tuple_
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.orm import ORMExecuteState
from sqlalchemy.sql import Delete, Update
from sqlalchemy.sql.visitors import iterate

from async_storages.content import PendingFile
from async_storages.errors import StorageException
from async_storages.files import StoredFile, new_file_state_of
from async_storages.integrations.sqlalchemy import _greenlet
from async_storages.integrations.sqlalchemy.columns.comparator import is_sql
from async_storages.integrations.sqlalchemy.columns.fields import FileField, iterate_files, stored_files_in
from async_storages.integrations.sqlalchemy.columns.tracked_file import TrackedFile
from async_storages.integrations.sqlalchemy.ledger.connections import is_autocommitting
from async_storages.integrations.sqlalchemy.tracking.previous_files import can_lock_rows, lock_rows
from async_storages.integrations.sqlalchemy.tracking.reference_writer import ReferenceWriter
from async_storages.integrations.sqlalchemy.tracking.session_transactions import SessionTransactions
from async_storages.integrations.sqlalchemy.tracking.written_files import (
    coerce_files,
    fields_by_name,
    refusal,
    values_set_by,
)

__all__ = ["execute"]

_BATCH = 100
"""Rows that are read at once, and changed by one statement."""


def execute(state: ORMExecuteState, transactions: SessionTransactions) -> Any:
    """Execute a statement that changes file columns. Return None for all other statements, which SQLAlchemy executes.

    Raises:
        InvalidArgumentException: The files that the statement replaces or deletes are unknown.
        FileGoneException: It names a file that was removed.
    """
    statement = state.statement
    if not isinstance(statement, Update | Delete):
        return None
    fields = fields_by_name(statement)
    if not fields:
        return None
    bulk = _BulkStatement(state, statement, transactions)
    return bulk.update(fields) if isinstance(statement, Update) else bulk.delete(fields)


@dataclass(slots=True)
class _Rows:
    """The rows that a statement will change.

    Attributes:
        keys: Their primary keys; None if the table has none.
        files: The files that they name, each with its column.
    """

    keys: dict[tuple[Any, ...], None] | None
    files: dict[FileField, dict[TrackedFile, None]]


@dataclass(frozen=True, slots=True)
class _BulkStatement:
    """An UPDATE or DELETE of a table with file columns."""

    state: ORMExecuteState
    statement: Any
    transactions: SessionTransactions

    def delete(self, fields: Mapping[str, FileField]) -> Any:
        """Execute the statement, and record the files of the deleted rows."""
        return self._change(list(dict.fromkeys(fields.values())), [])

    def update(self, fields: Mapping[str, FileField]) -> Any:
        """Execute the statement, and record the files that the rows named before."""
        if any(name in fields for row in self._many for name in row):
            if self._names_the_same_files(fields):
                return None
            raise refusal("several rows get files by one UPDATE with a list of parameters: change the objects")
        parameters: Any = self.state.parameters
        values = values_set_by(self.statement, parameters if isinstance(parameters, Mapping) else {})
        changed = {fields[name]: value for name, value in values.items() if name in fields}
        for each, value in changed.items():
            if is_sql(value):
                raise refusal(f"{each.key} is set to an SQL expression, so nobody can tell which files the rows name")
        return self._change(
            list(changed), [stored for each, value in changed.items() for stored in coerce_files(each, value)]
        )

    def _names_the_same_files(self, fields: Mapping[str, FileField]) -> bool:
        """Lock the rows. Return True if the parameters, one set per primary key, name the files of the rows."""
        keys = [key.key for key in self._keys]
        by_key = self.state.is_orm_statement and not self.statement._where_criteria  # noqa: SLF001
        if not by_key or any(key not in row for row in self._many for key in keys):
            return False
        return all(self._match(batch, keys, fields) for batch in batched(self._many, _BATCH))

    def _match(self, batch: Sequence[Mapping[str, Any]], keys: Sequence[str], fields: Mapping[str, FileField]) -> bool:
        wanted = {tuple(row[key] for key in keys): row for row in batch}
        named = [each for each in fields.values() if any(each.key in row for row in batch)]
        first, *others = self._keys
        chosen = tuple_(first, *others).in_(list(wanted)) if others else first.in_([key for (key,) in wanted])
        rows = self._select_rows(named).where(chosen)
        found = self._connection.execute(rows, execution_options=dict(self.state.execution_options))
        before = {tuple(row[: len(keys)]): row[len(keys) :] for row in found}
        return before.keys() == wanted.keys() and all(
            _is_same(each, wanted[key].get(each.key, value), value)
            for key, values in before.items()
            for each, value in zip(named, values, strict=True)
        )

    @property
    def _many(self) -> Sequence[Mapping[str, Any]]:
        parameters: Any = self.state.parameters
        return parameters if isinstance(parameters, list | tuple) else ()

    def _change(self, fields: Sequence[FileField], added: Sequence[StoredFile]) -> Any:
        deletable = [each for each in fields if each.can_delete_files]
        if not deletable:
            return None
        self._refuse_unsupported()
        rows = self._lock_and_read_rows(deletable)
        for file in map(TrackedFile.of, added):
            for files in rows.files.values():
                files.pop(file, None)
        dropped = {each: files for each, files in rows.files.items() if files}
        if not dropped:
            return self._execute(rows)
        writer = ReferenceWriter(self.transactions, self.state.execution_options)
        replacements = [stored for stored in added if new_file_state_of(stored) is None]
        writer.check_dropped(self._connection, dropped, next(iter(chain.from_iterable(dropped.values()))), replacements)
        result = self._execute(rows)
        writer.record_dropped(self._connection, [(each, file) for each, files in dropped.items() for file in files])
        shared = chain.from_iterable(files for each, files in dropped.items() if not each.type.exclusive)
        self.transactions.record_locations(shared, self.state.execution_options)
        return result

    def _refuse_unsupported(self) -> None:
        if self._many:
            raise refusal("it has a list of parameters: execute it once for each of them")
        if any("limit" in name for name in self.statement.dialect_kwargs) or self.statement._independent_ctes:  # noqa: SLF001
            raise refusal("it has a LIMIT or a WITH clause of its own: select the primary keys first")

    # ---- the rows

    def _lock_and_read_rows(self, fields: Sequence[FileField]) -> _Rows:
        """Lock and read the rows that the statement will change."""
        count = len(self._table.primary_key.columns)
        rows = _Rows({} if count else None, {each: {} for each in fields})
        options = dict(self.state.execution_options)
        if not is_autocommitting(self._connection):  # in AUTOCOMMIT no cursor outlives its statement
            options["yield_per"] = _BATCH
        parameters = self.state.parameters if isinstance(self.state.parameters, Mapping) else None
        found = self._connection.execute(self._select_rows(fields), parameters, execution_options=options)
        for row in _greenlet.pace(_fetched(found, self._connection)):
            if rows.keys is not None:
                rows.keys[tuple(row[:count])] = None
            for each, value in zip(fields, row[count:], strict=True):
                files = (TrackedFile.of(stored) for stored in stored_files_in(value) if each.can_delete(stored))
                rows.files[each].update(dict.fromkeys(files))
        return rows

    def _select_rows(self, fields: Sequence[FileField]) -> Select[Any]:
        keys, columns = self._keys, [each.column for each in fields]
        mapper = self.state.bind_mapper
        if self.state.is_orm_statement and mapper is not None:
            own = mapper.column_attrs  # it lacks those of a subclass in the same table
            columns = [getattr(mapper.class_, each.key) if each.key in own else each.column for each in fields]
        found: Any = select(*keys, *columns).where(*self.statement._where_criteria).order_by(*keys)  # noqa: SLF001
        rows: Select[Any] = found.options(*self.statement._with_options)  # noqa: SLF001 - criteria may be among them
        if isinstance(self.statement, Delete) and not can_lock_rows(self._connection, self._table):
            return rows
        return lock_rows(rows, self._table)

    @property
    def _table(self) -> Table:
        table: Table = self.statement.table
        return table

    @property
    def _keys(self) -> list[Any]:
        columns, mapper = list(self._table.primary_key), self.state.bind_mapper
        if not self.state.is_orm_statement or mapper is None:
            return columns
        return [mapper.get_property_by_column(column).class_attribute for column in columns]

    # ---- the statement

    def _execute(self, rows: _Rows) -> Any:
        if rows.keys is None:
            return self.state.invoke_statement()
        self.state.parameters = self._parameters_of_values()
        batches = list(batched(rows.keys, _BATCH)) or [()]
        first, *others = [self.state.invoke_statement(statement=each) for each in self._for_keys(batches)]
        return first.merge(*others) if others else first

    def _for_keys(self, batches: Iterable[Sequence[tuple[Any, ...]]]) -> Iterator[Any]:
        """Return the statement for batches of primary keys. It keeps criteria that join rows of several tables."""
        keys, statement = self._keys, self.statement
        for batch in batches:
            chosen: ColumnElement[bool] = (
                keys[0].in_([key[0] for key in batch]) if len(keys) == 1 else tuple_(*keys).in_(list(batch))
            )
            changed = statement._generate()  # noqa: SLF001 - a copy
            changed._where_criteria = (*(statement._where_criteria if self._is_joined else ()), chosen)  # noqa: SLF001
            yield changed
            _greenlet.give_way()

    @property
    def _is_joined(self) -> bool:
        found = select(*self._table.primary_key).where(*self.statement._where_criteria)  # noqa: SLF001
        return len(found.get_final_froms()) > 1

    def _parameters_of_values(self) -> Any:
        """Return the parameters without those of the criteria, which the statement no longer has."""
        if not isinstance(self.state.parameters, Mapping) or self._is_joined:
            return self.state.parameters
        criteria = {bind.key for each in self.statement._where_criteria for bind in _binds(each)}  # noqa: SLF001
        values = {
            bind.key for value in (getattr(self.statement, "_values", None) or {}).values() for bind in _binds(value)
        }
        return {name: value for name, value in self.state.parameters.items() if name not in criteria - values}

    @property
    def _connection(self) -> Connection:
        return self.state.session.connection(
            bind_arguments={**self.state.bind_arguments, "clause": self.state.statement}
        )


def _is_same(field: FileField, value: Any, before: Any) -> bool:
    """Return True if a value names the files that a row named before, in their order."""
    if is_sql(value) or any(isinstance(each, PendingFile) for each in iterate_files(value)):
        return False
    return [str(each) for each in coerce_files(field, value)] == [str(each) for each in stored_files_in(before)]


def _fetched(found: Result[Any], connection: Connection) -> Iterator[Any]:
    """Return the rows of a cursor. SQLAlchemy does not wrap errors of asyncpg after the first row, so this does."""
    try:
        yield from chain.from_iterable(found.partitions(_BATCH))
    except (SQLAlchemyError, StorageException):
        raise
    except Exception as error:
        driver: Any = connection.connection.dbapi_connection
        try:
            driver._handle_exception(error)  # noqa: SLF001 - raises what the driver's adapter makes of it
        except connection.dialect.loaded_dbapi.Error as translated:
            base = connection.dialect.loaded_dbapi.Error
            raise DBAPIError.instance(None, None, translated, base, dialect=connection.dialect) from error
        raise


def _binds(element: Any) -> Iterator[BindParameter[Any]]:
    return (each for each in iterate(element) if isinstance(each, BindParameter)) if is_sql(element) else iter(())

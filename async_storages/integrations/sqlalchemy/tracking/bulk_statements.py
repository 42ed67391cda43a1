"""UPDATE and DELETE statements that a session executes: which files their rows name before, as no object tells.

The rows that a statement will change are selected and locked first, by its own criteria. Then it is executed for their
primary keys: with criteria that would find other rows a second time, such as ``random()`` or ``SKIP LOCKED``, it
changes the rows whose files are known.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import batched, chain
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Connection, Result, Select, Table, select, tuple_
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.orm import ORMExecuteState
from sqlalchemy.sql import Delete, Update
from sqlalchemy.sql.visitors import iterate

from async_storages.errors import StorageException
from async_storages.files import StoredFile, new_file_state_of
from async_storages.integrations.sqlalchemy import _greenlet
from async_storages.integrations.sqlalchemy.columns.comparator import is_sql
from async_storages.integrations.sqlalchemy.columns.fields import FileField, stored_files
from async_storages.integrations.sqlalchemy.columns.tracked_file import TrackedFile
from async_storages.integrations.sqlalchemy.ledger.databases import is_autocommitting
from async_storages.integrations.sqlalchemy.tracking.flush import check_stored, doom, refuse_removals
from async_storages.integrations.sqlalchemy.tracking.previous_files import can_lock_rows, locked
from async_storages.integrations.sqlalchemy.tracking.transactions import Transactions
from async_storages.integrations.sqlalchemy.tracking.written_files import fields_by_name, files_in, refusal, values_of

__all__ = ["execute"]

_FETCHED = 100
"""Rows that are read at a time, and changed by one statement."""


def execute(state: ORMExecuteState, transactions: Transactions) -> Any:
    """Execute a statement that changes file columns; None leaves all others to SQLAlchemy.

    Raises:
        InvalidArgumentException: It cannot be told which files the statement replaces or deletes.
        FileGoneException: It names a file that was removed.
    """
    statement = state.statement
    if not isinstance(statement, Update | Delete):
        return None
    fields = fields_by_name(statement)
    if not fields:
        return None
    work = _Work(state, statement, transactions)
    return work.update(fields) if isinstance(statement, Update) else work.delete(fields)


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
class _Work:
    """One statement."""

    state: ORMExecuteState
    statement: Any
    transactions: Transactions

    def delete(self, fields: Mapping[str, FileField]) -> Any:
        """Execute it, and drop what the deleted rows named."""
        return self._change(list(dict.fromkeys(fields.values())), [])

    def update(self, fields: Mapping[str, FileField]) -> Any:
        """Execute it, and drop what the rows named before."""
        if any(name in fields for row in self._many for name in row):
            raise refusal("several rows get files by one UPDATE with a list of parameters: change the objects")
        parameters: Any = self.state.parameters
        values = values_of(self.statement, parameters if isinstance(parameters, Mapping) else {})
        changed = {fields[name]: value for name, value in values.items() if name in fields}
        for each, value in changed.items():
            if is_sql(value):
                raise refusal(f"{each.key} is set to an SQL expression, so nobody can tell which files the rows name")
        return self._change(
            list(changed), [stored for each, value in changed.items() for stored in files_in(each, value)]
        )

    @property
    def _many(self) -> Sequence[Mapping[str, Any]]:
        parameters: Any = self.state.parameters
        return parameters if isinstance(parameters, list | tuple) else ()

    def _change(self, fields: Sequence[FileField], added: Sequence[StoredFile]) -> Any:
        cleared = [each for each in fields if each.is_cleared]
        if not cleared:
            return None
        if self._many:
            raise refusal("it has a list of parameters: execute it once for each of them")
        if any("limit" in name for name in self.statement.dialect_kwargs) or self.statement._independent_ctes:  # noqa: SLF001
            raise refusal("it has a LIMIT or a WITH clause of its own: select the primary keys first")
        rows = self._rows(cleared)
        for file in map(TrackedFile.of, added):
            for files in rows.files.values():
                files.pop(file, None)
        dropped = {each: files for each, files in rows.files.items() if files}
        if dropped:
            self._check(added, dropped)
        result = self._execute(rows)
        if dropped:
            self._note(dropped)
        return result

    def _check(self, added: Sequence[StoredFile], dropped: Mapping[FileField, Iterable[TrackedFile]]) -> None:
        """See that files can be removed; and look for one that takes their place, unless a ledger does."""
        claims = self.transactions.options.claims
        refuse_removals(self.transactions.options, next(iter(chain.from_iterable(dropped.values()))))
        if claims is None:
            check_stored([stored for stored in added if new_file_state_of(stored) is None])
        else:
            claims.check(self._connection, dropped, self.state.execution_options)

    def _note(self, dropped: Mapping[FileField, Collection[TrackedFile]]) -> None:
        for each, files in dropped.items():
            for file in _greenlet.paced(files):
                self.transactions.scope.drop(each, file)
            doom(self.transactions.options, files, self._connection)
        asked = chain.from_iterable(files for each, files in dropped.items() if not each.type.exclusive)
        self.transactions.locate(asked, self.state.execution_options)

    # ---- the rows that it changes

    def _rows(self, fields: Sequence[FileField]) -> _Rows:
        """The rows that it will change, locked."""
        count = len(self._table.primary_key.columns)
        rows = _Rows({} if count else None, {each: {} for each in fields})
        options = dict(self.state.execution_options)
        if not is_autocommitting(self._connection):  # where no cursor outlives its statement
            options["yield_per"] = _FETCHED
        parameters = self.state.parameters if isinstance(self.state.parameters, Mapping) else None
        found = self._connection.execute(self._selecting(fields), parameters, execution_options=options)
        for row in _greenlet.paced(_fetched(found, self._connection)):
            if rows.keys is not None:
                rows.keys[tuple(row[:count])] = None
            for each, value in zip(fields, row[count:], strict=True):
                files = (TrackedFile.of(stored) for stored in stored_files(value) if each.clears(stored))
                rows.files[each].update(dict.fromkeys(files))
        return rows

    def _selecting(self, fields: Sequence[FileField]) -> Select[Any]:
        keys, columns = self._keys, [each.column for each in fields]
        mapper = self.state.bind_mapper
        if self.state.is_orm_statement and mapper is not None:
            own = mapper.column_attrs  # it lacks those of a subclass in the same table
            columns = [getattr(mapper.class_, each.key) if each.key in own else each.column for each in fields]
        found: Any = select(*keys, *columns).where(*self.statement._where_criteria).order_by(*keys)  # noqa: SLF001
        rows: Select[Any] = found.options(*self.statement._with_options)  # noqa: SLF001 - criteria may be among them
        if isinstance(self.statement, Delete) and not can_lock_rows(self._connection, self._table):
            return rows
        return locked(rows, self._table)

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
        batches = list(batched(rows.keys, _FETCHED)) or [()]
        first, *others = [self.state.invoke_statement(statement=each) for each in self._for_keys(batches)]
        return first.merge(*others) if others else first

    def _for_keys(self, batches: Iterable[Sequence[tuple[Any, ...]]]) -> Iterator[Any]:
        """The statement for rows by their primary keys; criteria over several tables stay, as they join the rows."""
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
        """The parameters without those of the criteria, which are gone."""
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


def _fetched(found: Result[Any], connection: Connection) -> Iterator[Any]:
    """The rows of a cursor; SQLAlchemy lets errors of asyncpg through that come after its first row."""
    try:
        yield from chain.from_iterable(found.partitions(_FETCHED))
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

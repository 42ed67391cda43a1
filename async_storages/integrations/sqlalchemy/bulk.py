"""UPDATE, DELETE and INSERT statements that a session executes: what they do to files, which no object tells.

The rows that a statement will change are selected and locked first, by its own criteria, and counted: if it then
changes another number of rows, the criteria were not the same twice.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BindParameter, Connection, Select, select
from sqlalchemy.orm import ORMExecuteState
from sqlalchemy.sql import Delete, Insert, Update

from async_storages.errors import InvalidArgumentException
from async_storages.files import StoredFile
from async_storages.integrations.sqlalchemy.attributes import coercion
from async_storages.integrations.sqlalchemy.comparator import is_sql
from async_storages.integrations.sqlalchemy.file_columns import (
    FileField,
    fields_of,
    fields_of_table,
    is_pending,
    stored_files,
)
from async_storages.integrations.sqlalchemy.flush import check_there, claim, see_to_removals, shared_homes
from async_storages.integrations.sqlalchemy.frames import Frame, TrackedFile
from async_storages.integrations.sqlalchemy.old_ids import old_files_of_rows
from async_storages.integrations.sqlalchemy.removal import Home
from async_storages.integrations.sqlalchemy.transactions import Transactions

__all__ = ["execute"]

_VOLATILE = re.compile(r"\b(rand\w*|\w*uuid\w*|newid|nextval|clock_timestamp|changes)\s*\(", re.IGNORECASE)


def execute(state: ORMExecuteState, transactions: Transactions) -> Any:
    """Execute a statement that changes file columns; None leaves all others to SQLAlchemy.

    Raises:
        InvalidArgumentException: It cannot be told which files the statement replaces or deletes.
        FileGoneException: It names a file that was removed.
    """
    statement = state.statement
    if not isinstance(statement, Update | Delete | Insert):
        return None
    fields = _fields(state)
    if not fields:
        return None
    work = _Work(state, transactions, fields)
    if isinstance(statement, Insert):
        return work.insert(statement)
    return work.update(statement) if isinstance(statement, Update) else work.delete(statement)


def _fields(state: ORMExecuteState) -> dict[str, FileField]:
    """The file columns of the statement's table, by the names that its values may have."""
    statement: Any = state.statement
    in_table = fields_of_table(statement.table)
    found = {field.key: field for field in in_table}
    if state.bind_mapper is not None:
        columns = {field.column for field in in_table}
        found |= {field.key: field for field in fields_of(state.bind_mapper) if field.column in columns}
    return found


@dataclass(frozen=True, slots=True)
class _Work:
    """One statement."""

    state: ORMExecuteState
    transactions: Transactions
    fields: Mapping[str, FileField]

    def insert(self, statement: Insert) -> Any:
        """Count what is inserted, as far as the statement says it."""
        rows = list(_inserted(statement, self.state.parameters))
        added = [
            (field, stored)
            for row in rows
            for field, value in self._files(row)
            if not is_sql(value)
            for stored in self._stored(field, value)
        ]
        if not added:
            return None
        check_there(stored for _, stored in added)
        self._claim(added)
        result = self.state.invoke_statement()
        with_new = Frame()
        self._add(with_new, added, 1)
        self.transactions.level.frame.release(with_new)
        return result

    def delete(self, statement: Delete) -> Any:
        """Count what the deleted rows named."""
        return self._change(statement, list(dict.fromkeys(self.fields.values())), [])

    def update(self, statement: Update) -> Any:
        """Count what the rows named before, and what they name now."""
        changed = list(self._files(_values(statement, self.state.parameters)))
        if not changed:
            return self._refuse_many()
        for field, value in changed:
            if is_sql(value):
                raise _refusal(f"{field.key} is set to an SQL expression, so nobody can tell which files the rows name")
        added = [(field, stored) for field, value in changed for stored in self._stored(field, value)]
        check_there(stored for _, stored in added)
        return self._change(statement, [field for field, _ in changed], added)

    def _refuse_many(self) -> None:
        if any(any(self._files(row)) for row in self._many):
            raise _refusal("several rows get files by one UPDATE with a list of parameters: change the objects")

    @property
    def _many(self) -> Sequence[Mapping[str, Any]]:
        parameters: Any = self.state.parameters
        return parameters if isinstance(parameters, list | tuple) else ()

    def _change(
        self, statement: Update | Delete, fields: Sequence[FileField], added: list[tuple[FileField, StoredFile]]
    ) -> Any:
        cleared = [field for field in fields if field.is_cleared]
        if not (cleared or added):
            return None
        self._check_repeatable(statement)
        rows = self._rows(statement, cleared)
        work = Frame()
        for field, stored in old_files_of_rows(pair for row in rows for pair in zip(cleared, row, strict=True)):
            work.remove(stored, shared=field.type.shared)
        self._add(work, added, len(rows))
        level = self.transactions.level
        try:
            self._claim(added)
            self._tell(work.dropped, cleared)
            result = self.state.invoke_statement()
            _check_count(result, len(rows))
        except BaseException:
            level.frame.undo(work)
            raise
        level.frame.release(work)
        for field in cleared:
            if field.type.shared:
                level.shared_homes |= shared_homes(self.state.session, field.column)
        return result

    # ---- the rows that it changes

    def _rows(self, statement: Update | Delete, fields: Sequence[FileField]) -> list[Sequence[Any]]:
        """What the columns hold in each row that it will change."""
        keys = len(statement.table.primary_key.columns)  # type: ignore[attr-defined] # it is a Table
        found = self._execute(self._selecting(statement, fields), _plain(self.state.parameters))
        rows = {tuple(row[:keys]) if keys else number: row[keys:] for number, row in enumerate(found)}
        return list(rows.values())

    def _execute(self, rows: Select[Any], parameters: Any) -> Any:
        """As the session does, whose listeners may add criteria; but with the statement, if reads go elsewhere."""
        session, options = self.state.session, self.state.execution_options  # on which criteria may depend
        if session.get_bind(**{**self.state.bind_arguments, "clause": rows}) is self._bind:
            return session.execute(
                rows, parameters, execution_options=options, bind_arguments=self.state.bind_arguments
            )
        return self._connection.execute(rows, parameters, execution_options=options)

    def _selecting(self, statement: Any, fields: Sequence[FileField]) -> Select[Any]:
        keys, columns = list(statement.table.primary_key), [field.column for field in fields]
        mapper = self.state.bind_mapper
        if self.state.is_orm_statement and mapper is not None:
            keys = [mapper.get_property_by_column(column).class_attribute for column in keys]
            own = mapper.column_attrs  # it lacks those of a subclass in the same table
            columns = [getattr(mapper.class_, each.key) if each.key in own else each.column for each in fields]
        chosen = select(*keys, *columns) if (keys or columns) else select(statement.table)
        found = chosen.where(*statement._where_criteria).order_by(*keys)  # noqa: SLF001 - whereclause joins them by AND
        return found.options(*statement._with_options).with_for_update()  # noqa: SLF001 - criteria may be among them

    def _check_repeatable(self, statement: Any) -> None:
        sql = str(statement.whereclause) if statement.whereclause is not None else ""
        if self._many:
            raise _refusal("it has a list of parameters: execute it once for each of them")
        limited = any("limit" in name for name in statement.dialect_kwargs)
        if limited or statement._independent_ctes or _VOLATILE.search(sql):  # noqa: SLF001 - no other way to see them
            raise _refusal("its criteria may find other rows a second time, so nobody can tell which files it removes")

    # ---- values

    def _files(self, row: Mapping[str, Any]) -> Iterator[tuple[FileField, Any]]:
        return ((self.fields[name], value) for name, value in row.items() if name in self.fields)

    def _stored(self, field: FileField, value: Any) -> list[StoredFile]:
        files = (coercion(field.column.type) or field.type.coerce)(value)
        if is_pending(files):
            raise _refusal("content can be assigned to an object, not given to a statement: `await storage.save(…)`")
        return stored_files(files)

    @property
    def _connection(self) -> Connection:
        return self.state.session.connection(bind_arguments=self._bind_arguments)

    @property
    def _bind(self) -> Any:
        return self.state.session.get_bind(**self._bind_arguments)

    @property
    def _bind_arguments(self) -> dict[str, Any]:
        return {**self.state.bind_arguments, "clause": self.state.statement}

    def _claim(self, added: list[tuple[FileField, StoredFile]]) -> None:
        claims = self.transactions.options.claims
        if claims is not None and added:
            self._check([field for field, _ in added])
            claim(claims, self.transactions.level, self._connection, added)

    def _tell(self, dropped: Sequence[TrackedFile], fields: Iterable[FileField]) -> None:
        if dropped:
            self._check(fields)
            see_to_removals(self.transactions.options, dropped, self._connection)

    def _check(self, fields: Iterable[FileField]) -> None:
        if self.transactions.options.claims is not None:
            self.transactions.options.claims.check(self._connection, fields, self.state.execution_options)

    def _add(self, work: Frame, added: list[tuple[FileField, StoredFile]], times: int) -> None:
        for field, stored in added:
            work.add(stored, times)
            self.transactions.level.homes.add(Home(self._bind.engine, field.column))


def _values(statement: Any, parameters: Any) -> dict[str, Any]:
    """What an UPDATE, or the one row of an INSERT, sets, by the names of columns or attributes."""
    given = dict(parameters) if isinstance(parameters, Mapping) else {}
    written = {_key(name): _value(value, given) for name, value in (statement._values or {}).items()}  # noqa: SLF001
    return given | written


def _inserted(statement: Any, parameters: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(parameters, list | tuple):
        yield from parameters
    else:
        yield _values(statement, parameters)
    for rows in statement._multi_values:  # noqa: SLF001 - there is no other way to see them
        for row in rows:
            yield {_key(name): _value(value, {}) for name, value in row.items()}


def _key(name: Any) -> str:
    return str(name if isinstance(name, str) else name.key)


def _value(value: Any, given: Mapping[str, Any]) -> Any:
    if not isinstance(value, BindParameter):
        return value
    return given.get(value.key, value.effective_value)


def _plain(parameters: Any) -> Any:
    return parameters if isinstance(parameters, Mapping) else None


def _check_count(result: Any, expected: int) -> None:
    changed = getattr(result, "rowcount", -1)
    if changed not in {-1, expected}:
        raise _refusal(f"its criteria found {expected} rows, then {changed}: roll back")


def _refusal(reason: str) -> InvalidArgumentException:
    return InvalidArgumentException(reason, operation="execute")

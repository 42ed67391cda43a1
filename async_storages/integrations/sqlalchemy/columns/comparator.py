"""The operators of file columns in SQL.

Comparisons turn file objects into ids. All other operators treat the column as a string. You can compare a column of
lists with lists, and search it for a file. All other operators treat it as JSON.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import JSON, BinaryExpression, Boolean, ColumnElement, Null, String, Unicode, bindparam, type_coerce
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import ClauseElement, operators
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import CollectionAggregate, Grouping
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine

from async_storages.integrations.sqlalchemy.columns.database_types import items_in_mysql

__all__ = ["FileComparator", "FileListComparator", "is_sql"]

_SEARCHES = frozenset({operators.in_op, operators.not_in_op})
_EQUALITIES = frozenset(
    {
        operators.eq,
        operators.ne,
        operators.is_,
        operators.is_not,
        operators.is_distinct_from,
        operators.is_not_distinct_from,
    }
)
_EQUATIONS = _SEARCHES | _EQUALITIES
_ITEM_ACCESS = frozenset({operators.json_getitem_op, operators.json_path_getitem_op})
_COMPARISONS = _EQUATIONS | {
    operators.lt,
    operators.le,
    operators.gt,
    operators.ge,
    operators.between_op,
    operators.not_between_op,
}


def is_sql(value: Any) -> bool:
    """Return True if a value is an SQL expression or can become one."""
    return isinstance(value, ClauseElement) or hasattr(value, "__clause_element__")


class FileComparator(TypeDecorator.Comparator[Any], String.Comparator[Any]):
    """The operators of a `FileType`.

    A session that evaluates criteria in Python (``synchronize_session``) sees file objects on both sides of an
    equation. It leaves all other operators to the database.
    """

    def operate(self, op: Any, *other: Any, **kwargs: Any) -> Any:
        """Return the SQL of an operator: see `sqlalchemy.sql.operators.Operators.operate`."""
        if op in _COMPARISONS:
            other = tuple(self._ids(value) if op in _SEARCHES else self._id(value) for value in other)
        if not other or op in _EQUATIONS:
            return super().operate(op, *other, **kwargs)
        return type_coerce(self.expr, Unicode()).operate(op, *other, **kwargs)

    def reverse_operate(self, op: Any, other: Any, **kwargs: Any) -> Any:
        """Return the SQL of an expression such as ``"copy of " + Document.file``."""
        return type_coerce(self.expr, Unicode()).reverse_operate(op, other, **kwargs)

    def _id(self, value: Any) -> Any:
        if value is None or is_sql(value):
            return value
        return _parameter(self.expr, self.type, lambda: self._coerce(value))

    def _ids(self, values: Any) -> Any:
        if is_sql(values) or isinstance(values, str):
            return values  # a subquery; SQLAlchemy refuses a str
        listed = list(values)
        if any(map(is_sql, listed)):
            return listed
        return _parameter(self.expr, self.type, lambda: [self._coerce(value) for value in listed], expanding=True)

    @property
    def _coerce(self) -> Callable[[Any], Any]:
        coerce: Callable[[Any], Any] = self.type.coerce  # type: ignore[attr-defined] # it is a FileType
        return coerce


class FileListComparator(TypeDecorator.Comparator[Any], JSON.Comparator[Any]):
    """The operators of a `FileListType`."""

    def operate(self, op: Any, *other: Any, **kwargs: Any) -> Any:
        """Return the SQL of an operator: see `sqlalchemy.sql.operators.Operators.operate`."""
        type_: Any = self.type
        if op is operators.contains_op:
            return _ListContains(self.expr, *(self._value(value, type_.item_type) for value in other))
        if op in _EQUALITIES:
            return _SameFiles.of(super().operate(op, *(self._value(value, type_) for value in other), **kwargs))
        if op in _ITEM_ACCESS:
            kwargs["result_type"] = JSON()  # an item is no list
        return super().operate(op, *other, **kwargs)

    def _value(self, value: Any, type_: Any) -> Any:
        if value is None or is_sql(value):
            return value
        return _parameter(self.expr, type_, lambda: type_.coerce(value))


class _SameFiles(BinaryExpression[bool]):
    """A comparison of two lists by their ids. It ignores the facts after the ids.

    In Python the lists themselves are compared: in sessions that evaluate criteria, and in dictionaries of columns.
    """

    inherit_cache = True

    @classmethod
    def of(cls, compared: Any) -> Any:
        """Return the same comparison by ids. A comparison with NULL or with several lists stays as it is."""
        if not isinstance(compared, BinaryExpression) or isinstance(compared.right, Null | CollectionAggregate):
            return compared
        return cls(*_parts_of(compared, lambda side: side))

    def _negate(self) -> Any:
        return self.of(super()._negate())  # type: ignore[no-untyped-call] # SQLAlchemy does not type it


def _parts_of(compared: BinaryExpression[Any], of_side: Callable[[Any], Any]) -> tuple[Any, ...]:
    sides = of_side(compared.left), of_side(compared.right)
    return *sides, compared.operator, compared.type, compared.negate, compared.modifiers


@compiles(_SameFiles)
def _compare_ids(compared: _SameFiles, compiler: SQLCompiler, **kwargs: Any) -> str:
    return compiler.process(BinaryExpression(*_parts_of(compared, _IdsOnly)), **kwargs)


class _IdsOnly(Grouping[Any]):
    """A list without the facts after its ids."""

    inherit_cache = True


@compiles(_IdsOnly)
def _list_itself(ids: _IdsOnly, compiler: SQLCompiler, **kwargs: Any) -> str:
    return compiler.process(ids.element, **kwargs)


@compiles(_IdsOnly, "postgresql")
def _ids_of_jsonb(ids: _IdsOnly, compiler: SQLCompiler, **kwargs: Any) -> str:
    files = f"CAST({compiler.process(ids.element, **kwargs)} AS JSONB)"
    return f"CASE WHEN jsonb_typeof({files} -> -1) = 'object' THEN {files} - -1 ELSE {files} END"


@compiles(_IdsOnly, "sqlite")
def _ids_of_json(ids: _IdsOnly, compiler: SQLCompiler, **kwargs: Any) -> str:
    """Write the JSON without spaces, as json_remove() does. Malformed JSON stays as it is."""
    files = compiler.process(ids.element, **kwargs)
    shorter = f"WHEN json_type({files}, '$[#-1]') = 'object' THEN json_remove({files}, '$[#-1]')"
    return f"CASE WHEN NOT json_valid({files}) THEN {files} {shorter} ELSE json({files}) END"


@compiles(_IdsOnly, "mysql")
@compiles(_IdsOnly, "mariadb")
def _ids_of_json_in_mysql(ids: _IdsOnly, compiler: SQLCompiler, **kwargs: Any) -> str:
    files = compiler.process(ids.element, **kwargs)
    last = f"CONCAT('$[', GREATEST(JSON_LENGTH({files}), 1) - 1, ']')"
    has_facts = f"JSON_TYPE(JSON_EXTRACT({files}, {last})) = 'OBJECT'"
    return f"CASE WHEN {has_facts} THEN JSON_REMOVE({files}, {last}) ELSE JSON_EXTRACT({files}, '$') END"


class _ListContains(FunctionElement[bool]):
    """The SQL expression that is true if a list holds a file."""

    type = Boolean()
    inherit_cache = True
    stringify_dialect = "sqlite"


@compiles(_ListContains, "postgresql")
def _holds_in_jsonb(holds: _ListContains, compiler: SQLCompiler, **kwargs: Any) -> str:
    """Write PostgreSQL's test for containment, which can use a GIN index."""
    files, file = (compiler.process(each, **kwargs) for each in holds.clauses)
    return f"({files} @> jsonb_build_array(CAST({file} AS VARCHAR)))"


@compiles(_ListContains, "sqlite")
def _holds_in_json(holds: _ListContains, compiler: SQLCompiler, **kwargs: Any) -> str:
    """Write a search of the list. The result for NULL is NULL, as on PostgreSQL."""
    files, file = (compiler.process(each, **kwargs) for each in holds.clauses)
    found = f"EXISTS (SELECT 1 FROM json_each({files}) WHERE json_each.value = {file})"  # noqa: S608 - both are SQL
    return f"CASE WHEN {files} IS NOT NULL THEN {found} END"


@compiles(_ListContains, "mysql")
@compiles(_ListContains, "mariadb")
def _holds_in_json_table(holds: _ListContains, compiler: SQLCompiler, **kwargs: Any) -> str:
    """Write a search of the list by bytes. MariaDB's `JSON_CONTAINS` compares JSON's escapes, not characters."""
    files, file = (compiler.process(each, **kwargs) for each in holds.clauses)
    asked = f"CAST(CONVERT({file} USING utf8mb4) AS BINARY)"
    found = f"EXISTS (SELECT 1 FROM {items_in_mysql(files)} AS _item WHERE CAST(_item.id AS BINARY) = {asked})"  # noqa: S608
    return f"CASE WHEN {files} IS NOT NULL THEN {found} END"


def _parameter(
    expr: ColumnElement[Any], type_: TypeEngine[Any], coerced: Callable[[], Any], *, expanding: bool = False
) -> Any:
    """Return a parameter that becomes an id when the statement runs: until then the storage may be registered."""
    name = getattr(expr, "key", None)
    return bindparam(name, callable_=coerced, type_=type_, expanding=expanding, unique=True)

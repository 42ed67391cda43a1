"""What operators do with a file column: ids are compared with ids, and to all other operators it is a string."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import String, Unicode, bindparam, type_coerce
from sqlalchemy.sql import ClauseElement, operators
from sqlalchemy.types import TypeDecorator

__all__ = ["FileComparator", "is_sql"]

_SEARCHES = frozenset({operators.in_op, operators.not_in_op})
_EQUATES = _SEARCHES | {
    operators.eq,
    operators.ne,
    operators.is_,
    operators.is_not,
    operators.is_distinct_from,
    operators.is_not_distinct_from,
}
_COMPARES = _EQUATES | {
    operators.lt,
    operators.le,
    operators.gt,
    operators.ge,
    operators.between_op,
    operators.not_between_op,
}


def is_sql(value: Any) -> bool:
    """Whether a value is an SQL expression, or stands for one."""
    return isinstance(value, ClauseElement) or hasattr(value, "__clause_element__")


class FileComparator(TypeDecorator.Comparator[Any], String.Comparator[Any]):
    """The operators of a `FileType`.

    A session that is to find its objects in Python (``synchronize_session``) sees file objects on both sides where it
    only asks whether they are equal, and elsewhere an expression that it leaves to the database.
    """

    def operate(self, op: Any, *other: Any, **kwargs: Any) -> Any:
        """The SQL of an operator: see `sqlalchemy.sql.operators.Operators.operate`."""
        if op in _COMPARES:
            other = tuple(self._ids(value) if op in _SEARCHES else self._id(value) for value in other)
        if not other or op in _EQUATES:
            return super().operate(op, *other, **kwargs)
        return type_coerce(self.expr, Unicode()).operate(op, *other, **kwargs)

    def reverse_operate(self, op: Any, other: Any, **kwargs: Any) -> Any:
        """The SQL of ``"copy of " + Document.file``."""
        return type_coerce(self.expr, Unicode()).reverse_operate(op, other, **kwargs)

    def _id(self, value: Any) -> Any:
        if value is None or is_sql(value):
            return value
        return self._parameter(lambda: self._coerce(value))

    def _ids(self, values: Any) -> Any:
        if is_sql(values) or isinstance(values, str):
            return values  # a subquery; a str is for SQLAlchemy to refuse
        listed = list(values)
        if any(map(is_sql, listed)):
            return listed
        return self._parameter(lambda: [self._coerce(value) for value in listed], expanding=True)

    @property
    def _coerce(self) -> Callable[[Any], Any]:
        coerce: Callable[[Any], Any] = self.type.coerce  # type: ignore[attr-defined] # it is a FileType
        return coerce

    def _parameter(self, coerced: Callable[[], Any], *, expanding: bool = False) -> Any:
        """A value that becomes an id when the statement runs: its storage may be registered after it was written."""
        name = getattr(self.expr, "key", None)
        return bindparam(name, callable_=coerced, type_=self.type, expanding=expanding, unique=True)

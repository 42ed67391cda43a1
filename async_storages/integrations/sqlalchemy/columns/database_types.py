"""Column types as a database has them, behind variants and decorators of SQLAlchemy."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Column
from sqlalchemy.types import TypeDecorator, TypeEngine

__all__ = ["MYSQL_DIALECTS", "has_gin_index", "items_in_mysql", "type_in_database", "variants_of"]

MYSQL_DIALECTS = ("mysql", "mariadb")
"""The names of SQLAlchemy's dialects for MySQL and MariaDB: the first one, as in most URLs, serves both."""

type _Type = TypeEngine[Any]


def variants_of(type_: _Type) -> Mapping[str, _Type]:
    """The types of ``with_variant`` by the names of dialects."""
    variants: Mapping[str, _Type] = getattr(type_, "_variant_mapping", {})  # SQLAlchemy has no public way to ask
    return variants


def type_in_database(type_: _Type, dialect_name: str) -> _Type:
    """The type for a dialect, without a decorator around it."""
    chosen = variants_of(type_).get(dialect_name, type_)
    return chosen.impl_instance if isinstance(chosen, TypeDecorator) else chosen


def has_gin_index(column: Column[Any]) -> bool:
    """True if the model has a GIN index of the column, so that PostgreSQL has an array or JSONB."""
    return any(
        index.columns.contains_column(column) and index.dialect_options["postgresql"]["using"] == "gin"
        for index in column.table.indexes
    )


def items_in_mysql(lists: str) -> str:
    """The SQL of a table whose column `id` has the items of a list; values that are no JSON have none."""
    # An item that is longer than this is NULL: no id is.
    item = "id VARCHAR(4096) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PATH '$'"
    return f"JSON_TABLE(CASE WHEN JSON_VALID({lists}) THEN {lists} ELSE '[]' END, '$[*]' COLUMNS ({item}))"

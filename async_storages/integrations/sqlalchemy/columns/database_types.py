"""Column types in a database, without SQLAlchemy's variants and decorators around them."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Column
from sqlalchemy.types import TypeDecorator, TypeEngine

__all__ = ["MYSQL_DIALECTS", "has_gin_index", "items_in_mysql", "type_in_database", "variants_of"]

MYSQL_DIALECTS = ("mysql", "mariadb")
"""The names of SQLAlchemy's dialects for MySQL and MariaDB. Most URLs use the first name for both databases."""

type _Type = TypeEngine[Any]


def variants_of(type_: _Type) -> Mapping[str, _Type]:
    """Return the types of ``with_variant`` by the names of their dialects."""
    variants: Mapping[str, _Type] = getattr(type_, "_variant_mapping", {})  # SQLAlchemy has no public way to ask
    return variants


def type_in_database(type_: _Type, dialect_name: str) -> _Type:
    """Return the type for a dialect, without a decorator around it."""
    chosen = variants_of(type_).get(dialect_name, type_)
    return chosen.impl_instance if isinstance(chosen, TypeDecorator) else chosen


def has_gin_index(column: Column[Any]) -> bool:
    """Return True if the model has a GIN index of the column: PostgreSQL then stores an array or JSONB."""
    return any(
        index.columns.contains_column(column) and index.dialect_options["postgresql"]["using"] == "gin"
        for index in column.table.indexes
    )


def items_in_mysql(lists: str) -> str:
    """Return the SQL of a table with the items of a list in its column `id`. Malformed JSON has no items."""
    # An item that is longer than this is NULL: no id is.
    item = "id VARCHAR(4096) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PATH '$'"
    return f"JSON_TABLE(CASE WHEN JSON_VALID({lists}) THEN {lists} ELSE '[]' END, '$[*]' COLUMNS ({item}))"

"""Tables with rows that stay as they are written, and queries that change nothing."""

import time

import pytest
from sqlalchemy import create_engine, func, insert, literal_column, select, text
from sqlalchemy.sql.functions import FunctionElement

from async_storages.integrations.sqlalchemy.tracking.plain_tables import (
    find_plain_tables,
    forget_plain_tables,
    is_harmless_query,
    is_plain_write,
)
from tests.support.documents import Base, Document

TABLE = Document.__table__
TRIGGER = "CREATE TRIGGER clear AFTER INSERT ON documents BEGIN UPDATE documents SET file = NULL; END"


@pytest.fixture
def connection():
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def test_an_ordinary_table_is_plain(connection):
    assert TABLE in find_plain_tables(connection).tables
    assert is_plain_write(connection, insert(TABLE))
    assert not is_plain_write(connection, TABLE.delete())


@pytest.mark.parametrize(
    "change",
    [
        TRIGGER,
        "CREATE TEMP TABLE documents (id INTEGER)",
        "ALTER TABLE documents RENAME TO other",
    ],
    ids=["a trigger", "two tables", "no table"],
)
def test_a_table_is_not_plain_with(connection, change):
    connection.execute(text(change))
    forget_plain_tables(connection.engine)
    assert TABLE not in find_plain_tables(connection).tables


def test_tables_are_remembered_until_they_are_forgotten(connection):
    find_plain_tables(connection)
    connection.exec_driver_sql(TRIGGER)
    assert TABLE in find_plain_tables(connection).tables
    forget_plain_tables(connection.engine)
    assert TABLE not in find_plain_tables(connection).tables


def test_tables_are_looked_up_again_after_a_while(connection, monkeypatch):
    until = find_plain_tables(connection).until
    connection.exec_driver_sql(TRIGGER)
    monkeypatch.setattr(time, "monotonic", lambda: until + 1)
    assert TABLE not in find_plain_tables(connection).tables


class OwnFunction(FunctionElement):
    inherit_cache = True


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param(select(TABLE), True, id="columns"),
        pytest.param(select(func.count()).select_from(TABLE), True, id="a function that SQLAlchemy knows"),
        pytest.param(select(func.own_function()), False, id="a function by its name"),
        pytest.param(select(literal_column("*")).select_from(TABLE), True, id="all columns"),
        pytest.param(select(OwnFunction()), False, id="a function of the user"),
        pytest.param(select(literal_column("own_function()")), False, id="a literal column"),
        pytest.param(select(TABLE).where(text("own_function()")), False, id="a text inside"),
        pytest.param(text("SELECT 1"), False, id="a text"),
        pytest.param(insert(TABLE), False, id="an INSERT"),
    ],
)
def test_harmless_queries(query, expected):
    assert is_harmless_query(query) is expected

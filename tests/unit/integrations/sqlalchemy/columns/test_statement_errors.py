"""Errors of this package in statements."""

import pytest
from sqlalchemy import create_engine, literal, select
from sqlalchemy.exc import StatementError

from async_storages import InvalidArgumentException
from async_storages.integrations.sqlalchemy import FileType


@pytest.fixture
def connection():
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def test_they_are_raised_as_they_are(connection):
    with pytest.raises(InvalidArgumentException, match="a file column takes") as raised:
        connection.execute(select(literal(7, FileType("documents"))))
    assert type(raised.value) is InvalidArgumentException


def test_other_errors_are_left_to_sqlalchemy(connection):
    with pytest.raises(StatementError):
        connection.exec_driver_sql("SELECT nothing FROM nowhere")

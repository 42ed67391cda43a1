"""The files that rows name now, read while the rows are locked."""

import pytest
from sqlalchemy import create_engine, inspect, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from async_storages import StoredFile
from async_storages.integrations.sqlalchemy.columns.fields import fields_of
from async_storages.integrations.sqlalchemy.tracking.previous_files import (
    can_lock_rows,
    lock_and_read_rows,
    lock_rows,
)
from tests.support.documents import Base, Document

MAPPER = inspect(Document)


@pytest.fixture
def connection():
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all([Document(id=1, file="a", copy="b"), Document(id=2, file="c")])
        session.commit()
        yield session.connection()
    engine.dispose()


@pytest.fixture
def fields():
    return {field.key: field for field in fields_of(MAPPER)}


def test_wanted_attributes_of_wanted_rows_are_read(connection, fields):
    wanted = {(1,): [fields["file"]], (2,): [fields["file"], fields["copy"]], (3,): [fields["file"]]}
    rows = lock_and_read_rows(connection, MAPPER, wanted)
    assert rows == {
        (1,): {fields["file"]: StoredFile("mem:a")},
        (2,): {fields["file"]: StoredFile("mem:c"), fields["copy"]: None},
    }


def test_nothing_is_read_without_attributes(connection):
    assert lock_and_read_rows(connection, MAPPER, {(1,): []}) == {}


def test_the_lock_lets_others_refer_to_the_rows():
    table = Document.__table__
    sql = str(lock_rows(select(table.c.id), table).compile(dialect=postgresql.dialect()))
    assert sql.endswith("FOR NO KEY UPDATE OF documents")


def test_sqlite_has_no_role_that_may_not_lock(connection):
    assert can_lock_rows(connection, Document.__table__)

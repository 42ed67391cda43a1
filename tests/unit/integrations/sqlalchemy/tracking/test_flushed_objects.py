"""The objects that a flush writes, and their files that are new or changed."""

import pytest
from sqlalchemy import create_engine, inspect
from sqlalchemy.orm import Session

from async_storages.integrations.sqlalchemy.tracking.flushed_objects import (
    FlushedObjects,
    assigned_since,
    copy_value,
    identity_of,
)
from tests.support.documents import Base, Document, Folder


@pytest.fixture
def session():
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with Session(engine, autoflush=False) as session:
        yield session
    engine.dispose()


def changes(session, *chosen):
    return [
        (change.target, [field.key for field in change.fields]) for change in FlushedObjects(session, chosen).changes()
    ]


def test_new_objects_with_files_are_changes(session):
    session.add_all([one := Document(file="a"), Document(title="no file"), Folder()])
    assert changes(session) == [(one, ["file"])]


def test_changed_files_of_loaded_objects_are_changes(session):
    session.add(one := Document(id=1, file="a", copy="b"))
    session.commit()
    session.refresh(one)
    one.title = "other"
    assert changes(session) == []
    one.copy, one.file = "b", "a"
    assert changes(session) == []
    one.copy = None
    assert changes(session) == [(one, ["copy"])]


def test_a_flush_of_chosen_objects_writes_no_others(session):
    session.add_all([one := Document(file="a"), Document(file="b")])
    assert changes(session, one) == [(one, ["file"])]


def test_deleted_objects_and_those_that_take_their_rows_over(session):
    session.add(one := Document(id=1, file="a"))
    session.commit()
    session.delete(one)
    session.add(other := Document(id=1, file="b"))
    objects = FlushedObjects(session, None)
    [deleted] = objects.deleted()
    assert (deleted.obj(), identity_of(deleted)) == (one, (1,))
    assert objects.new_by_identity()[deleted.mapper.base_mapper, (1,)].obj() is other


def test_attributes_that_were_assigned_since(session):
    state = inspect(one := Document(file="a"))
    session.add(one)
    [change] = FlushedObjects(session, None).changes()
    seen = {field: copy_value(value) for field, value in change.values}
    one.file = "a"
    assert assigned_since(state, seen) == []
    one.file, one.copy = "b", "c"
    assert {field.key for field in assigned_since(state, seen)} == {"file", "copy"}

"""Files of which a transaction asks the database, and those that it keeps: every case without a database."""

import pytest
from sqlalchemy import Column, MetaData, Table

from async_storages import StoredFile
from async_storages.integrations.sqlalchemy import FileType
from async_storages.integrations.sqlalchemy.columns.fields import fields_of_table
from async_storages.integrations.sqlalchemy.columns.tracked_file import TrackedFile
from async_storages.integrations.sqlalchemy.tracking import files_in_use
from async_storages.integrations.sqlalchemy.tracking.transaction_scope import TransactionScope

TABLE = Table(
    "rows",
    MetaData(),
    Column("file", FileType("nowhere")),
    Column("kept", FileType("nowhere", on_delete="keep")),
    Column("own", FileType("nowhere", exclusive=True)),
)
FILE, KEPT, OWN = fields_of_table(TABLE)
OLD = StoredFile("mem:old")


def saved(name):
    stored = StoredFile(f"mem:{name}")
    stored.remember(is_new=True)
    return stored


def names(files):
    return {file.file_id.removeprefix("mem:") for file in files}


@pytest.fixture
def scope():
    scope = TransactionScope(None)
    yield scope
    scope.release_files()


def inside(scope, work, *, released):
    work(inner := TransactionScope(None))
    (scope.merge_released if released else scope.merge_rolled_back)(inner)


def replace(scope, field=FILE):
    scope.record_added(field, saved("new"))
    scope.record_dropped(field, TrackedFile.of(OLD))


def replace_twice(scope, field=FILE):
    scope.record_added(field, superseded := saved("superseded"))
    scope.record_dropped(field, TrackedFile.of(superseded))
    replace(scope, field)


class TestQuestions:
    """The database is asked about each new file, and each that a row names no longer."""

    @pytest.mark.parametrize(
        ("work", "asked"),
        [
            (replace, {"new", "old"}),
            (replace_twice, {"new", "superseded", "old"}),
            (lambda scope: scope.record_added(FILE, OLD), set()),
            (lambda scope: scope.hold(saved("new")), {"new"}),
            (lambda scope: inside(scope, replace, released=True), {"new", "old"}),
            (lambda scope: inside(scope, replace, released=False), {"new"}),
        ],
        ids=["replaced", "replaced twice", "an id", "not flushed", "savepoint released", "savepoint rolled back"],
    )
    def test_asked(self, scope, work, asked):
        work(scope)
        assert names(scope.files_to_look_up) == asked

    def test_an_exclusive_column_needs_no_question(self, scope):
        replace(scope, OWN)
        assert (names(scope.files_to_look_up), names(scope.exclusively_dropped)) == (set(), {"old"})

    def test_an_exclusive_column_whose_file_moves_is_asked_about(self, scope):
        scope.record_dropped(OWN, TrackedFile.of(OLD))
        scope.record_added(OWN, OLD)
        assert (names(scope.files_to_look_up), names(scope.exclusively_dropped)) == ({"old"}, set())

    def test_what_was_put_into_a_column_that_keeps_stays(self, scope):
        scope.record_added(KEPT, new := saved("new"))
        scope.record_dropped(FILE, TrackedFile.of(new))
        assert scope.files_to_look_up == []

    def test_what_was_put_into_a_column_that_keeps_goes_with_its_savepoint(self, scope):
        inside(scope, lambda inner: inner.record_added(KEPT, saved("new")), released=False)
        assert names(scope.files_to_look_up) == {"new"}

    def test_a_file_that_was_committed_once_is_like_any_other(self, scope):
        new = saved("new")
        file = scope.hold(new)
        scope.mark_kept([file])
        other = TransactionScope(None)
        other.hold(new)
        assert other.new_files == {}


class TestHolds:
    """Within a process no file is removed that an open transaction names."""

    def test_what_two_transactions_name_is_left_to_the_last_one(self):
        one, two, new = TransactionScope(None), TransactionScope(None), saved("new")
        file = one.record_added(FILE, new)
        two.record_added(FILE, new)
        assert one.release_files() == []
        assert files_in_use.begin_removal([file]) == []
        assert two.release_files() == [file]
        assert files_in_use.begin_removal([file]) == [file]
        files_in_use.end_removal([file])

    def test_a_savepoint_holds_once(self, scope):
        new = saved("new")
        file = scope.record_added(FILE, new)
        inside(scope, lambda inner: inner.record_added(FILE, new), released=True)
        scope.release_files()
        assert files_in_use.begin_removal([file]) == [file]
        files_in_use.end_removal([file])

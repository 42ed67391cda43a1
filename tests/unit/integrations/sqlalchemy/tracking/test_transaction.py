"""Files of which a transaction asks the database, and those that it keeps: every case without a database."""

import pytest
from sqlalchemy import Column, MetaData, Table

from async_storages import StoredFile
from async_storages.integrations.sqlalchemy import FileType
from async_storages.integrations.sqlalchemy.columns.fields import fields_of_table
from async_storages.integrations.sqlalchemy.columns.tracked_file import TrackedFile
from async_storages.integrations.sqlalchemy.tracking import files_in_use
from async_storages.integrations.sqlalchemy.tracking.files_in_use import Inquiry
from async_storages.integrations.sqlalchemy.tracking.transaction import Scope

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
    scope = Scope(None)
    yield scope
    scope.let_go()


def inside(scope, work, *, released):
    work(inner := Scope(None))
    (scope.release if released else scope.undo)(inner)


def replace(scope, field=FILE):
    scope.add(field, saved("new"))
    scope.drop(field, TrackedFile.of(OLD))


def replace_twice(scope, field=FILE):
    scope.add(field, superseded := saved("superseded"))
    scope.drop(field, TrackedFile.of(superseded))
    replace(scope, field)


class TestQuestions:
    """The database is asked about each new file, and each that a row names no longer."""

    @pytest.mark.parametrize(
        ("work", "asked"),
        [
            (replace, {"new", "old"}),
            (replace_twice, {"new", "superseded", "old"}),
            (lambda scope: scope.add(FILE, OLD), set()),
            (lambda scope: scope.make(saved("new")), {"new"}),
            (lambda scope: inside(scope, replace, released=True), {"new", "old"}),
            (lambda scope: inside(scope, replace, released=False), {"new"}),
        ],
        ids=["replaced", "replaced twice", "an id", "not flushed", "savepoint released", "savepoint rolled back"],
    )
    def test_asked(self, scope, work, asked):
        work(scope)
        assert names(scope.questionable) == asked

    def test_an_exclusive_column_needs_no_question(self, scope):
        replace(scope, OWN)
        assert (names(scope.questionable), names(scope.dropped_for_sure)) == (set(), {"old"})

    def test_an_exclusive_column_whose_file_moves_is_asked_about(self, scope):
        scope.drop(OWN, TrackedFile.of(OLD))
        scope.add(OWN, OLD)
        assert (names(scope.questionable), names(scope.dropped_for_sure)) == ({"old"}, set())

    def test_what_was_put_into_a_column_that_keeps_stays(self, scope):
        scope.add(KEPT, new := saved("new"))
        scope.drop(FILE, TrackedFile.of(new))
        assert scope.questionable == []

    def test_what_was_put_into_a_column_that_keeps_goes_with_its_savepoint(self, scope):
        inside(scope, lambda inner: inner.add(KEPT, saved("new")), released=False)
        assert names(scope.questionable) == {"new"}

    def test_a_file_that_was_committed_once_is_like_any_other(self, scope):
        new = saved("new")
        file = scope.make(new)
        scope.keep([file])
        other = Scope(None)
        other.make(new)
        assert other.made == {}


class TestHolds:
    """Within a process no file is removed that an open transaction names."""

    def test_what_two_transactions_name_is_left_to_the_last_one(self):
        one, two, new = Scope(None), Scope(None), saved("new")
        file = one.add(FILE, new)
        two.add(FILE, new)
        assert one.let_go() == []
        assert files_in_use.take([file]) == []
        assert two.let_go() == [file]
        assert files_in_use.take([file]) == [file]
        files_in_use.note_removed([file])

    def test_a_savepoint_holds_once(self, scope):
        new = saved("new")
        file = scope.add(FILE, new)
        inside(scope, lambda inner: inner.add(FILE, new), released=True)
        scope.let_go()
        assert files_in_use.take([file]) == [file]
        files_in_use.note_removed([file])

    def test_nothing_is_removed_while_a_transaction_names_files_that_nobody_knows(self, scope):
        file = TrackedFile.of(saved("old"))
        inquiry = Inquiry([file])
        inside(scope, lambda inner: inner.hold_everything(), released=True)
        assert (inquiry.doubtful, files_in_use.take([file])) == ({file}, [])
        assert scope.let_go() == [file]
        assert files_in_use.take([file]) == [file]
        files_in_use.note_removed([file])

    def test_an_answer_is_doubtful_once_somebody_names_the_file(self, scope):
        file = TrackedFile.of(OLD)
        inquiry = Inquiry([file])
        scope.add(FILE, OLD)
        assert inquiry.doubtful == {file}

    def test_a_file_is_leaving_until_it_is_gone(self):
        file = TrackedFile.of(saved("left"))
        assert not files_in_use.is_leaving(file)
        assert files_in_use.take([file]) == [file]
        assert files_in_use.is_leaving(file)
        files_in_use.note_removed([file])
        assert not files_in_use.is_leaving(file)
        assert files_in_use.may_be_gone(file)

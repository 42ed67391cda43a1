"""Which files a transaction keeps, and which it removes: every case without a database."""

import pytest

from async_storages import StoredFile
from async_storages.integrations.sqlalchemy.frames import Frame


def saved(name):
    stored = StoredFile(f"mem:{name}")
    stored.remember(is_new=True)
    return stored


def end(frame, *, committed):
    return [file.file_id.removeprefix("mem:") for file in frame.end(committed=committed)]


OLD, COPY = StoredFile("mem:old"), StoredFile("mem:old")


def replace(frame, new):
    frame.remove(OLD)
    frame.add(new)


def replace_twice(frame, new):
    replace(frame, superseded := saved("superseded"))
    frame.remove(superseded)
    frame.add(new)


def move(frame, new):
    frame.remove(OLD)
    frame.add(COPY)


def released(frame, new):
    replace(inner := Frame(), new)
    frame.release(inner)


def undone(frame, new):
    replace(inner := Frame(), new)
    frame.undo(inner)


def named_again(frame, new):
    undone(frame, new)
    frame.add(new)


def uploaded_only(frame, new):
    frame.make(new)


@pytest.mark.parametrize(
    ("work", "after_commit", "after_rollback"),
    [
        (replace, ["old"], ["new"]),
        (replace_twice, ["old", "superseded"], ["superseded", "new"]),
        (move, [], []),
        (released, ["old"], ["new"]),
        (undone, ["new"], ["new"]),
        (named_again, [], ["new"]),
        (uploaded_only, ["new"], ["new"]),
    ],
)
@pytest.mark.parametrize("committed", [True, False], ids=["commit", "rollback"])
def test_what_is_removed(work, after_commit, after_rollback, committed):
    work(frame := Frame(), saved("new"))
    assert frame.has_leftovers(committed=committed) == bool(after_commit if committed else after_rollback)
    assert end(frame, committed=committed) == (after_commit if committed else after_rollback)


@pytest.mark.parametrize(("first", "second"), [(True, False), (False, True)])
def test_what_two_transactions_name_stays_if_one_commits(first, second):
    new, one, two = saved("new"), Frame(), Frame()
    one.add(new)
    two.add(new)
    assert end(one, committed=first) == end(two, committed=second) == []


def test_the_last_one_removes_what_none_committed():
    new, one, two = saved("new"), Frame(), Frame()
    one.add(new)
    two.add(new)
    assert (end(one, committed=False), end(two, committed=False)) == ([], ["new"])


def test_a_file_that_was_committed_once_is_like_any_other():
    new, one, two = saved("new"), Frame(), Frame()
    one.add(new)
    assert end(one, committed=True) == []
    two.add(new)
    assert end(two, committed=False) == []

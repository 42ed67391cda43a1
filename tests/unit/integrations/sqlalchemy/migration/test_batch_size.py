"""Batches grow while files are small, and shrink while they are large."""

from itertools import accumulate

from async_storages.integrations.sqlalchemy.migration import batch_size
from async_storages.integrations.sqlalchemy.migration.batch_size import BatchSize


def sizes(monkeypatch, *seconds):
    """The sizes of batches, each begun so many seconds after the one before it."""
    clock = iter(accumulate(seconds))
    monkeypatch.setattr(batch_size, "monotonic", lambda: next(clock))
    size = BatchSize(4, 20)
    return [size.next() for _ in seconds]


def test_quick_batches_grow_up_to_the_most(monkeypatch):
    assert sizes(monkeypatch, 0, 0.1, 0.1, 0.1, 0.1) == [4, 8, 16, 20, 20]


def test_slow_batches_shrink_down_to_the_least(monkeypatch):
    assert sizes(monkeypatch, 0, 0.1, 0.1, 3, 3, 3) == [4, 8, 16, 8, 4, 4]


def test_others_stay(monkeypatch):
    assert sizes(monkeypatch, 0, 0.1, 1, 1) == [4, 8, 8, 8]

"""Batches grow while files are small, and shrink while they are large."""

from async_storages.integrations.sqlalchemy.migration import batch_size
from async_storages.integrations.sqlalchemy.migration.batch_size import BatchSize


def sizes(monkeypatch, *seconds):
    """The sizes of batches, each begun so many seconds after the last one."""
    clock = iter([0.0, *(sum(seconds[: count + 1]) for count in range(len(seconds)) for _ in range(2))])
    monkeypatch.setattr(batch_size, "monotonic", lambda: next(clock))
    size = BatchSize(4, 20)
    return [size.next() for _ in seconds]


def test_quick_batches_grow_up_to_the_most(monkeypatch):
    assert sizes(monkeypatch, 0.1, 0.1, 0.1, 0.1) == [8, 16, 20, 20]


def test_slow_batches_shrink_down_to_the_least(monkeypatch):
    assert sizes(monkeypatch, 0.1, 0.1, 3, 3, 3) == [8, 16, 8, 4, 4]


def test_others_stay(monkeypatch):
    assert sizes(monkeypatch, 0.1, 1, 1) == [8, 8, 8]

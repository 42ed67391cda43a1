"""Batches grow while files are small, and shrink while they are large."""

from functools import partial
from itertools import accumulate

from async_storages.integrations.sqlalchemy.migration.batch_size import BatchSize


def sizes(*seconds):
    """The sizes of batches, each begun so many seconds after the one before it."""
    size = BatchSize(4, 20, clock=partial(next, accumulate(seconds)))
    return [size.next() for _ in seconds]


def test_quick_batches_grow_up_to_the_most():
    assert sizes(0, 0.1, 0.1, 0.1, 0.1) == [4, 8, 16, 20, 20]


def test_slow_batches_shrink_down_to_the_least():
    assert sizes(0, 0.1, 0.1, 3, 3, 3) == [4, 8, 16, 8, 4, 4]


def test_others_stay():
    assert sizes(0, 0.1, 1, 1) == [4, 8, 8, 8]

"""A request is not sent after the deadline of its caller."""

import time

import pytest

from async_storages import StorageUnavailableException
from async_storages._deadlines import Deadline, check_deadline


def test_without_a_deadline_everything_is_sent():
    check_deadline()


def test_a_request_within_its_time_is_sent_and_a_later_one_is_not():
    with Deadline(3600).bounding():
        check_deadline()
        with Deadline(-1).bounding(), pytest.raises(StorageUnavailableException, match="its time is over"):
            check_deadline()
        check_deadline()
    check_deadline()


@pytest.mark.parametrize("clock", ["monotonic", "time"])
def test_the_clock_that_is_ahead_counts(monkeypatch, clock):
    deadline, now = Deadline(60), getattr(time, clock)
    monkeypatch.setattr(time, clock, lambda: now() + 100)
    assert deadline.left < 0


def test_a_deadline_that_is_over_can_be_renewed():
    deadline = Deadline(-1)
    with deadline.bounding():
        deadline.renew(3600)
        check_deadline()

"""The targets and options of `enable_file_tracking`."""

import pytest
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import Session, sessionmaker

from async_storages import InvalidArgumentException
from async_storages.integrations.sqlalchemy import enable_file_tracking


@pytest.mark.parametrize("target", [AsyncSession, Session, object()], ids=["AsyncSession", "Session", "object"])
def test_targets_that_others_share_are_refused(target):
    with pytest.raises(InvalidArgumentException, match="for a sessionmaker, or a subclass"):
        enable_file_tracking(target)


@pytest.mark.parametrize("options", [{"concurrency": 0}, {"removal_timeout": 0}], ids=["concurrency", "timeout"])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(InvalidArgumentException, match="at least 1"):
        enable_file_tracking(sessionmaker(), **options)


@pytest.mark.parametrize("make", [sessionmaker, async_sessionmaker, lambda: type("Own", (AsyncSession,), {})])
def test_the_target_is_returned(make):
    target = make()
    assert enable_file_tracking(target) is target


def test_sessions_of_others_stay_as_they_are():
    enable_file_tracking(async_sessionmaker())
    enable_file_tracking(sessionmaker())
    assert AsyncSession.sync_session_class is sessionmaker().class_.__mro__[1] is Session


def test_a_second_call_makes_no_second_class():
    sessions = enable_file_tracking(sessionmaker())
    class_ = sessions.class_
    assert enable_file_tracking(sessions, concurrency=3).class_ is class_

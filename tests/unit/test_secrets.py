"""Text that is not shown, and errors that show nothing of where they were."""

import pickle

import pytest
from multidict import CIMultiDict
from rich.pretty import pretty_repr

from async_storages._secrets import Hidden, without_frames
from async_storages._secrets import hidden as hidden_of

SECRET = "secret " * 40


@pytest.fixture
def hidden():
    return Hidden(SECRET)


def test_it_is_text(hidden):
    assert hidden == SECRET == str(hidden) == f"{hidden}"
    assert type(str(hidden)) is str
    assert (hash(hidden), len(hidden)) == (hash(SECRET), len(SECRET))
    assert pickle.loads(pickle.dumps(hidden)) == SECRET


def test_nothing_shows_it(hidden):
    held = [hidden, {"a": hidden}, CIMultiDict(a=hidden), (hidden[:50],), hidden[1]]
    for shown in (repr(held), pretty_repr(held, max_string=80), pretty_repr(hidden, max_string=5)):
        assert "secret" not in shown
        assert "s" not in shown.replace("CIMultiDict", "")


def fail(value):
    try:
        int(value)
    except ValueError as error:
        raise LookupError("two") from error


def bare():
    try:
        fail(SECRET)
    except LookupError as error:
        raise without_frames(error) from error.__cause__


def test_an_error_loses_its_frames_and_those_of_what_led_to_it():
    with pytest.raises(LookupError) as caught:
        bare()
    assert [entry.name for entry in caught.traceback][1:] == ["bare"]
    assert caught.value.__cause__.__traceback__ is None


def test_errors_that_lead_to_each_other_end():
    one, other = ValueError(), LookupError()
    one.__cause__, other.__cause__ = other, one
    assert without_frames(one) is one


@pytest.mark.parametrize("nothing", [None, 5, b"bytes"])
def test_what_is_no_text_stays_as_it_is(nothing):
    assert hidden_of(nothing) is nothing


def test_texts_within_are_hidden_too():
    held = hidden_of({"key": SECRET, "list": [SECRET, (SECRET, 1)]})
    assert held == {"key": SECRET, "list": [SECRET, [SECRET, 1]]}
    assert "secret" not in repr(held)

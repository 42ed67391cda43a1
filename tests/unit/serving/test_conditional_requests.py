"""Conditional requests: RFC 9110 section 13, and the three formats of dates in 5.6.7."""

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_storages.serving.conditional_requests import Validators, failed_condition, http_date, wants_range

MODIFIED = datetime(2026, 11, 22, 6, 0, 0, 700_000, tzinfo=timezone(timedelta(hours=1)))
CURRENT = Validators.of("abc-2", MODIFIED)
SAME, BEFORE, AFTER = (http_date(MODIFIED + timedelta(seconds=seconds)) for seconds in (0, -1, 1))
NONE = {}

CONDITIONS = {
    "no condition": (NONE, None),
    "the same tag": ({"if-none-match": '"abc-2"'}, 304),
    "a weak tag": ({"if-none-match": 'W/"abc-2"'}, 304),
    "one tag of several": ({"if-none-match": '"x", W/"y" ,"abc-2"'}, 304),
    "any tag": ({"if-none-match": " * "}, 304),
    "another tag": ({"if-none-match": '"abc"'}, None),
    "a tag with a comma": ({"if-none-match": '"x,abc-2"'}, None),
    "a tag without quotes": ({"if-none-match": "abc-2"}, None),
    "an empty list": ({"if-none-match": ""}, None),
    "a tag that is not closed": ({"if-none-match": '"abc-2'}, None),
    "not modified since": ({"if-modified-since": SAME}, 304),
    "not modified since a later time": ({"if-modified-since": AFTER}, 304),
    "modified since": ({"if-modified-since": BEFORE}, None),
    "RFC 850": ({"if-modified-since": "Sunday, 22-Nov-26 05:00:00 GMT"}, 304),
    "asctime": ({"if-modified-since": "Sun Nov 22 05:00:00 2026"}, 304),
    "no date": ({"if-modified-since": "yesterday"}, None),
    "two dates": ({"if-modified-since": f"{BEFORE}, {SAME}"}, None),
    "a date out of the calendar": ({"if-modified-since": "Mon, 31 Feb 2026 25:61:61 GMT"}, None),
    "the tag says more than the date": ({"if-none-match": '"x"', "if-modified-since": SAME}, None),
    "matches": ({"if-match": '"x", "abc-2"'}, None),
    "matches any": ({"if-match": "*"}, None),
    "matches weakly only": ({"if-match": 'W/"abc-2"'}, 412),
    "does not match": ({"if-match": '"x"'}, 412),
    "matches nothing at all": ({"if-match": "abc-2"}, 412),
    "unmodified since": ({"if-unmodified-since": SAME}, None),
    "not unmodified since": ({"if-unmodified-since": BEFORE}, 412),
    "unmodified since no date": ({"if-unmodified-since": "yesterday"}, None),
    "If-Match says more than the date": ({"if-match": '"abc-2"', "if-unmodified-since": BEFORE}, None),
    "If-Match goes first": ({"if-match": '"x"', "if-none-match": '"abc-2"'}, 412),
    "all hold but the last": ({"if-match": '"abc-2"', "if-none-match": '"abc-2"'}, 304),
}


@pytest.mark.parametrize(("headers", "status"), CONDITIONS.values(), ids=CONDITIONS)
def test_conditions(headers, status):
    assert failed_condition(headers, CURRENT) == status


WITHOUT = {
    "a tag that nobody has": ({"if-none-match": '"abc-2"'}, None),
    "any state of what is there": ({"if-none-match": "*"}, 304),
    "a match with nothing": ({"if-match": '"abc-2"'}, 412),
    "a match with what is there": ({"if-match": "*"}, None),
    "since a time": ({"if-modified-since": AFTER}, None),
    "unmodified since a time": ({"if-unmodified-since": BEFORE}, None),
}


@pytest.mark.parametrize(("headers", "status"), WITHOUT.values(), ids=WITHOUT)
def test_conditions_on_a_file_of_which_nothing_is_known(headers, status):
    assert failed_condition(headers, Validators()) == status


@pytest.mark.parametrize(
    ("condition", "wanted"),
    [
        (None, True),
        ('"abc-2"', True),
        (' "abc-2"\t', True),
        ('W/"abc-2"', False),
        ('"other"', False),
        ('"abc-2", "other"', False),
        ("*", False),
        ("", False),
        (SAME, True),
        (BEFORE, False),
        (AFTER, False),
    ],
)
def test_a_range_of_this_state_only(condition, wanted):
    assert wants_range(NONE if condition is None else {"if-range": condition}, CURRENT) is wanted


def test_a_range_of_a_file_of_which_nothing_is_known():
    assert wants_range(NONE, Validators())
    assert not wants_range({"if-range": '"abc"'}, Validators())
    assert not wants_range({"if-range": SAME}, Validators())


@pytest.mark.parametrize("etag", ['W/"a"', "a b", 'a"b', "a\r\nb", "é", ""], ids=ascii)
def test_what_no_header_can_hold_is_no_etag(etag):
    assert Validators.of(etag, None).headers(MODIFIED) == {}


def test_a_file_is_never_modified_in_the_future():
    now = MODIFIED - timedelta(days=1)
    assert Validators.of(None, MODIFIED).headers(now) == {"last-modified": "Sat, 21 Nov 2026 05:00:00 GMT"}
    assert Validators.of("a", MODIFIED).headers(MODIFIED + timedelta(days=1)) == {
        "etag": '"a"',
        "last-modified": "Sun, 22 Nov 2026 05:00:00 GMT",
    }


@given(st.text() | st.from_regex(r"\w{3}, \d\d \w{3} \d{4,9} \d\d:\d\d:\d\d ([+-]\d{4,9}|GMT)", fullmatch=True))
def test_no_condition_is_an_error(text):
    names = ("if-match", "if-none-match", "if-modified-since", "if-unmodified-since")
    assert {failed_condition({name: text}, CURRENT) for name in names} <= {None, 304, 412}
    assert wants_range({"if-range": text}, CURRENT) in {True, False}

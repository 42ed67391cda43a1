"""The Range header: what it asks for, and what may be ignored (RFC 9110 section 14)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_storages.serving.ranges import parse_range

SERVED = {
    "the first bytes": ("bytes=0-4", range(5)),
    "one byte": ("bytes=9-9", range(9, 10)),
    "to the end": ("bytes=5-", range(5, 10)),
    "beyond the end": ("bytes=5-99", range(5, 10)),
    "to an end of 99 digits": (f"bytes=0-{'9' * 99}", range(10)),
    "the last bytes": ("bytes=-3", range(7, 10)),
    "more last bytes than there are": ("bytes=-99", range(10)),
    "leading zeros": ("bytes=0005-0006", range(5, 7)),
    "in capitals": ("BYTES=0-4", range(5)),
    "blanks around": (" \tbytes=0-4 ", range(5)),
}
IGNORED = {
    "none": None,
    "empty": "",
    "another unit": "items=0-4",
    "no unit": "0-4",
    "no range": "bytes=",
    "no position": "bytes=-",
    "last before first": "bytes=4-0",
    "several": "bytes=0-1,3-4",
    "several with one that is empty": "bytes=0-4,",
    "two lines": "bytes=0-1, bytes=3-4",
    "letters": "bytes=a-b",
    "hexadecimal": "bytes=0x0-0x4",
    "a sign": "bytes=+0-4",
    "negative": "bytes=--5",
    "underscores": "bytes=0-1_0",
    "other digits": "bytes=٠-٤",
    "blanks inside": "bytes= 0-4",
    "a blank before the sign": "bytes =0-4",
    "a line break": "bytes=0-4\n",
    "thousands of ranges": "bytes=" + ",".join(["0-"] * 5000),
    "too many digits": f"bytes=0-{'9' * 5000}",
}
BEYOND = {"at the end": "bytes=10-", "far beyond": f"bytes={'9' * 99}-", "the last none": "bytes=-0"}


@pytest.mark.parametrize(("header", "expected"), SERVED.values(), ids=SERVED)
def test_a_range_is_cut_out_of_the_file(header, expected):
    assert parse_range(header, 10) == expected


@pytest.mark.parametrize("header", IGNORED.values(), ids=IGNORED)
def test_the_whole_file_is_sent(header):
    assert parse_range(header, 10) is None


@pytest.mark.parametrize("header", BEYOND.values(), ids=BEYOND)
def test_there_is_no_such_range(header):
    assert parse_range(header, 10) == range(0)


@pytest.mark.parametrize("header", ["bytes=0-", "bytes=0-0", "bytes=-1", "bytes=-0", "bytes=5-"])
def test_an_empty_file_is_sent_whole(header):
    assert parse_range(header, 0) is None


@given(st.from_regex(r"(bytes=)?[0-9,\- ]*", fullmatch=True) | st.text(), st.integers(0, 100))
def test_no_header_leads_out_of_the_file(header, size):
    found = parse_range(header, size)
    if found:
        assert 0 <= found.start < found.stop <= size

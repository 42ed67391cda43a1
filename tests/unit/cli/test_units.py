"""Times, sizes and ranges, as people write and read them."""

from datetime import UTC, datetime, timedelta

import pytest

from async_storages.cli.units import byte_range_of, counted, duration, escaped, size_text, time_text
from async_storages.errors import InvalidArgumentException


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("15m", 900), ("1h", 3600), ("7d", 604_800), ("2w", 1_209_600), ("0s", 0)]
)
def test_times(text, seconds):
    assert duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "15", "m", "1.5h", "-1h", "1h30m", "1 h", "1y", "٣h", "9999999999s"])
def test_no_times(text):
    with pytest.raises(InvalidArgumentException, match="is no time"):
        duration(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0-99", (0, 100)), ("5-5", (5, 1)), ("100-", (100, None)), ("-50", (-50, 50)), ("-0", (0, 0))],
)
def test_ranges(text, expected):
    assert byte_range_of(text) == expected


@pytest.mark.parametrize("text", ["", "-", "5", "9-5", "a-b", "1-2-3", "bytes=0-1", "0--1"])
def test_no_ranges(text):
    with pytest.raises(InvalidArgumentException, match="is no range"):
        byte_range_of(text)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1 << 20, "1.0 MiB"),
        (3 << 40, "3.0 TiB"),
        (1 << 60, "1048576.0 TiB"),
    ],
)
def test_sizes(size, text):
    assert size_text(size) == text


def test_moments_have_one_width():
    moment = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
    assert time_text(moment) == "2026-01-02T03:04:05Z"
    assert len(time_text(None)) == len(time_text(moment))


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("plain ä 猫", "plain ä 猫"),
        ("a\x9b31mb", "a\\x9b31mb"),
        ("\u202etxt.exe", "\\u202etxt.exe"),
        ("\udcff", "\\udcff"),
    ],
)
def test_names_that_a_terminal_would_obey_are_escaped(name, shown):
    assert escaped(name) == shown


def test_a_number_of_things():
    assert [counted(number, "file") for number in (0, 1, 2)] == ["0 files", "1 file", "2 files"]

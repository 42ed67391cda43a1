"""The judgement of benchmarks/reliability, with this library alone."""

import pytest

from benchmarks.reliability.column import column
from benchmarks.reliability.judge import Row, verdict
from benchmarks.reliability.libraries.ours import Tracking

A = Row("a", frozenset({"a.txt"}))
NOTHING = Row(None)
BOTH = Row("a,b", frozenset({"a.txt", "b.txt"}))

STATES = {
    "nothing": ([NOTHING], {}, "kept"),
    "a file": ([A, NOTHING], {"a.txt": "a"}, "kept"),
    "two rows with one file": ([A, A], {"a.txt": "a"}, "kept"),
    "two files of a row": ([BOTH], {"a.txt": "a", "b.txt": "b"}, "kept"),
    "missing": ([A], {}, "lost"),
    "one of two missing": ([BOTH], {"a.txt": "a"}, "lost"),
    "other content": ([A], {"a.txt": "b"}, "lost"),
    "no name": ([Row("a")], {}, "lost"),
    "unnamed": ([NOTHING], {"a.txt": "a"}, "leaked"),
    "elsewhere": ([A], {"b.txt": "a"}, "lost + leaked"),
}


@pytest.mark.parametrize(("rows", "files", "expected"), STATES.values(), ids=STATES.keys())
def test_verdict(rows, files, expected):
    assert verdict(rows, files) == expected


def test_refused_is_less_than_what_was_left():
    assert verdict([A], {"a.txt": "a"}, raised=True) == "refused"
    assert verdict([A], {}, raised=True) == "lost"


async def test_scenarios(tmp_path):
    expected = {
        "commit": "kept",
        "replace": "kept",
        "rollback": "kept",
        "text() delete": "leaked",
        "storage down at delete": "leaked",
        "an id that never existed is assigned": "lost",
        "copy an id by raw SQL, replace the first": "kept",
        "soft-delete trigger": "kept",
        "the session joins a connection's transaction, whose COMMIT fails": "kept",
        "stale id in a full PUT": "refused",
        "two people edit one list": "refused",
        "two-phase commit": "n/a",
    }
    at = Tracking("ours, level 1", f"sqlite+aiosqlite:///{tmp_path / 'rows.sqlite'}", tmp_path)
    found = await column(at, expected)
    assert {name: cell.verdict for name, cell in found.items()} == expected

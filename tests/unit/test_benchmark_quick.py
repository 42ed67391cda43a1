"""``python -m benchmarks --quick`` finds code that is a fifth slower than recorded, and nothing else."""

import sys
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count, repeat
from types import SimpleNamespace

import pytest

import benchmarks.contests.contest
from async_storages import S3Storage
from benchmarks.__main__ import main
from benchmarks.contests.contest import Contest
from benchmarks.contests.here import presigned_urls
from benchmarks.places import Places
from benchmarks.quick import LIMIT, QUICK, REPEATS, compare
from benchmarks.records import Records


@dataclass
class Scripted:
    """A contest that takes as long as it is told.

    Attributes:
        costs: The cost of ours in each contest that is held; the peer's is 1.
        times: How often it was held.
    """

    costs: list[float]
    times: int = field(default=0)

    @contextmanager
    def __call__(self):
        cost = self.costs[self.times]
        self.times += 1
        yield Contest("the peer", lambda: {"": cost}, lambda: {"": 1.0})


def recorded(cost=1.0):
    records = Records()
    for change in compare({"work": Scripted([cost])}, records):
        records.add(QUICK, change.figure)
    return records


def compared(records, *costs):
    contest = Scripted(list(costs))
    [change] = compare({"work": contest}, records)
    return change, contest.times


def test_the_same_speed_is_measured_once():
    change, times = compared(recorded(), 1.0)
    assert (change.is_regressed, change.slowdown, times) == (False, 1.0, 1)


def test_a_fifth_slower_is_found():
    change, times = compared(recorded(), 1.2, 1.2, 1.2)
    assert (change.is_regressed, times) == (True, 1 + REPEATS)
    assert str(change) == "work: recorded ratio 1.000, ratio now 0.833, 1.20 times slower than recorded"


def test_a_row_that_looks_slow_once_is_measured_again():
    change, times = compared(recorded(), 1.5, 1.0, 1.0)
    assert (change.is_regressed, times) == (False, 1 + REPEATS)


def test_less_than_the_limit_is_not_reported():
    change, _ = compared(recorded(), LIMIT - 0.01, LIMIT - 0.01, LIMIT - 0.01)
    assert not change.is_regressed


def test_faster_is_not_reported():
    assert not compared(recorded(2.0), 1.0)[0].is_regressed


def test_a_new_row_is_not_reported():
    change, _ = compared(Records(), 3.0)
    assert (change.recorded, change.is_regressed) == (None, False)


def test_ours_and_the_peer_take_turns_and_the_fastest_of_each_counts():
    asked = []
    busy = {"ours": iter([9.0, 3.0, 1.0, 2.0, 9.0]), "theirs": iter([9.0, 5.0, 2.0, 9.0, 2.0])}

    def turn(who):
        asked.append(who)
        return {"": next(busy[who])}

    @contextmanager
    def contest():
        yield Contest("the peer", partial(turn, "ours"), partial(turn, "theirs"), rounds=4)

    [change] = compare({"work": contest}, Records())
    assert change.figure.ratio == 2
    assert asked == ["ours", "theirs", *(["theirs", "ours", "ours", "theirs"] * 2)]


# ---- the command


@pytest.fixture
def places(tmp_path):
    (tmp_path / "page.md").write_text("{{ rows quick }}\n")
    return Places(tmp_path / "records.json", tmp_path, tmp_path / "page.md", tmp_path / "benchmarks.md")


def quick(places, contest, *arguments):
    return main(["--quick", "work", *arguments], places, {"work": contest})


def test_the_exit_status_and_a_line_tell_of_a_regression(places, capsys):
    assert quick(places, Scripted([5.0, 1.0, 0.5]), "--record") == 0  # the middle of three is recorded
    assert quick(places, Scripted([1.0])) == 0
    capsys.readouterr()
    assert quick(places, Scripted([1.3] * 3)) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "work: ratio 0.769, recorded 1.000",
        "REGRESSED work: recorded ratio 1.000, ratio now 0.769, 1.30 times slower than recorded",
    ]


def test_records_of_another_machine_are_named(places, capsys):
    quick(places, Scripted([1.0] * 3), "--record")
    assert "elsewhere" not in capsys.readouterr().out
    places.records.write_text(places.records.read_text().replace(" cores of ", " fast cores of "))
    quick(places, Scripted([1.0]))
    assert " fast cores of " in capsys.readouterr().out.partition("Recorded elsewhere")[2]


def test_only_record_changes_the_records_and_the_page(places, tmp_path):
    quick(places, Scripted([1.0] * 3), "--record")
    page, stored = places.page.read_text(), places.records.read_text()
    assert "| work | 1,000 ms of CPU | the peer 1,000 | 1 |" in page
    quick(places, Scripted([0.5]), "--json", str(tmp_path / "a.json"), "--markdown", str(tmp_path / "a.md"))
    assert (places.page.read_text(), places.records.read_text()) == (page, stored)
    assert Records.load(tmp_path / "a.json").get(QUICK, "work").figure.ratio == 2
    assert "| work | 500 ms of CPU | the peer 1,000 | 2 | 1 |" in (tmp_path / "a.md").read_text()
    quick(places, Scripted([0.5] * 3), "--record")
    assert "| work | 500 ms of CPU | the peer 1,000 | 2 | 1 |" in places.page.read_text()


def test_the_page_is_written_without_measuring(places):
    quick(places, Scripted([1.0] * 3), "--record")
    page = places.page.read_text()
    places.page.unlink()
    assert main(["--write-page"], places, {}) == 0
    assert places.page.read_text() == page


WRONG = {
    "an unknown measurement": ["presining"],
    "an unknown contest": ["--quick", "presigning"],
    "an unknown option": ["--fast"],
    "a page and a measurement": ["--write-page", "presigning"],
    "a page and contests": ["--write-page", "--quick"],
}


@pytest.mark.parametrize("arguments", WRONG.values(), ids=WRONG.keys())
def test_wrong_arguments_end_with_2(places, capsys, arguments):
    with pytest.raises(SystemExit, match="2"):
        main(arguments, places, {"work": Scripted([])})
    assert "error:" in capsys.readouterr().err


# ---- a slower implementation


class Slower(S3Storage):
    """Does every fifth presigning twice: a fifth more work."""

    again = 0

    def presign(self, *arguments, **options):
        self.again = (self.again + 1) % 5
        for _ in repeat(None, not self.again):
            super().presign(*arguments, **options)
        return super().presign(*arguments, **options)


@pytest.fixture
def calls_cost(monkeypatch):
    """Time stands still but for calls of Python functions: on a busy machine, too, the same work costs the same."""
    tool, calls = sys.monitoring.PROFILER_ID, count()
    sys.monitoring.use_tool_id(tool, "calls_cost")
    sys.monitoring.register_callback(tool, sys.monitoring.events.PY_START, lambda *_: next(calls))
    sys.monitoring.set_events(tool, sys.monitoring.events.PY_START)
    monkeypatch.setattr(benchmarks.contests.contest, "time", SimpleNamespace(process_time=lambda: float(next(calls))))
    yield
    sys.monitoring.set_events(tool, 0)
    sys.monitoring.register_callback(tool, sys.monitoring.events.PY_START, None)
    sys.monitoring.free_tool_id(tool)


@contextmanager
def short(kind=S3Storage):
    with presigned_urls(kind) as contest:
        yield replace(contest, rounds=2)


def test_code_that_is_a_fifth_slower_is_caught_and_the_same_code_is_not(places, capsys, calls_cost):
    contests = {"presigned_urls": short}
    assert main(["--quick", "--record"], places, contests) == 0
    assert main(["--quick"], places, contests) == 0
    capsys.readouterr()
    assert main(["--quick"], places, {"presigned_urls": partial(short, Slower)}) == 1
    [line] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("REGRESSED")]
    assert line.startswith("REGRESSED presigned_urls: presign: recorded ratio ")

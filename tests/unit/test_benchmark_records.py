"""The figures of benchmarks that are kept: what is stored is read again, and earlier ones are kept."""

import json
import platform
from dataclasses import replace

from benchmarks import Figure, Goal
from benchmarks.records import KEPT, Record, Records

FIGURE = Figure("put", "ms of CPU", 2.0, {"botocore": 8.0, "the bare work": 1.0}, (Goal(5.0, "botocore"), Goal(3.0)))
SPEED = Figure("get", "files per second", 0.0, is_more_better=True, note="requests: 1")


def recorded(*figures):
    records = Records()
    for figure in figures:
        records.add("s3", figure)
    return records


def test_a_file_says_all_that_was_recorded(tmp_path):
    path = tmp_path / "records.json"
    records = recorded(FIGURE, replace(FIGURE, ours=1.5), SPEED, Figure("left out", note="pip could not install it"))
    records.add("gcs", FIGURE, Record("2026-11-22", "another machine", {"Python": "3.12.1"}, 2.0, FIGURE.peers))
    records.save(path)
    assert Records.load(path).rows == records.rows
    assert Records.load(path).to_json() == path.read_text(encoding="utf-8")


def test_a_record_says_where_its_numbers_are_from():
    row = recorded(FIGURE).get("s3", "put")
    assert row.last.versions.keys() == {"Python", "botocore"}
    assert row.last.versions["Python"] == platform.python_version()
    assert " cores of " in row.last.machine


def test_the_file_has_ratios_for_readers():
    stored = json.loads(recorded(FIGURE).to_json())
    assert stored["s3"]["put"]["records"][0]["ratio"] == 0.5


def test_the_last_figure_counts_and_earlier_ones_are_kept():
    row = recorded(FIGURE, replace(FIGURE, ours=1.0), replace(FIGURE, ours=0.5)).get("s3", "put")
    assert row.figure.ratio == 2
    assert [figure.ratio for figure in row.earlier] == [1, 0.5]


def test_the_oldest_records_are_deleted():
    row = recorded(*(replace(FIGURE, ours=float(number)) for number in range(1, KEPT + 3))).get("s3", "put")
    assert [record.ours for record in row.records] == list(range(3, KEPT + 3))


def test_without_a_file_there_are_no_records(tmp_path):
    assert Records.load(tmp_path / "records.json").rows == {}


def test_the_records_of_some_measurements():
    records = recorded(FIGURE)
    records.add("gcs", SPEED)
    assert list(records.only(["gcs", "quick"]).rows) == ["gcs"]

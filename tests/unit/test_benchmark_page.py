"""The page of benchmarks, which is made of records and a template."""

from dataclasses import replace

import pytest

from benchmarks import Figure, Goal
from benchmarks.page import page_of_run, whole_page
from benchmarks.places import PLACES, Places
from benchmarks.reasons import reason
from benchmarks.records import Record, Records

PUT = Figure("put", "ms", 2.0, {"obstore": 1.0, "aioboto3": 8.0}, (Goal(1.0, "obstore"), Goal(4.0, "aioboto3")))
PEAK = Figure("peak memory", "MB", 3.0, goals=(Goal(16.0),), note="ranges: 1")


def recorded(name, *figures):
    records = Records()
    for day, figure in enumerate(figures, 1):
        record = Record(f"2026-12-0{day}", "2 cores", {"Python": "3.12.1"}, figure.ours, figure.peers, figure.note)
        records.add(name, figure, record)
    return records


def places(folder, template):
    (folder / "page.md").write_text(template)
    return Places(folder / "records.json", folder, folder / "page.md", folder / "made.md")


def test_the_page_is_made_of_the_records():
    made = whole_page(Records.load(PLACES.records))
    is_same = made == PLACES.page.read_text(encoding="utf-8")
    assert is_same, f"{PLACES.page} and {PLACES.records} differ: run python -m benchmarks --write-page"


def test_each_missed_goal_has_a_reason():
    rows = [(name, row.figure) for name, each in Records.load(PLACES.records).rows.items() for row in each.values()]
    unexplained = [figure.what for name, figure in rows if figure.missed and not reason(name, figure.what)]
    assert unexplained == [], "write into benchmarks/reasons.py why these goals are missed"


def test_a_table_has_peers_history_goals_and_reasons():
    records = recorded("s3", replace(PUT, ours=4.0), PUT)
    why = reason("s3", "put: CPU")
    assert page_of_run(recorded("s3", replace(PUT, what="put: CPU", ours=4.0), replace(PUT, what="put: CPU"))) == (
        "# Benchmarks\n"
        "\n"
        "## s3\n"
        "\n"
        "| row | ours | best peer | other peers | ratio | earlier | goal | measured |\n"
        "| --- | --- | --- | --- | --: | --- | --- | --- |\n"
        "| put: CPU | 2 ms | obstore 1 | aioboto3 8 | 0.5 | 0.25 "
        "| ≥ 1 × obstore: **missed** (1); ≥ 4 × aioboto3: reached | 2026-12-02 |\n"
        "\n"
        f"1. {why}\n"
    )
    assert "≥ 1 × obstore: **missed**; ≥ 4" in page_of_run(records)  # nobody has written down why


def test_empty_columns_are_left_out():
    page = page_of_run(recorded("memory", PEAK))
    assert "| row | ours | goal | measured |\n| --- | --- | --- | --- |\n" in page
    assert "| peak memory | 3 MB (ranges: 1) | ≤ 16 MB: reached | 2026-12-01 |" in page


def test_what_was_left_out_says_why():
    page = page_of_run(recorded("s3", Figure("a peer", note="left out, as pip could not install it")))
    assert "| a peer | left out, as pip could not install it | 2026-12-01 |" in page


def test_reports_follow_the_tables():
    assert page_of_run(recorded("s3", PUT), [["| scenario |", "| --- |"]]).endswith("\n\n| scenario |\n| --- |\n")


def test_slots_take_rows_reports_and_machines(tmp_path):
    (tmp_path / "reliability.md").write_text("| scenario |\n")
    slots = ("rows s3: ^put", "rows s3: memory", "report reliability", "machines", "rows gcs")
    template = places(tmp_path, "\n\n".join(f"{{{{ {slot} }}}}" for slot in slots))
    put, memory, report, machines, nothing = whole_page(recorded("s3", PUT, PEAK), template).split("\n\n")
    assert [table.splitlines()[2].split(" | ")[0] for table in (put, memory)] == ["| put", "| peak memory"]
    assert report == "| scenario |"
    assert machines.splitlines()[2:] == [f"| 2026-12-0{day} | 2 cores | Python 3.12.1 |" for day in (2, 1)]
    assert nothing == "No figure of `gcs` is recorded yet."


@pytest.mark.parametrize("template", ["{{ rows s3: ^put }}\n", "{{ rows s3 }}\n{{ rows s3: memory }}\n"])
def test_each_row_has_one_slot(tmp_path, template):
    with pytest.raises(ValueError, match=r"one slot for each row.*\('s3', 'peak memory'\)"):
        whole_page(recorded("s3", PUT, PEAK), places(tmp_path, template))

"""Temporary folders of variants: a process that is killed leaves one, and a later process removes it."""

import os
import subprocess
import sys
import tempfile
import time

import pytest

from async_storages.variants.temporary import temporary_folder

A_DAY = 24 * 3600
MAKES_ONE = """
import asyncio, sys
from async_storages.imaging.pool import ImagePool
from async_storages.variants.making import new_variants

async def main():
    async with new_variants({}, ImagePool(), "a.png") as variants:
        variants._original.write_bytes(b"image")
        print(variants._original.parent, flush=True)
        sys.stdin.read()

asyncio.run(main())
"""


@pytest.fixture
def process(tmp_path):
    """Start a process that makes a folder, and keeps it until its input ends."""
    started = []

    def start():
        env = os.environ | {"TMPDIR": str(tmp_path)}
        pipe = subprocess.PIPE
        started.append(subprocess.Popen([sys.executable, "-c", MAKES_ONE], stdin=pipe, stdout=pipe, text=True, env=env))
        return started[-1], started[-1].stdout.readline().strip()

    yield start
    for each in started:
        each.kill()
        each.communicate()


def end(process):
    process.communicate()
    assert process.returncode == 0


def grow_old(folder):
    os.utime(folder, (time.time() - A_DAY - 60,) * 2)


def test_the_folder_of_a_killed_process_is_removed_a_day_later(process, tmp_path):
    killed, left = process()
    killed.kill()
    killed.wait()
    later, _ = process()
    end(later)
    assert [str(each) for each in tmp_path.iterdir()] == [left]  # it is young

    grow_old(left)
    last, own = process()
    assert [str(each) for each in tmp_path.iterdir()] == [own]
    end(last)
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_a_process_that_runs_stays(process, tmp_path):
    running, folder = process()
    grow_old(folder)
    later, own = process()
    assert {str(each) for each in tmp_path.iterdir()} == {folder, own}
    end(later)
    end(running)
    assert list(tmp_path.iterdir()) == []


def test_a_number_that_is_our_own_now_was_that_of_an_earlier_process(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left = [tmp_path / f"async-storages-variants-{pid}-x" for pid in (os.getpid(), 10**30)]
    others = [tmp_path / name for name in ("async-storages-variants-x-1", "async-storages-variants-2", "mine")]
    for each in (*left, *others):
        each.mkdir()
        grow_old(each)
    with temporary_folder() as own:
        assert {str(each) for each in tmp_path.iterdir()} == {own, *map(str, others)}

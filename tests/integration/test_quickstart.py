"""`examples/quickstart.py`, which is `make demo`."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.patience import HANGS

QUICKSTART = Path(__file__).parents[2] / "examples" / "quickstart.py"


def quickstart(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", str(QUICKSTART), *arguments],
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        timeout=HANGS,
        check=False,
    )


@pytest.mark.parametrize("database", [(), ("--postgres",)], ids=["sqlite", "postgres"])
def test_photograph_goes_the_whole_way(tmp_path: Path, database: tuple[str, ...]):
    done = quickstart(tmp_path, *database)

    assert (done.returncode, done.stderr) == (0, "")
    assert "<StoredImage 'file:images/" in done.stdout
    assert done.stdout.count("2400 × 1600") == 2
    assert "the same as sunset.jpg by SHA-256" in done.stdout
    assert "200 image/jpeg" in done.stdout
    assert "403 text/plain" in done.stdout


def test_photograph_goes_the_whole_way_on_s3(tmp_path: Path):
    done = quickstart(tmp_path, "--s3")

    assert (done.returncode, done.stderr) == (0, "")
    assert "<StoredImage 's3:test/images/" in done.stdout
    assert "the same as sunset.jpg by SHA-256" in done.stdout
    assert "200 image/jpeg" in done.stdout
    assert "403 application/xml" in done.stdout


def test_takes_any_file_and_runs_twice(tmp_path: Path):
    path = tmp_path / "ünï cödé & more.txt"
    path.write_text("not an image")

    for _ in range(2):
        done = quickstart(tmp_path, path.name)
        assert done.returncode == 0, done.stderr
    assert "None: not an image" in done.stdout
    assert len(list((tmp_path / "demo-files/storage/images").iterdir())) == 2


def test_broken_image_is_reported_in_its_line(tmp_path: Path):
    path = tmp_path / "cut.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR")

    done = quickstart(tmp_path, path.name)

    assert done.returncode == 0, done.stderr
    assert "InvalidArgumentException" in done.stdout


def test_missing_file_is_one_sentence(tmp_path: Path):
    done = quickstart(tmp_path, "missing.jpg")

    assert done.returncode == 1
    assert "missing.jpg" in done.stderr
    assert "Traceback" not in done.stderr


def test_clean_removes_what_it_made(tmp_path: Path):
    quickstart(tmp_path)

    assert quickstart(tmp_path, "--clean").returncode == 0
    assert list(tmp_path.iterdir()) == []

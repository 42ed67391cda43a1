"""``async-storages variants`` on a real application in a folder."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from tests.support.images import encode
from tests.support.patience import HANGS
from tests.unit.cli.test_app import run

APPLICATION = """
import asyncio
import sys
from pathlib import Path

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from async_storages import LocalStorage, MemoryStorage, StoredImage, Variant, Variants
from async_storages.integrations.sqlalchemy import ImageType
from tests.support.chosen_ids import ChosenIdsStorage

storage = LocalStorage("files")
engine = create_async_engine("sqlite+aiosqlite:///app.sqlite")
recipes = Variants(thumb=Variant(10, 10, fit="cover"), card=Variant(width=int(Path("width").read_text())))


class Base(DeclarativeBase):
    pass


class Photo(Base):
    __tablename__ = "photos"
    tenant: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    image: Mapped[StoredImage | None] = mapped_column(ImageType(storage, variants=recipes))
    plain: Mapped[StoredImage | None] = mapped_column(ImageType(storage))
    chosen: Mapped[StoredImage | None] = mapped_column(ImageType(ChosenIdsStorage(), variants=recipes))


async def fill(count):
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
        for number in range(count):
            image = (await storage.save(Path("photo.png"))).file_id
            await connection.execute(insert(Photo.__table__).values(tenant="acme", number=number, image=image))
    await engine.dispose()


if __name__ == "__main__":
    asyncio.run(fill(int(sys.argv[1])))
"""
COLUMN = ("shop:Photo.image", "--database", "sqlite+aiosqlite:///app.sqlite")


@pytest.fixture
def fill(tmp_path, monkeypatch):
    """Make an application with so many rows of images without variants."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop.py").write_text(APPLICATION)
    (tmp_path / "width").write_text("20")

    def fill(count, size=(40, 30)):
        (tmp_path / "photo.png").write_bytes(encode("PNG", size))
        subprocess.run([sys.executable, "shop.py", str(count)], check=True, timeout=HANGS)
        return tmp_path / "files"

    return fill


def variants(files, name="*"):
    return sorted(files.glob(f"variants/*/{name}-*.png"))


def test_regenerate_makes_what_is_missing_and_clean_removes_what_is_not_declared(fill, tmp_path):
    files = fill(3)
    done = run("variants", "regenerate", *COLUMN)
    everything_right = "0 images missing, 0 damaged, 0 failed\n"
    assert (done.returncode, done.stdout) == (0, f"3 rows read, 6 variants made, {everything_right}")
    assert run("variants", "regenerate", *COLUMN).stdout == f"3 rows read, 0 variants made, {everything_right}"
    done = run("variants", "regenerate", *COLUMN, "--all", "--json", "--batch", "2", "--workers", "1")
    assert json.loads(done.stdout) == {
        "rows": 3,
        "made": 6,
        "missing": [],
        "damaged": {},
        "failed": {},
        "after": ["acme", 2],
    }
    (tmp_path / "width").write_text("30")
    run("variants", "regenerate", *COLUMN)
    assert (len(variants(files, "thumb")), len(variants(files, "card"))) == (3, 6)
    summary = "9 variants seen, 3 of earlier recipes, 0 of images that have gone, 0 failed"
    done = run("variants", "clean", *COLUMN, "--older-than", "0", "--dry-run")
    assert (done.returncode, done.stdout.splitlines()[:2]) == (0, [summary, "nothing was removed"])
    assert len(variants(files)) == 9
    assert run("variants", "clean", *COLUMN).stdout.startswith("0 variants seen")  # none is a day old
    done = run("variants", "clean", *COLUMN, "--older-than", "0")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, summary)
    assert (len(variants(files, "thumb")), len(variants(files, "card"))) == (3, 3)
    assert json.loads(run("variants", "clean", *COLUMN, "--json", "--prefix", "").stdout)["outdated"] == 0


def test_missing_and_damaged_images_give_exit_code_1(fill):
    files = fill(3)
    first, second, _ = sorted(files.glob("*_photo.png"))
    first.unlink()
    second.write_bytes(b"no image")
    done = run("variants", "regenerate", *COLUMN)
    assert done.returncode == 1
    summary, missing, damaged = done.stdout.splitlines()
    assert summary == "3 rows read, 2 variants made, 1 image missing, 1 damaged, 0 failed"
    assert missing == f"missing: file:{first.name}"
    assert damaged.startswith(f"damaged: file:{second.name}: ")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_stopped_it_says_how_to_go_on(fill, how):
    files = fill(40, (1500, 1500))
    command = [sys.executable, "-m", "async_storages", "variants", "regenerate", *COLUMN, "--all", "--batch", "2"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")
    deadline = time.monotonic() + HANGS
    while len(variants(files)) < 12 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(how)
    out, err = process.communicate(timeout=HANGS)
    assert (process.returncode, out) == (128 + how, "")
    assert err.startswith("stopped: what is made stays made; run it again with --after acme --after ")
    last = int(err.split()[-4])
    done = run("variants", "regenerate", *COLUMN, "--all", "--after", "acme", "--after", str(last))
    assert done.stdout.startswith(f"{39 - last} rows read, {2 * (39 - last)} variants made")
    assert len(variants(files)) == 80


def test_two_processes_at_once(fill):
    files = fill(12, (400, 300))
    command = [sys.executable, "-m", "async_storages", "variants", "regenerate", *COLUMN, "--workers", "1", "--json"]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") for _ in range(2)]
    told = [json.loads(process.communicate(timeout=HANGS)[0]) for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert sum(each["made"] for each in told) == len(variants(files)) == 24


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("regenerate", "shop:Photo.plain", *COLUMN[1:]), "Photo.plain declares no variants: give its ImageType"),
        (("regenerate", *COLUMN, "--after", "acme"), "'acme' is no primary key of photos.tenant, photos.number"),
        (("regenerate", *COLUMN, "--after", "acme", "--after", "x"), "'acme, x' is no primary key of"),
        (("regenerate", "shop:Photo.nothing", *COLUMN[1:]), "'shop:Photo.nothing' cannot be imported"),
        (("clean", "shop:Photo.plain", *COLUMN[1:]), "Photo.plain declares no variants"),
        (("clean", "shop:Photo.chosen", *COLUMN[1:]), "ChosenIdsStorage cannot list its files"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(fill, arguments, problem):
    fill(0)
    done = run("variants", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert problem in done.stderr
    assert done.stderr.count("\n") == 1

"""The pool: its processes are bounded, limited, replaced and ended; whoever waits for them is told the truth."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from async_storages import (
    FileNotFoundException,
    ImageLimits,
    ImagePool,
    ImageProcessingException,
    InvalidArgumentException,
    InvalidFileTypeException,
    MadeImage,
    StorageClosedException,
    Variant,
)
from tests.support.image_workers import ACTIONS, TellingEngine, has_gone
from tests.support.images import encode, png_with_long_text
from tests.support.patience import HANGS

SMALL = Variant(20, format="png")


@pytest.fixture
def folder(tmp_path):
    """Originals whose names say what is done with them."""
    for name in ACTIONS:
        (tmp_path / f"{name}.png").write_bytes(encode("PNG", (40, 30)))
    return tmp_path


@pytest.fixture
async def pool():
    """A pool of two processes whose engine does what it is told."""
    async with ImagePool(workers=2, engine=TellingEngine(), limits=ImageLimits(timeout=HANGS)) as pool:
        yield pool


async def pid_of_the_next(folder: Path) -> int:
    """The process that begins with the next image."""
    return int(await asyncio.to_thread((folder / "pid").read_text))


async def test_an_image_is_made_in_another_process(tmp_path):
    (tmp_path / "photo.svg").write_bytes(encode("JPEG", (400, 300)))
    async with ImagePool() as pool:
        made = await pool.make(tmp_path / "photo.svg", tmp_path / "thumb", Variant(200, 200, format="webp"))
        assert made == MadeImage(200, 150, "image/webp", (tmp_path / "thumb").stat().st_size)
        assert len(await pool.placeholder(tmp_path / "photo.svg")) in range(20, 40)


async def test_the_loop_goes_on_meanwhile(tmp_path):
    (tmp_path / "photo.jpg").write_bytes(encode("JPEG", (3000, 2000)))
    async with ImagePool(workers=1) as pool:
        making = asyncio.create_task(pool.make(tmp_path / "photo.jpg", tmp_path / "large", Variant(2500)))
        turns = 0
        while not making.done():
            turns += 1
            await asyncio.sleep(0)
        assert (await making).width == 2500
        assert turns > 100


async def test_processes_are_bounded_and_used_again(pool, folder):
    await asyncio.gather(*(pool.make(folder / "work.png", folder / f"{n}", SMALL) for n in range(12)))
    workers = (folder / "workers").read_text().split()
    assert len(workers) == 12
    assert 1 <= len(set(workers)) <= 2


async def test_a_name_may_be_whatever_the_system_lets_it_be(pool, folder):
    strange = folder / os.fsdecode(b"a\n\xff\"'\xc3\xa9")
    strange.mkdir()
    (folder / "work.png").rename(strange / "work.png")
    await pool.make(strange / "work.png", strange / "made", SMALL)
    assert (strange / "made").exists()


async def test_paths_may_be_relative_and_the_folder_may_change(pool, folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    await pool.make(folder / "work.png", folder / "made", SMALL)
    monkeypatch.chdir(folder)
    await pool.make(Path("work.png"), Path("other"), SMALL)
    assert (folder / "other").exists()


async def test_variants_of_one_original_are_made_in_one_process(pool, folder):
    wanted = {folder / "a": SMALL, folder / "b": Variant(10, format="webp"), folder / "c": Variant(30, format="png")}
    made = await pool.make_many(folder / "work.png", wanted)
    assert [(image.width, image.content_type) for image in made] == [
        (20, "image/png"),
        (10, "image/webp"),
        (30, "image/png"),
    ]
    assert [path.stat().st_size for path in wanted] == [image.file_size for image in made]
    assert len(set((folder / "workers").read_text().split())) == 1
    assert await pool.make_many(folder / "work.png", {}) == []


async def test_of_several_variants_all_are_made_or_none(pool, folder):
    wanted = {folder / "a": SMALL, folder / "b": Variant(10_000, 10_000, fit="fill")}
    with pytest.raises(InvalidFileTypeException, match="the variant has 10000 by 10000 pixels"):
        await pool.make_many(folder / "work.png", wanted)
    with pytest.raises(ImageProcessingException, match="status 3"):
        await pool.make_many(folder / "leave.png", {folder / "a": SMALL, folder / "b": SMALL})
    assert not [path for path in wanted if path.exists()]


async def test_several_variants_have_the_time_of_several(folder):
    async with ImagePool(workers=1, engine=TellingEngine(), limits=ImageLimits(timeout=0.6)) as pool:
        with pytest.raises(ImageProcessingException, match=r"longer than the 1\.2 seconds allowed"):
            await pool.make_many(folder / "spin.png", {folder / "a": SMALL, folder / "b": SMALL})
        assert not (folder / "a").exists()


# ---- failures are those of one image

FAILURES = {
    "die": (ImageProcessingException, "killed by signal 11"),
    "leave": (ImageProcessingException, "ended with status 3"),
    "greedy": (ImageProcessingException, "needs more memory than is allowed"),
    "fail": (ImageProcessingException, "the image could not be made: KeyError: 'what nobody expects'"),
    "miss": (ImportError, r'pip install "sqlalchemy-async-storages\[images\]"'),
    "lie": (ImageProcessingException, r"the engine made ImageSize\(width=3, .* was wanted"),
}


@pytest.mark.parametrize("name", FAILURES)
async def test_a_failure_is_that_of_one_image(pool, folder, name):
    error, reason = FAILURES[name]
    others = [pool.make(folder / "work.png", folder / f"{n}", SMALL) for n in range(6)]
    *made, failure = await asyncio.gather(
        *others, pool.make(folder / f"{name}.png", folder / "made", SMALL), return_exceptions=True
    )
    assert type(failure) is error
    with pytest.raises(error, match=reason):
        raise failure
    if name != "lie":  # which harms the process that the others use
        assert {image.width for image in made} == {20}
    assert not (folder / "made").exists()


@pytest.mark.parametrize("name", ["hang", "spin"])
async def test_an_image_that_takes_too_long_is_given_up(folder, name):
    async with ImagePool(workers=1, engine=TellingEngine(), limits=ImageLimits(timeout=1.5)) as pool:
        with pytest.raises(ImageProcessingException, match=r"longer than the 1\.5 seconds allowed"):
            await pool.make(folder / f"{name}.png", folder / "made", SMALL)
        assert not (folder / "made").exists()
        assert (await pool.make(folder / "work.png", folder / "made", SMALL)).width == 20


async def test_a_process_that_is_killed_is_replaced(pool, folder):
    os.mkfifo(folder / "pid")
    making = asyncio.create_task(pool.make(folder / "hang.png", folder / "made", SMALL))
    os.kill(await pid_of_the_next(folder), signal.SIGKILL)
    with pytest.raises(ImageProcessingException, match="killed by signal 9, as the system does when memory is short"):
        await making
    (folder / "pid").unlink()
    assert not (folder / "made").exists()
    assert (await pool.make(folder / "work.png", folder / "made", SMALL)).width == 20


async def test_a_process_that_is_killed_while_it_is_idle_is_replaced(pool, folder):
    await pool.make(folder / "work.png", folder / "made", SMALL)
    pid = int((folder / "workers").read_text())
    os.kill(pid, signal.SIGKILL)
    await asyncio.to_thread(has_gone, pid)
    assert (await pool.make(folder / "work.png", folder / "made", SMALL)).width == 20


async def test_the_memory_is_limited(tmp_path):
    (tmp_path / "large.png").write_bytes(encode("PNG", (6000, 6000), "RGBA", compress_level=1))
    async with ImagePool(workers=1, limits=ImageLimits(memory=256 << 20)) as pool:
        with pytest.raises(ImageProcessingException, match="memory"):
            await pool.make(tmp_path / "large.png", tmp_path / "made", SMALL)
        (tmp_path / "small.png").write_bytes(encode("PNG"))
        await pool.make(tmp_path / "small.png", tmp_path / "made", SMALL)


async def test_what_libraries_print_is_no_answer(pool, folder):
    assert (await pool.make(folder / "talk.png", folder / "made", SMALL)).width == 20


async def test_processes_have_no_secrets(pool, folder, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    await pool.make(folder / "environment.png", folder / "made", SMALL)
    names = (folder / "environment").read_text().split("\n")
    assert "PATH" in names
    assert "AWS_SECRET_ACCESS_KEY" not in names


async def test_originals_that_are_not_there_or_no_images(pool, tmp_path):
    with pytest.raises(FileNotFoundException):
        await pool.make(tmp_path / "nothing.png", tmp_path / "made", SMALL)
    (tmp_path / "page.png").write_bytes(b"<html>")
    for asked in (pool.make(tmp_path / "page.png", tmp_path / "made", SMALL), pool.placeholder(tmp_path / "page.png")):
        with pytest.raises(InvalidFileTypeException, match="text/html is not among the formats allowed"):
            await asked
    (tmp_path / "small.png").write_bytes(encode("PNG"))
    with pytest.raises(InvalidFileTypeException, match="the variant has 10000 by 10000 pixels, more than the 50000000"):
        await pool.make(tmp_path / "small.png", tmp_path / "made", Variant(10_000, 10_000, fit="fill"))


async def test_a_target_that_cannot_be_written(tmp_path):
    (tmp_path / "a.png").write_bytes(png_with_long_text(10))
    async with ImagePool(workers=1) as pool:
        with pytest.raises(ImageProcessingException, match=r"the variant cannot be written as png: .*No such file"):
            await pool.make(tmp_path / "a.png", tmp_path / "nothing" / "made", SMALL)


# ---- cancelling and closing


async def test_a_cancelled_call_ends_its_process_and_frees_its_place(folder, caplog):
    os.mkfifo(folder / "pid")
    async with ImagePool(workers=1, engine=TellingEngine()) as pool:
        making = asyncio.create_task(pool.make(folder / "hang.png", folder / "made", SMALL))
        pid = await pid_of_the_next(folder)
        (folder / "pid").unlink()
        waiting = asyncio.create_task(pool.make(folder / "work.png", folder / "other", SMALL))
        await asyncio.sleep(0)
        making.cancel()
        with pytest.raises(asyncio.CancelledError):
            await making
        assert has_gone(pid)
        assert not (folder / "made").exists()
        assert (await waiting).width == 20
    assert not caplog.records  # nobody else killed it


async def test_a_call_that_is_cancelled_while_it_waits_does_nothing(folder):
    os.mkfifo(folder / "pid")
    async with ImagePool(workers=1, engine=TellingEngine()) as pool:
        making = asyncio.create_task(pool.make(folder / "hang.png", folder / "made", SMALL))
        await pid_of_the_next(folder)
        waiting = asyncio.create_task(pool.make(folder / "work.png", folder / "other", SMALL))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert not making.done()
        making.cancel()
        with pytest.raises(asyncio.CancelledError):
            await making
    assert not (folder / "workers").exists()


async def test_closing_ends_what_is_being_done_and_what_waits(folder):
    os.mkfifo(folder / "pid")
    pool = ImagePool(workers=1, engine=TellingEngine())
    calls = [asyncio.create_task(pool.make(folder / "hang.png", folder / f"{n}", SMALL)) for n in range(3)]
    pid = await pid_of_the_next(folder)
    await pool.aclose()
    for result in await asyncio.gather(*calls, return_exceptions=True):
        assert isinstance(result, StorageClosedException)
        assert "closed before the image was made" in str(result)
    assert has_gone(pid)
    assert not (folder / "0").exists()


async def test_a_closed_pool_begins_again(pool, folder):
    await pool.make(folder / "work.png", folder / "made", SMALL)
    await pool.aclose()
    await pool.aclose()
    await pool.make(folder / "work.png", folder / "made", SMALL)
    assert len(set((folder / "workers").read_text().split())) == 2


PROGRAM = """
import asyncio, os, sys
from pathlib import Path
from async_storages import ImagePool, Variant
from tests.support.image_workers import TellingEngine

folder = Path(sys.argv[1])
pool = ImagePool(workers=1, engine=TellingEngine())

async def make(name="work"):
    await pool.make(folder / f"{name}.png", folder / "made", Variant(20, format="png"))

def workers():
    return (folder / "workers").read_text().split()

"""


def run(program: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-W", "error", "-X", "dev", "-c", PROGRAM + program, str(folder)]
    environment = {**os.environ, "PYTHONPATH": ":".join(sys.path)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=HANGS)


PROGRAMS = {
    "never closed": "asyncio.run(make())",
    "two loops": "asyncio.run(make())\nasyncio.run(make())",
    "two loops at once": """
async def both():
    await make()
    await asyncio.to_thread(asyncio.run, make())
    await make()
asyncio.run(both())
""",
    "never used": "",
    "a child after fork": """
loop = asyncio.new_event_loop()
loop.run_until_complete(make())
if (child := os.fork()) == 0:
    asyncio.run(make())
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
loop.run_until_complete(make())
loop.run_until_complete(loop.shutdown_asyncgens())
loop.run_until_complete(loop.shutdown_default_executor())
loop.close()
assert len(set(workers())) == 2, workers()
""",
    "the library is not loaded here": "asyncio.run(make())\nassert 'PIL.ImageCms' not in sys.modules",
}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_processes_end_with_their_loop_and_nobody_complains(folder, program):
    program = program.replace("os.fork()", "fork()")
    fork = (
        "import warnings\ndef fork():\n    with warnings.catch_warnings(action='ignore'):\n        return os.fork()\n"
    )
    done = run(fork + "import logging\nlogging.disable()\n" + program, folder)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)
    if (folder / "workers").exists():
        assert all(has_gone(int(pid)) for pid in (folder / "workers").read_text().split())


@pytest.mark.parametrize("name", ["hang", "spin"])
def test_processes_end_with_their_parent_however_that_ends(folder, name):
    os.mkfifo(folder / "pid")
    command = [sys.executable, "-c", f"{PROGRAM}asyncio.run(make('{name}'))", str(folder)]
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": ":".join(sys.path)}) as parent:
        pid = int((folder / "pid").read_text())
        parent.kill()
    assert has_gone(pid)


def test_what_cannot_be_is_refused():
    with pytest.raises(InvalidArgumentException, match="workers is at least 1, not 0"):
        ImagePool(workers=0)
    with pytest.raises(InvalidArgumentException, match="an engine is an instance of a dataclass, not 'vips'"):
        ImagePool(engine="vips")

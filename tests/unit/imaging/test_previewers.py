"""Previewers, with the real programs: images of videos and of pages, within the limits of a pool."""

import asyncio
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from async_storages import (
    FFmpegPreviewer,
    ImageLimits,
    ImagePool,
    ImageProcessingException,
    InvalidArgumentException,
    InvalidFileTypeException,
    PdfPreviewer,
    StorageClosedException,
    Variant,
)
from tests.support.image_workers import has_gone
from tests.support.patience import HANGS

LIMITS = ImageLimits(timeout=HANGS)


@pytest.fixture
async def pool():
    async with ImagePool(workers=1, limits=LIMITS) as pool:
        yield pool


# ---- videos


@pytest.fixture(scope="session")
def ffmpeg():
    """Debian's program."""
    program = shutil.which("ffmpeg")
    if program is None:
        pytest.skip("ffmpeg is missing: apt-get install ffmpeg")
    return program


@pytest.fixture(scope="session")
def film(ffmpeg, tmp_path_factory):
    """Makes a video: a second of red, then blue."""
    folder = tmp_path_factory.mktemp("films")

    def film(name: str, seconds: float = 2, size: str = "320x180", *options: str) -> Path:
        path = folder / name
        if not path.exists():
            sources = [
                *("-f", "lavfi", "-i", f"color=red:size={size}:duration={min(seconds, 1)}:rate=25"),
                *("-f", "lavfi", "-i", f"color=blue:size={size}:duration={max(seconds - 1, 0.1)}:rate=25"),
            ]
            joined = ["-filter_complex", "[0][1]concat=n=2,format=yuv420p", *options]
            subprocess.run([ffmpeg, "-v", "error", *sources, *joined, str(path)], check=True, timeout=HANGS)
        return path

    return film


def colour_of(path: Path) -> str:
    with Image.open(path) as image:
        assert image.format == "PNG"
        red, _, blue = image.convert("RGB").getpixel((image.width // 2, image.height // 2))
    return "red" if red > blue else "blue"


@pytest.mark.parametrize("name", ["film.mp4", "film.mov", "film.webm", "film.mkv", "film.avi", "film.mpg"])
async def test_a_poster_is_a_frame_of_the_video(pool, film, tmp_path, name):
    made = tmp_path / "poster.png"
    await pool.preview(film(name), made, FFmpegPreviewer(at=0.3))
    assert colour_of(made) == "red"
    await pool.preview(film(name), made, FFmpegPreviewer(at=1.5, width=100))
    assert colour_of(made) == "blue"
    with Image.open(made) as image:
        assert image.size == (100, 56)
    assert (await pool.make(made, tmp_path / "thumb", Variant(50, format="webp"))).width == 50


async def test_a_short_video_has_its_first_frame(pool, film, tmp_path):
    await pool.preview(film("film.mp4"), tmp_path / "poster.png", FFmpegPreviewer(at=99))
    assert colour_of(tmp_path / "poster.png") == "red"


@pytest.fixture
def turned_film(film, ffmpeg, tmp_path):
    """A video that was filmed upright: it is stored lying on its side."""
    path = tmp_path / "turned.mp4"
    turn = ["-display_rotation", "90", "-i", str(film("film.mp4")), "-c", "copy", str(path)]
    if subprocess.run([ffmpeg, "-v", "quiet", *turn], check=False, timeout=HANGS).returncode:  # as before ffmpeg 6
        turn = ["-i", str(film("film.mp4")), "-c", "copy", "-metadata:s:v", "rotate=90", str(path)]
        subprocess.run([ffmpeg, "-v", "error", *turn], check=True, timeout=HANGS)
    return path


async def test_a_video_that_was_filmed_upright_is_shown_upright(pool, turned_film, tmp_path):
    await pool.preview(turned_film, tmp_path / "poster.png", FFmpegPreviewer(width=90))
    with Image.open(tmp_path / "poster.png") as image:
        assert image.size == (90, 160)


NO_VIDEOS = {
    "nothing": b"",
    "a page": b"<html>",
    "a playlist that names a file": b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
    "a list for joining": b"ffconcat version 1.0\nfile /etc/passwd\n",
    "an image": b"\x89PNG\r\n\x1a\n" + bytes(100),
    "a beginning without an end": b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(100),
}


@pytest.mark.parametrize("name", NO_VIDEOS)
async def test_what_is_no_video_has_no_poster(pool, ffmpeg, tmp_path, name):
    (tmp_path / "film.mp4").write_bytes(NO_VIDEOS[name])
    with pytest.raises(InvalidFileTypeException):
        await pool.preview(tmp_path / "film.mp4", tmp_path / "poster.png", FFmpegPreviewer())
    assert not (tmp_path / "poster.png").exists()


async def test_a_truncated_video_has_a_poster_or_none(pool, film, tmp_path):
    whole = film("film.mkv").read_bytes()
    for length in (100, len(whole) // 2, len(whole) - 10):
        (tmp_path / "film.mkv").write_bytes(whole[:length])
        try:
            await pool.preview(tmp_path / "film.mkv", tmp_path / "poster.png", FFmpegPreviewer(at=0))
        except InvalidFileTypeException:
            assert not (tmp_path / "poster.png").exists()
        else:
            assert colour_of(tmp_path / "poster.png") == "red"


async def test_the_pixels_of_a_video_are_limited(film, tmp_path):
    async with ImagePool(workers=1, limits=ImageLimits(max_pixels=10_000, timeout=HANGS)) as pool:
        with pytest.raises(InvalidFileTypeException):
            await pool.preview(film("film.mp4"), tmp_path / "poster.png", FFmpegPreviewer())


async def test_a_name_is_no_option_and_no_address(pool, film, tmp_path):
    for name in ("-y.mp4", "http:x.mp4", "%d.mp4", "concat:a|b.mp4"):
        shutil.copy(film("film.mp4"), tmp_path / name)
        await pool.preview(tmp_path / name, tmp_path / f"{name}.png", FFmpegPreviewer())
        assert colour_of(tmp_path / f"{name}.png") == "blue"


async def test_without_the_program_the_error_names_it(pool, film, tmp_path):
    with pytest.raises(ImageProcessingException, match="the program 'ffmpeg-9', which is not on PATH"):
        await pool.preview(film("film.mp4"), tmp_path / "poster.png", FFmpegPreviewer(program="ffmpeg-9"))


@pytest.fixture
def standing_still(tmp_path):
    """A program that tells its process id, and never ends."""
    program = tmp_path / "standing-still"
    os.mkfifo(tmp_path / "pid")
    program.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 1000000\n")
    program.chmod(0o755)
    return str(program)


async def test_a_program_that_stands_still_is_ended(film, standing_still, tmp_path):
    async with ImagePool(workers=1, limits=ImageLimits(timeout=1.5)) as pool:
        asked = asyncio.create_task(
            pool.preview(film("film.mp4"), tmp_path / "poster.png", FFmpegPreviewer(program=standing_still))
        )
        pid = int(await asyncio.to_thread((tmp_path / "pid").read_text))
        with pytest.raises(ImageProcessingException, match=r"longer than the 1\.5 seconds allowed"):
            await asked
        assert has_gone(pid)


@pytest.mark.parametrize("how", ["cancelled", "closed", "killed"])
async def test_a_program_ends_with_whoever_wanted_it(film, standing_still, tmp_path, how):
    pool = ImagePool(workers=1, limits=LIMITS)
    asked = asyncio.create_task(
        pool.preview(film("film.mp4"), tmp_path / "poster.png", FFmpegPreviewer(program=standing_still))
    )
    pid = int(await asyncio.to_thread((tmp_path / "pid").read_text))
    if how == "cancelled":
        asked.cancel()
    elif how == "closed":
        await pool.aclose()
    else:
        os.kill(os.getpgid(pid), signal.SIGKILL)
    with pytest.raises((asyncio.CancelledError, StorageClosedException, ImageProcessingException)):
        await asked
    assert has_gone(pid)
    await pool.aclose()


# ---- documents


def document(path: Path, *sizes: tuple[float, float]) -> Path:
    pypdfium2 = pytest.importorskip("pypdfium2")
    made = pypdfium2.PdfDocument.new()
    for size in sizes:
        made.new_page(*size)
    made.save(path)
    made.close()
    return path


async def test_an_image_of_a_page(pool, tmp_path):
    report = document(tmp_path / "report.pdf", (300, 400), (400, 300))
    await pool.preview(report, tmp_path / "page.png", PdfPreviewer(width=600))
    with Image.open(tmp_path / "page.png") as image:
        assert (image.format, image.size) == ("PNG", (600, 800))
        assert image.convert("RGB").getpixel((300, 400)) == (255, 255, 255)
    await pool.preview(report, tmp_path / "page.png", PdfPreviewer(page=1, width=600))
    with Image.open(tmp_path / "page.png") as image:
        assert image.size == (600, 450)


async def test_a_long_page_is_no_bomb(pool, tmp_path):
    report = document(tmp_path / "report.pdf", (10, 14_000))
    await pool.preview(report, tmp_path / "page.png", PdfPreviewer(width=100))
    with Image.open(tmp_path / "page.png") as image:
        assert image.height <= 201


@pytest.mark.parametrize("content", [b"", b"%PDF-1.7\n", b"%PDF-1.7\n" + bytes(1000), b"<html>"])
async def test_what_is_no_document_has_no_page(pool, tmp_path, content):
    pytest.importorskip("pypdfium2")
    (tmp_path / "report.pdf").write_bytes(content)
    with pytest.raises(InvalidFileTypeException, match="the document cannot be read"):
        await pool.preview(tmp_path / "report.pdf", tmp_path / "page.png", PdfPreviewer())
    assert not (tmp_path / "page.png").exists()


async def test_a_page_that_is_not_there(pool, tmp_path):
    report = document(tmp_path / "report.pdf", (300, 400))
    with pytest.raises(InvalidFileTypeException, match="the document has 1 pages, none 1 from 0"):
        await pool.preview(report, tmp_path / "page.png", PdfPreviewer(page=1))


async def test_the_pixels_of_a_page_are_limited(pool, tmp_path):
    report = document(tmp_path / "report.pdf", (300, 400))
    with pytest.raises(InvalidFileTypeException, match="the page has 9000 by 12000 pixels"):
        await pool.preview(report, tmp_path / "page.png", PdfPreviewer(width=9000))


@pytest.mark.parametrize(
    "make", [lambda: FFmpegPreviewer(at=-1), lambda: FFmpegPreviewer(width=0), lambda: PdfPreviewer(page=-1)]
)
def test_what_cannot_be_is_refused(make):
    with pytest.raises(InvalidArgumentException, match="from"):
        make()

import io
import struct
import subprocess
import sys
import time
from contextlib import suppress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from async_storages.errors import InvalidArgumentException
from async_storages.images.probe import FIRST_RANGE, ImageProbe, ImageSize, Range, StreamProbe, probe_image
from tests.support.heartbeat import most
from tests.support.images import (
    HAS_AVIF,
    LARGE,
    NO_IMAGES,
    ORIENTATION,
    PILLOW_READS,
    PILLOW_READS_NOT,
    SIZE,
    app1,
    big_tiff,
    box,
    chunk,
    clap,
    directory,
    displayed_size,
    encode,
    exif,
    full_box,
    gif_frame,
    gif_screen,
    heif,
    ihdr,
    imir,
    irot,
    ispe,
    jpeg_with,
    pillow_exif,
    png,
    segment,
    tiff,
    vp8x,
    webp,
    webp_chunk,
)

SMALL = PILLOW_READS | {name: make for name, (make, _size, _orientation) in PILLOW_READS_NOT.items()}
HALF = 0.5
"""Of the longest step of a loop, in all: 5 ms where that is 10."""

MAX_RANGES = 64
MAX_BYTES = 4 << 20


class File:
    """Bytes read by ranges, which are noted; it repeats itself for ever if `endless`."""

    def __init__(self, data, endless=b""):
        self.data = data
        self.endless = endless
        self.ranges = []
        self.fetched = 0

    def read(self, offset, length):
        self.ranges.append((offset, length))
        found = self.data[offset : offset + length]
        if self.endless and len(found) < length:
            at = max(offset - len(self.data), 0) % len(self.endless)
            found += (self.endless * (length // len(self.endless) + 2))[at : at + length - len(found)]
        self.fetched += len(found)
        return found

    async def fetch(self, offset, length):
        return self.read(offset, length)


def run(file):
    """The protocol by hand; every file, however broken, is held to the promises about its ranges."""
    probe = ImageProbe()
    end = 0
    while (wanted := probe.wanted) is not None:
        assert not probe.finished
        assert wanted.offset >= end, "ranges go forwards only"
        assert 64 <= wanted.length <= FIRST_RANGE
        end = wanted.offset + wanted.length
        try:
            probe.feed(wanted.offset, file.read(wanted.offset, wanted.length))
        finally:
            assert len(file.ranges) <= MAX_RANGES
            assert file.fetched <= MAX_BYTES
    assert probe.finished
    return probe.result


def run_or_none(data):
    try:
        return run(File(data))
    except InvalidArgumentException:
        return None


def stream(data, chunk_size):
    probe = StreamProbe()
    for start in range(0, len(data), chunk_size):
        probe.feed(data[start : start + chunk_size])
    probe.finish()
    return probe.result


# What it finds


@pytest.mark.parametrize("name", PILLOW_READS)
async def test_displayed_size_is_what_pillow_shows(name):
    data = PILLOW_READS[name]()
    file = File(data)
    found = await probe_image(file.fetch)
    assert found.dimensions == displayed_size(data)
    assert file.ranges == [(0, FIRST_RANGE)]


@pytest.mark.parametrize("name", PILLOW_READS_NOT)
async def test_size_and_orientation_where_pillow_gives_up(name):
    make, size, orientation = PILLOW_READS_NOT[name]
    found = await probe_image(File(make()).fetch)
    assert (found.dimensions, found.orientation) == (size, orientation)


@pytest.mark.parametrize("name", LARGE)
async def test_large_files_take_few_bytes(name):
    data = LARGE[name]()
    file = File(data)
    found = await probe_image(file.fetch)
    assert found.dimensions == displayed_size(data)
    assert file.fetched <= 128 << 10, file.ranges
    assert file.ranges[0] == (0, FIRST_RANGE)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", *(["AVIF"] if HAS_AVIF else []), "TIFF"])
async def test_orientation(image_format, orientation):
    data = encode(image_format, exif=pillow_exif(orientation))
    found = await probe_image(File(data).fetch)
    assert found.orientation == orientation
    assert found.raw_dimensions == SIZE
    assert found.dimensions == (found.width, found.height) == displayed_size(data)


@pytest.mark.parametrize("name", NO_IMAGES)
async def test_no_image_is_none(name):
    file = File(NO_IMAGES[name])
    assert await probe_image(file.fetch) is None
    assert file.ranges == [(0, FIRST_RANGE)]


async def test_thumbnail_in_exif_is_not_taken_for_the_image():
    found = await probe_image(File(PILLOW_READS["camera-jpeg-6"]()).fetch)
    assert found == ImageSize(*SIZE[::-1], orientation=6)


async def test_long_segments_are_jumped_over():
    file = File(LARGE["jpeg-2-MB-of-segments"]())
    await probe_image(file.fetch)
    segments = len(app1(exif(8)))
    headers = [2 + segments + 65537 * number for number in range(1, 33)]
    assert file.ranges[1:] == [(at, 1024) for at in headers if at < len(file.data)]


async def test_directory_at_the_end_takes_two_ranges():
    file = File(LARGE["tiff-directory-behind-3-MB"]())
    await probe_image(file.fetch)
    assert file.ranges == [(0, FIRST_RANGE), (8 + (3 << 20), 1024)]


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("axis", [None, 0, 1], ids=["unmirrored", "top-bottom", "left-right"])
def test_turns_and_mirrors_of_heif(turns, axis):
    """Against the definition: EXIF orientations as what they do to the corners of a picture."""
    picture = ("ab", "cd")
    shown = picture
    for _ in range(turns):
        shown = (shown[0][1] + shown[1][1], shown[0][0] + shown[1][0])
    if axis is not None:
        shown = shown[::-1] if axis == 0 else tuple(row[::-1] for row in shown)
    properties = [ispe(*SIZE), irot(turns), *([] if axis is None else [imir(axis)])]
    found = run(File(heif(properties, {1: range(1, len(properties) + 1)})))
    exif_shows = {
        1: ("ab", "cd"),
        2: ("ba", "dc"),
        3: ("dc", "ba"),
        4: ("cd", "ab"),
        5: ("ac", "bd"),
        6: ("ca", "db"),
        7: ("db", "ca"),
        8: ("bd", "ac"),
    }
    assert exif_shows[found.orientation] == shown
    assert found.raw_dimensions == SIZE


@pytest.mark.parametrize("brand", [b"avci", b"avcs", b"j2ki", b"j2is"])
def test_heif_of_another_codec(brand):
    assert run(File(heif([ispe(*SIZE)], {1: [1]}, brands=[brand]))).dimensions == SIZE


def test_heif_of_many_tiles():
    """A panorama of 4,096 tiles, whose whole comes last."""
    tiles = {number: [1] for number in range(1, 4097)}
    data = heif([ispe(64, 64), ispe(*SIZE)], {**tiles, 5000: [2]}, primary=5000, wide=True)
    assert run(File(data)).dimensions == SIZE


@pytest.mark.parametrize(
    ("screen", "frame", "shown"),
    [
        pytest.param((496, 316), (0, 0, 554, 554), (554, 554), id="larger"),
        pytest.param((496, 316), (100, 0, 440, 100), (540, 316), id="beside"),
        pytest.param((496, 316), (3, 4, 50, 60), (496, 316), id="inside"),
        pytest.param((0, 0), (0, 0, 50, 60), (50, 60), id="no-screen"),
    ],
)
@pytest.mark.parametrize("colours", [None, 0, 7])
def test_gif_is_as_large_as_its_screen_and_first_frame_together(screen, frame, shown, colours):
    comment = b"!\xfe\x05hello\x02!!\0"
    data = gif_screen(*screen, colours=colours) + comment + gif_frame(*frame) + gif_frame(0, 0, 9999, 9999)
    assert run(File(data)).dimensions == shown
    with Image.open(io.BytesIO(data)) as opened:
        assert opened.size == shown


def test_gif_without_a_frame_is_as_large_as_its_screen():
    assert run(File(gif_screen(*SIZE) + b";")).dimensions == SIZE


@pytest.mark.parametrize(
    ("aperture", "shown"),
    [
        pytest.param(clap(40, 20), (40, 20), id="whole"),
        pytest.param(clap(40, 20, divisor=7), (40, 20), id="fraction"),
        pytest.param(clap(900, 20), (64, 20), id="not-beyond-the-image"),
    ],
)
def test_clean_aperture_cuts_stored_blocks(aperture, shown):
    assert run(File(heif([ispe(64, 64), aperture], {1: [1, 2]}))).dimensions == shown


def test_meta_box_behind_the_pixels():
    pixels = box(b"mdat", bytes(3 << 20))
    file = File(heif([ispe(*SIZE)], {1: [1]}, before_meta=pixels))
    assert run(file).dimensions == SIZE
    assert len(file.ranges) == 2


def test_boxes_with_64_bit_lengths():
    pixels = struct.pack(">I4sQ", 1, b"mdat", 16 + 100) + bytes(100)
    assert run(File(heif([ispe(*SIZE)], {1: [1]}, before_meta=pixels))).dimensions == SIZE


def test_properties_of_items_that_do_not_exist_are_ignored():
    assert run(File(heif([ispe(*SIZE), ispe(9, 9)], {1: [1, 0, 99]}))).dimensions == SIZE


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(webp(encode("WEBP", lossless=True)[12:], webp_chunk(b"XXXX", bytes(2582))), id="webp"),
        pytest.param(b"BM" + b"\n" * 12 + encode("BMP")[14:], id="bmp"),
        pytest.param(heif([ispe(*SIZE)], {1: [1]}, brands=[b"heic"] * 639), id="heic"),
    ],
)
def test_line_ends_among_the_first_bytes(data):
    assert b"\n" in data[:8]
    assert run(File(data)).dimensions == SIZE


async def test_long_animation_is_not_walked_for_its_exif():
    frames = [webp_chunk(b"ANMF", bytes(90_000))] * 50
    file = File(webp(vp8x(*SIZE, flags=0x0A), *frames, webp_chunk(b"EXIF", exif(6))))
    assert await probe_image(file.fetch) == ImageSize(*SIZE)
    assert len(file.ranges) <= 33


# What it refuses

BROKEN = {
    "png-without-ihdr": png(chunk(b"IDAT", b"")),
    "png-short-ihdr": png(chunk(b"IHDR", bytes(5)), bytes(40)),
    "png-cut-inside-ihdr": png(ihdr(*SIZE))[:20],
    "png-without-pixels": png(ihdr(*SIZE), chunk(b"IEND", b"")),
    "png-no-width": png(ihdr(0, 5), chunk(b"IDAT", b"")),
    "png-no-height": png(ihdr(5, 0), chunk(b"IDAT", b"")),
    "png-chunk-beyond-the-file": png(ihdr(*SIZE), b"\xff\xff\xff\xfftEXt"),
    "jpeg-start-only": b"\xff\xd8\xff",
    "jpeg-ends-before-sof": encode("JPEG")[:100],
    "jpeg-scan-before-sof": b"\xff\xd8" + segment(0xDA, bytes(10)) + encode("JPEG")[2:],
    "jpeg-end-before-sof": b"\xff\xd8\xff\xd9\0\2" + encode("JPEG")[2:],
    "jpeg-segment-of-length-0": jpeg_with(b"\xff\xe0\0\0"),
    "jpeg-segment-of-length-1": jpeg_with(b"\xff\xe0\0\1"),
    "jpeg-segment-beyond-the-file": b"\xff\xd8\xff\xe0\xff\xff" + bytes(100),
    "jpeg-no-height": b"\xff\xd8" + segment(0xC0, struct.pack(">BHHB", 8, 0, 5, 3)),
    "jpeg-zeros-only": b"\xff\xd8\xff\xe0\0\2" + bytes(200_000),
    "gif-cut": b"GIF89a\x25\0\x15",
    "gif-no-width": b"GIF89a\0\0\x15\0" + bytes(20),
    "webp-wrong-chunk": webp(webp_chunk(b"ALPH", bytes(30))),
    "webp-short-vp8x": webp(webp_chunk(b"VP8X", bytes(9)), bytes(30)),
    "webp-vp8-no-start-code": webp(webp_chunk(b"VP8 ", bytes(30))),
    "webp-vp8-not-a-key-frame": webp(webp_chunk(b"VP8 ", b"\x01\0\0\x9d\x01\x2a" + b"\5" * 30)),
    "webp-vp8-no-width": webp(webp_chunk(b"VP8 ", b"\0\0\0\x9d\x01\x2a" + bytes(30))),
    "webp-vp8l-no-signature": webp(webp_chunk(b"VP8L", bytes(30))),
    "webp-cut-before-its-exif": encode("WEBP", exif=exif(6))[:60],
    "bmp-cut": encode("BMP")[:20],
    "bmp-no-width": encode("BMP")[:18] + bytes(40),
    "bmp-negative-width": encode("BMP")[:18] + struct.pack("<ii", -5, 5) + bytes(40),
    "tiff-directory-beyond-the-file": b"II*\0\xff\xff\xff\xff" + bytes(100),
    "tiff-directory-in-the-header": b"II*\0\4\0\0\0"
    + bytes(10)
    + directory("<", [(256, 3, 5), (257, 3, 5), (258, 3, 8)])[2:],
    "tiff-directory-at-0": b"MM\0*\0\0\0\0" + bytes(100),
    "tiff-directory-cut": tiff()[:-100],
    "tiff-without-sides": b"II*\0\x08\0\0\0" + directory("<", [(258, 3, 8)]),
    "tiff-width-is-a-fraction": b"II*\0\x08\0\0\0\2\0" + struct.pack("<HHIIHHII", 256, 5, 1, 5, 257, 3, 1, 5),
    "tiff-width-is-a-list": b"II*\0\x08\0\0\0\2\0" + struct.pack("<HHIIHHII", 256, 3, 9, 5, 257, 3, 1, 5),
    "tiff-many-entries": b"II*\0\x08\0\0\0\xff\xff" + bytes(100),
    "bigtiff-directory-beyond-all-files": b"II+\0\x08\0\0\0" + b"\xff" * 8 + bytes(100),
    "bigtiff-many-entries": b"MM\0+\0\x08\0\0" + struct.pack(">QQ", 16, 2**64 - 1) + bytes(100),
    "bigtiff-cut": big_tiff()[:12],
    "heic-without-meta": box(b"ftyp", b"heic", bytes(4)) + box(b"mdat", bytes(30)),
    "heic-box-of-length-4": box(b"ftyp", b"heic", bytes(4)) + struct.pack(">I4s", 4, b"meta") + bytes(50),
    "heic-box-of-64-bit-length-0": box(b"ftyp", b"heic", bytes(4)) + struct.pack(">I4sQ", 1, b"free", 0) + bytes(50),
    "heic-box-of-64-bit-length-too-long": box(b"ftyp", b"heic", bytes(4)) + struct.pack(">I4sQ", 1, b"free", 2**64 - 1),
    "heic-child-longer-than-its-parent": heif([ispe(*SIZE), struct.pack(">I4s", 500, b"free")], {1: [1]}),
    "heic-box-in-the-header-of-another": box(b"ftyp", b"heic", bytes(4))
    + struct.pack(">II4s", 4, 8, b"free")
    + heif([ispe(*SIZE)], {1: [1]})[24:],
    "heic-empty-meta": box(b"ftyp", b"heic", bytes(4)) + box(b"meta") + bytes(50),
    "heic-no-size": heif([irot(1)], {1: [1]}),
    "heic-size-of-another-item-only": heif([ispe(*SIZE)], {1: [1]}, primary=2),
    "heic-no-width": heif([ispe(0, 5)], {1: [1]}),
    "heic-short-ispe": heif([full_box(b"ispe", bytes(4))], {1: [1]}),
    "heic-short-irot": heif([ispe(*SIZE), box(b"irot")], {1: [1, 2]}),
    "heic-aperture-of-n/0": heif([ispe(*SIZE), box(b"clap", struct.pack(">8I", 9, 0, 9, 1, *bytes(4)))], {1: [1, 2]}),
    "heic-aperture-of-1/n": heif([ispe(*SIZE), box(b"clap", struct.pack(">8I", 9, 1, 9, 0, *bytes(4)))], {1: [1, 2]}),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_header_is_refused(name):
    with pytest.raises(InvalidArgumentException, match=r"^probe: ") as caught:
        run(File(BROKEN[name]))
    assert caught.value.operation == "probe"
    assert caught.value.reason


@pytest.mark.parametrize("name", BROKEN)
def test_broken_header_does_not_disturb_an_upload(name):
    assert stream(BROKEN[name], 7) is None


ENDLESS = {
    "jpeg-zeros": (b"\xff\xd8\xff\xfe\0\2", b"\0"),
    "jpeg-fill-bytes": (b"\xff\xd8\xff\xfe\0\2", b"\xff"),
    "jpeg-stuffed-bytes": (b"\xff\xd8\xff\xfe\0\2", b"\xff\0"),
    "jpeg-restarts": (b"\xff\xd8\xff\xfe\0\2", b"\xff\xd0"),
    "jpeg-empty-segments": (b"\xff\xd8", b"\xff\xe0\0\2"),
    "jpeg-long-segments": (b"\xff\xd8", segment(0xE0, bytes(65533))),
    "jpeg-exif-segments": (b"\xff\xd8", app1(b"II*\0\x08\0\0\0" + b"\xff" * 5000)),
    "png-empty-chunks": (png(ihdr(*SIZE)), chunk(b"tEXt", b"")),
    "png-long-chunks": (png(ihdr(*SIZE)), chunk(b"tEXt", bytes(100_000))),
    "png-exif-chunks": (png(ihdr(*SIZE)), chunk(b"eXIf", exif(6))),
    "webp-chunks": (b"RIFF\xff\xff\xff\xffWEBP" + vp8x(*SIZE, flags=8), webp_chunk(b"ANMF", bytes(5000))),
    "tiff-entries": (b"II*\0\x08\0\0\0\xff\xff", b"\xff" * 12),
    "bigtiff-entries": (b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 2**64 - 1), b"\1" * 20),
    "heic-empty-boxes": (box(b"ftyp", b"heic", bytes(4)), box(b"free")),
    "heic-long-boxes": (box(b"ftyp", b"heic", bytes(4)), box(b"free", bytes(70_000))),
    "heic-properties": (
        box(b"ftyp", b"heic", bytes(4)) + struct.pack(">I4sII4sI4s", 0, b"meta", 0, 0, b"iprp", 0, b"ipco"),
        irot(1),
    ),
    "heic-associations": (
        box(b"ftyp", b"heic", bytes(4))
        + struct.pack(">I4sI", 0, b"meta", 0)
        + full_box(b"pitm", b"\0\2")
        + struct.pack(">I4sI4sII", 0, b"iprp", 0, b"ipma", 0, 2**32 - 1),
        b"\0\1\1\1",
    ),
    "heic-empty-associations": (
        box(b"ftyp", b"heic", bytes(4))
        + struct.pack(">I4sI", 0, b"meta", 0)
        + full_box(b"pitm", b"\0\2")
        + struct.pack(">I4sI4sII", 0, b"iprp", 0, b"ipma", 0, 2**32 - 1),
        b"\0\1\0",
    ),
    "heic-properties-that-are-read": (
        box(b"ftyp", b"heic", bytes(4)) + struct.pack(">I4sII4sI4s", 0, b"meta", 0, 0, b"iprp", 0, b"ipco"),
        ispe(1, 1) + clap(1, 1),
    ),
    "gif-empty-extensions": (gif_screen(*SIZE), b"!\xfe\0"),
    "gif-short-blocks": (gif_screen(*SIZE) + b"!\xfe", b"\1\0"),
    "gif-one-byte-blocks": (gif_screen(*SIZE) + b"!\xfe", b"\1\1"),
    "tiff-2048-entries": (b"II*\0\x08\0\0\0\0\x08", struct.pack("<HHII", 256, 5, 1, 1)),
    "bigtiff-2048-entries": (b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 2048), struct.pack("<HHQQ", 258, 3, 1, 1)),
    "exif-2048-entries": (
        b"\xff\xd8",
        app1(b"II*\0\x08\0\0\0\0\x08" + struct.pack("<HHII", ORIENTATION, 3, 1, 99) * 2048),
    ),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_endless_header_is_given_up(name):
    start, again = ENDLESS[name]
    file = File(start, endless=again)
    if name == "webp-chunks":
        assert run(file) == ImageSize(*SIZE)
    else:
        with pytest.raises(InvalidArgumentException, match=r"more than|ends inside|0 x 0"):
            run(file)


@pytest.mark.parametrize("name", ENDLESS)
def test_hostile_header_takes_little_of_the_loop(name):
    start, again = ENDLESS[name]
    assert min(time_on_the_loop(start, again) for _ in range(8)) < HALF * most()


def time_on_the_loop(start, again):
    """Seconds of CPU time that a probe takes for an image, fed range by range."""
    probe, file, spent = ImageProbe(), File(start, endless=again), 0.0
    while (wanted := probe.wanted) is not None:
        data = file.read(wanted.offset, wanted.length)
        begun = time.thread_time()
        with suppress(InvalidArgumentException):
            probe.feed(wanted.offset, data)
        spent += time.thread_time() - begun
    return spent


@pytest.mark.parametrize("name", SMALL)
def test_every_truncation_is_right_or_refused(name):
    data = SMALL[name]()
    whole = run(File(data))
    shorter = [*range(min(len(data), 3000)), *range(3000, len(data), 97)]
    assert {run_or_none(data[:length]) for length in shorter} == {whole, None}


# Whatever comes

SAMPLES = [make() for make in SMALL.values()]
MAGICS = sorted({data[:length] for data in SAMPLES for length in (4, 12, 32)})


def held(data):
    """No other exception than the promised one, and the same answer while streaming."""
    assert stream(data, 61) == run_or_none(data)


@settings(deadline=None, max_examples=300)
@given(magic=st.sampled_from([b"", *MAGICS]), rest=st.binary(max_size=600))
@example(magic=b"", rest=b"")
def test_random_bytes(magic, rest):
    held(magic + rest)


@settings(deadline=None, max_examples=500)
@given(
    data=st.sampled_from(SAMPLES),
    changes=st.lists(
        st.tuples(st.integers(0, 399) | st.integers(0, 5000), st.binary(min_size=1, max_size=8)), min_size=1, max_size=5
    ),
    tail=st.sampled_from([0, 1, 70_000, 200_000]),
)
def test_random_changes(data, changes, tail):
    changed = bytearray(data) + bytes(tail)
    for position, value in changes:
        at = position % len(data)
        changed[at : at + len(value)] = value
    held(bytes(changed))


# The protocol


@pytest.mark.parametrize("chunk_size", [1, 7, 4096, 1 << 20], ids=lambda size: f"chunks-of-{size}")
@pytest.mark.parametrize("name", SMALL)
async def test_streaming_finds_the_same(name, chunk_size):
    data = SMALL[name]()
    assert stream(data, chunk_size) == await probe_image(File(data).fetch)


@pytest.mark.parametrize("chunk_size", [7, 4096, 1 << 20], ids=lambda size: f"chunks-of-{size}")
@pytest.mark.parametrize("name", LARGE)
async def test_streaming_finds_the_same_in_large_files(name, chunk_size):
    data = LARGE[name]()
    assert stream(data, chunk_size) == await probe_image(File(data).fetch)


@pytest.mark.parametrize("name", NO_IMAGES)
def test_streaming_other_files_finds_nothing(name):
    assert stream(NO_IMAGES[name], 7) is None


def test_stream_result_is_there_as_soon_as_it_is_known():
    probe = StreamProbe()
    probe.feed(LARGE["jpeg-noise"]()[:FIRST_RANGE])
    assert probe.result == ImageSize(1000, 700)


def test_stream_gives_up_on_what_has_gone_by(monkeypatch):
    """No format needs it today; a walk that reads backwards would cost a range, and the result while streaming."""

    def backwards(window):
        yield from window.read(200_000, 4)
        return ImageSize(*(yield from window.read(1, 2)))

    # in place of a format that needs it
    monkeypatch.setattr("async_storages.images.probe.walk", backwards)
    data = b"\1\2\3" + bytes(200_001)
    probe = ImageProbe()
    probe.feed(200_000, data[200_000:])
    probe.feed(1, data[1:1025])
    assert probe.result == ImageSize(2, 3)
    assert stream(data, 4096) is None


def test_stream_result_waits_for_the_end_of_a_short_file():
    probe = StreamProbe()
    probe.feed(encode("GIF"))
    assert probe.result is None
    probe.finish()
    probe.finish()
    probe.feed(b"more")
    assert probe.result == ImageSize(*SIZE)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_stream_takes_every_kind_of_bytes(kind):
    probe = StreamProbe()
    probe.feed(kind(encode("PNG")))
    probe.finish()
    assert probe.result == ImageSize(*SIZE)


def test_first_range():
    assert ImageProbe().wanted == Range(0, 65536)
    assert not ImageProbe().finished


def test_range_in_several_parts():
    """A caller whose transport gives less than it was asked for says that the file goes on."""
    data = encode("PNG", exif=exif(6))
    probe = ImageProbe()
    while (wanted := probe.wanted) is not None:
        probe.feed(wanted.offset, data[wanted.offset : wanted.offset + 5], at_end=False)
    assert probe.result == ImageSize(*SIZE[::-1], orientation=6)


def test_nothing_again_and_again_is_given_up():
    probe = ImageProbe()
    for _ in range(MAX_RANGES - 1):
        probe.feed(0, b"", at_end=False)
    with pytest.raises(InvalidArgumentException, match="64 ranges"):
        probe.feed(0, b"", at_end=False)
    assert probe.finished


def test_end_that_is_told_spares_a_range():
    data = tiff(size=(256, 256))[:FIRST_RANGE]
    probe = ImageProbe()
    with pytest.raises(InvalidArgumentException, match="ends inside its header"):
        probe.feed(0, data, at_end=True)


def test_more_than_was_asked_for_is_ignored():
    data = LARGE["tiff-directory-behind-3-MB"]()
    probe = ImageProbe()
    probe.feed(0, data)
    assert probe.wanted == Range(8 + (3 << 20), 1024)


def test_feeding_another_place_is_refused_and_changes_nothing():
    probe = ImageProbe()
    with pytest.raises(InvalidArgumentException, match="bytes at 5 were fed"):
        probe.feed(5, encode("PNG"))
    probe.feed(0, encode("PNG"))
    assert probe.result == ImageSize(*SIZE)


def test_feeding_a_finished_probe_is_refused():
    probe = ImageProbe()
    probe.feed(0, encode("PNG"))
    with pytest.raises(InvalidArgumentException, match="None is wanted"):
        probe.feed(0, encode("GIF"))
    assert probe.result == ImageSize(*SIZE)


def test_refusal_finishes_the_probe():
    probe = ImageProbe()
    with pytest.raises(InvalidArgumentException):
        probe.feed(0, BROKEN["png-no-width"])
    assert probe.finished
    assert probe.result is None


async def test_error_of_the_storage_comes_through():
    async def fetch(offset, length):
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError, match="gone"):
        await probe_image(fetch)


def test_importing_the_probe_is_cheap():
    """It is imported with the core package, which must not need Pillow, nor read the network modules."""
    code = (
        "import sys; import async_storages.images.probe; "
        "print(sorted({'PIL', 'imagesize', 'urllib.request', 'xml'} & sys.modules.keys()))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "[]"

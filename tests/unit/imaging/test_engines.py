"""Both engines: sizes to the pixel, orientations, colours as littlecms has them, transparency, animations."""

import io
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageCms, ImageOps, ImageStat

from async_storages import InvalidFileTypeException, Variant, VipsEngine
from async_storages.imaging.limits import ImageLimits
from async_storages.imaging.originals import inspected
from tests.support import icc
from tests.support.images import HAS_AVIF, encode, noise, pillow_exif

LIMITS = ImageLimits(formats=["jpeg", "png", "webp", "gif", "avif", "tiff"])
FORMATS = ["jpeg", "png", "webp", *(["avif"] if HAS_AVIF else [])]


@pytest.fixture(params=["pillow:PillowEngine", "vips:VipsEngine"], scope="module")
def engine(request):
    module, name = request.param.split(":")
    if module == "vips":
        pyvips = pytest.importorskip("pyvips")
        pyvips._remove_log_handler()  # libvips' threads call it, and Python would count them as its own from then on
    return getattr(import_module(f"async_storages.imaging.{module}"), name)()


@pytest.fixture
def make(engine, tmp_path):
    """Makes a variant of an image, and opens it."""

    def make(image: bytes, recipe: Variant, limits=LIMITS) -> Image.Image:
        (tmp_path / "original").write_bytes(image)
        original = inspected(tmp_path / "original", limits)
        engine.make(original, tmp_path / "variant", recipe, limits)
        with Image.open(io.BytesIO((tmp_path / "variant").read_bytes())) as made:
            made.load()
        assert made.size == recipe.size_of(original.size).dimensions
        return made

    return make


def encoded(image: Image.Image, image_format: str, **options) -> bytes:
    out = io.BytesIO()
    image.save(out, image_format, **options)
    return out.getvalue()


def difference(one: Image.Image, other: Image.Image) -> int:
    """The largest difference of a channel anywhere."""
    assert one.mode == other.mode
    extremes = ImageChops.difference(one, other).getextrema()
    return max(high for _, high in (extremes if isinstance(extremes[0], tuple) else [extremes]))


# ---- sizes

SIDES = st.integers(1, 150)
RECIPES = st.one_of(
    st.builds(Variant, width=st.none() | SIDES, height=st.none() | SIDES, format=st.just("png")),
    st.builds(Variant, SIDES, SIDES, st.sampled_from(["contain", "fill"]), st.just("png")),
    st.builds(Variant, SIDES, SIDES, st.just("cover"), st.just("png"), crop=st.just("entropy")),
    st.builds(
        Variant, SIDES, SIDES, st.just("cover"), st.just("png"), crop=st.tuples(st.floats(0, 1), st.floats(0, 1))
    ),
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.tuples(SIDES, SIDES), RECIPES, st.integers(1, 8), st.sampled_from(["PNG", "JPEG"]))
def test_the_size_is_the_one_that_the_recipe_tells(make, size, recipe, orientation, image_format):
    make(encode(image_format, size, exif=pillow_exif(orientation)), recipe)


@pytest.mark.parametrize("size", [(3001, 2003), (2003, 3001), (4000, 64), (1, 3000)])
@pytest.mark.parametrize("width", [1, 99, 250, 377, 999])
def test_the_size_of_a_large_photograph_which_is_shrunk_while_it_is_decoded(make, size, width):
    make(encode("JPEG", size), Variant(width=width))
    make(encode("JPEG", size), Variant(width, 100, fit="cover"))


def test_the_longest_side_of_all(make):
    make(encode("PNG", (65_500, 10), "L"), Variant(format="webp"))


# ---- orientation


def corners(orientation: int = 1) -> Image.Image:
    """An image of four colours, one in each corner, as it is stored for this orientation."""
    image = Image.new("RGB", (48, 32), "white")
    image.paste("red", (0, 0, 24, 16))
    image.paste("lime", (24, 0, 48, 16))
    image.paste("blue", (0, 16, 24, 32))
    inverse = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]
    return image if inverse is None else image.transpose(Image.Transpose(inverse))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF", *(["AVIF"] if HAS_AVIF else [])])
def test_images_are_turned_as_their_orientation_says(make, orientation, image_format):
    options = {"lossless": True} if image_format == "WEBP" else {"quality": 100} if image_format == "AVIF" else {}
    image = encoded(corners(orientation), image_format, exif=pillow_exif(orientation), **options)
    with Image.open(io.BytesIO(image)) as opened:
        shown = ImageOps.exif_transpose(opened).convert("RGB")
    assert difference(shown.resize((12, 8), Image.Resampling.BOX), corners().resize((12, 8), 4)) < 60
    for recipe in (Variant(24, 16, format="png"), Variant(24, 16, fit="fill", format="png", strip=False)):
        made = make(image, recipe)
        assert difference(made.convert("RGB").resize((2, 2), 0), shown.resize((2, 2), 0)) < 60
        assert made.getexif().get(0x0112, 1) == 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_crop_is_of_the_upright_image(make, orientation):
    image = encoded(corners(orientation), "PNG", exif=pillow_exif(orientation))
    colours = {(0, 0): (255, 0, 0), (1, 0): (0, 255, 0), (0, 1): (0, 0, 255), (1, 1): (255, 255, 255)}
    for (x, y), colour in colours.items():
        made = make(image, Variant(8, 16, fit="cover", crop=(x, y), format="png"))
        edge = made.convert("RGB").getpixel((0 if x == 0 else 7, 0 if y == 0 else 15))
        assert max(abs(a - b) for a, b in zip(edge, colour, strict=True)) < 20
        made = make(image, Variant(48, 8, fit="cover", crop=(x, y), format="png"))
        edge = made.convert("RGB").getpixel((0 if x == 0 else 47, 0 if y == 0 else 7))
        assert max(abs(a - b) for a, b in zip(edge, colour, strict=True)) < 20


# ---- colours


def smooth(mode: str, size=(64, 64)) -> Image.Image:
    """All channels vary, and nowhere fast: a scaled one is the same in each library."""
    bands = Image.new(mode, (1, 1)).getbands()
    grey = Image.linear_gradient("L").resize(size)
    return Image.merge(mode, [grey.rotate(90 * turn) for turn in range(len(bands))])


def by_littlecms(image: Image.Image, profile: bytes) -> Image.Image:
    """The oracle."""
    srgb = ImageCms.createProfile("sRGB")
    return ImageCms.profileToProfile(image, ImageCms.ImageCmsProfile(io.BytesIO(profile)), srgb, outputMode="RGB")


@pytest.mark.parametrize(
    ("mode", "profile", "image_format"),
    [
        ("RGB", icc.wide_rgb(), "PNG"),
        ("RGB", icc.wide_rgb(), "JPEG"),
        ("RGB", icc.wide_rgb(), "WEBP"),
        ("L", icc.dark_grey(), "PNG"),
        ("L", icc.dark_grey(), "JPEG"),
        ("CMYK", icc.green_ink(), "TIFF"),
        ("CMYK", icc.green_ink(), "JPEG"),
    ],
)
def test_colours_are_those_that_littlecms_sees_through_the_profile(make, mode, profile, image_format):
    options = {"lossless": True} if image_format == "WEBP" else {"quality": 100} if image_format == "JPEG" else {}
    if image_format == "JPEG" and mode != "L":
        options["subsampling"] = 0
    image = encoded(smooth(mode), image_format, icc_profile=profile, **options)
    with Image.open(io.BytesIO(image)) as opened:
        expected = by_littlecms(opened, profile)
    made = make(image, Variant(64, 64, fit="fill", format="png"))
    assert "icc_profile" not in made.info
    assert difference(made.convert("RGB"), expected) <= 2
    small = make(image, Variant(16, 16, fit="fill", format="png")).convert("RGB")
    inner = (2, 2, 14, 14)
    wanted = expected.resize((16, 16), Image.Resampling.LANCZOS).crop(inner)
    mean = ImageStat.Stat(ImageChops.difference(small.crop(inner), wanted)).mean
    assert max(mean) <= 2


def test_a_profile_leaves_the_transparency_alone(make):
    image = smooth("RGBA")
    made = make(encoded(image, "PNG", icc_profile=icc.wide_rgb()), Variant(64, 64, fit="fill", format="png"))
    assert difference(made.getchannel("A"), image.getchannel("A")) == 0
    assert difference(made.convert("RGB"), by_littlecms(image.convert("RGB"), icc.wide_rgb())) <= 2


@pytest.mark.parametrize("profile", [b"nonsense", icc.dark_grey(), icc.green_ink(), icc.wide_rgb()[:300]])
def test_a_profile_that_does_not_fit_is_passed_over(make, profile):
    made = make(encoded(smooth("RGB"), "PNG", icc_profile=profile), Variant(64, 64, fit="fill"))
    assert difference(made.convert("RGB"), smooth("RGB")) <= 1


def test_inks_without_a_profile(make):
    image = Image.new("CMYK", (32, 32), (0, 0, 0, 0))
    image.paste((0, 255, 255, 0), (0, 0, 16, 32))
    made = make(encoded(image, "JPEG", quality=100), Variant(32, 32, fit="fill", format="png")).convert("RGB")
    red, green, blue = made.getpixel((4, 16))
    assert red > 180
    assert max(green, blue) < 90
    assert min(made.getpixel((28, 16))) > 250


def test_sixteen_bits_become_eight(make):
    values = [round(65535 * x / 63) for x in range(64)]
    image = Image.frombytes("I;16", (64, 8), b"".join(value.to_bytes(2, "little") for value in values * 8))
    made = make(encoded(image, "PNG"), Variant(64, 8, fit="fill")).convert("L")
    assert all(abs(made.getpixel((x, 4)) - values[x] / 257) <= 1 for x in range(64))


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "CMYK", "I;16"])
@pytest.mark.parametrize("target", FORMATS)
def test_images_of_all_kinds_become_all_formats(make, mode, target):
    image_format = "TIFF" if mode in {"CMYK", "I;16"} else "PNG"
    made = make(encode(image_format, (60, 40), mode), Variant(30, 20, format=target))
    assert made.format == target.upper()


# ---- transparency


def ring() -> Image.Image:
    """Green in the middle; around it nothing, which would be red."""
    image = Image.new("RGBA", (64, 64), (255, 0, 0, 0))
    image.paste((0, 255, 0, 255), (16, 16, 48, 48))
    return image


def test_hidden_colours_do_not_bleed(make):
    made = make(encoded(ring(), "PNG"), Variant(17, 17, format="png"))
    assert all(red <= 2 for _, (red, _, _, alpha) in made.getcolors(400) if alpha > 8)


@pytest.mark.parametrize(("background", "colour"), [(None, (255, 255, 255)), ("#0000ff", (0, 0, 255))])
def test_transparency_is_on_the_background_where_the_format_has_none(make, background, colour):
    image = encoded(ring(), "PNG")
    made = make(image, Variant(64, 64, format="jpeg", quality=95, background=background)).convert("RGB")
    assert max(abs(a - b) for a, b in zip(made.getpixel((4, 4)), colour, strict=True)) <= 6
    assert made.getpixel((32, 32))[1] > 240
    kept = make(image, Variant(64, 64, format="png", background=background))
    assert kept.getpixel((4, 4))[3] == 0


@pytest.mark.parametrize("transparent", [0, bytes([0, 255] * 8)])
def test_palettes_keep_their_transparency(make, transparent):
    image = Image.new("P", (32, 32), 0)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.paste(1, (0, 16, 32, 32))
    made = make(encoded(image, "PNG", transparency=transparent), Variant(32, 32, fit="fill")).convert("RGBA")
    assert made.getpixel((8, 4))[3] == 0
    assert made.getpixel((8, 28)) == (0, 0, 255, 255)


def test_contain_shows_the_whole_image_before_the_background(make):
    image = encoded(Image.new("RGB", (40, 20), "lime"), "PNG")
    made = make(image, Variant(40, 40, fit="contain", format="png"))
    assert made.getpixel((20, 2)) == (0, 0, 0, 0)
    assert made.getpixel((20, 20)) == (0, 255, 0, 255)
    made = make(image, Variant(40, 40, fit="contain", format="png", background="#010203"))
    assert made.convert("RGB").getpixel((20, 38)) == (1, 2, 3)
    made = make(image, Variant(40, 40, fit="contain", format="jpeg", quality=100)).convert("RGB")
    assert min(made.getpixel((20, 2))) > 250
    grey = encoded(Image.new("L", (40, 20), 9), "PNG")
    assert make(grey, Variant(40, 40, fit="contain", format="png", background="#ff0000")).getpixel((1, 1))[0] == 255


# ---- frames and pages

COLOURS = ["red", "lime", "blue"]


def animation(image_format: str, times: int = 1) -> bytes:
    first, *more = [Image.new("RGB", (40, 30), colour) for colour in COLOURS * times]
    options = {"lossless": True} if image_format == "WEBP" else {}
    durations = [100, 200, 300] * times
    return encoded(first, image_format, save_all=True, append_images=more, duration=durations, loop=0, **options)


@pytest.mark.parametrize("image_format", ["GIF", "WEBP"])
def test_animations_are_kept(make, tmp_path, image_format):
    make(animation(image_format), Variant(20, animated=True, background="#ffffff"))
    with Image.open(tmp_path / "variant") as made:
        assert made.format == "WEBP"
        assert made.n_frames == 3
        durations, colours = [], []
        for number in range(3):
            made.seek(number)
            made.load()
            durations.append(made.info["duration"])
            colours.append(made.convert("RGB").getpixel((10, 7)))
        assert durations == [100, 200, 300]
        assert [colour.index(max(colour)) for colour in colours] == [0, 1, 2]
        assert made.info["loop"] == 0


@pytest.mark.parametrize("image_format", ["GIF", "WEBP"])
def test_the_first_frame_stands_for_an_animation(make, image_format):
    made = make(animation(image_format), Variant(20))
    assert getattr(made, "n_frames", 1) == 1
    assert made.convert("RGB").getpixel((10, 7))[0] > 200


def test_one_frame_is_no_animation(make):
    assert make(encode("GIF"), Variant(20, animated=True)).n_frames == 1


@pytest.mark.parametrize("image_format", ["GIF", "WEBP", "TIFF"])
def test_a_page_is_taken(make, image_format):
    image = animation("GIF" if image_format == "GIF" else "WEBP")
    if image_format == "TIFF":
        first, *more = [Image.new("RGB", (40, 30), colour) for colour in COLOURS]
        image = encoded(first, "TIFF", save_all=True, append_images=more)
    made = make(image, Variant(20, page=2, format="png"))
    assert made.convert("RGB").getpixel((10, 7))[2] > 200
    with pytest.raises(InvalidFileTypeException, match="the image has no page 3"):
        make(image, Variant(20, page=3))


def test_a_page_of_an_image_that_has_none(make):
    with pytest.raises(InvalidFileTypeException, match="the image has no page 1"):
        make(encode("JPEG"), Variant(20, page=1))


def test_pages_and_other_images_of_a_camera_are_no_animation(make):
    first, *more = [Image.new("RGB", size, "red") for size in ((40, 30), (60, 20), (20, 60))]
    for image_format in ("TIFF", *(["MPO"] if HAS_AVIF else [])):  # older ones write even areas wrongly
        image = encoded(first, image_format, save_all=True, append_images=more)
        assert getattr(make(image, Variant(20, animated=True, format="webp")), "n_frames", 1) == 1
        if image_format == "TIFF":
            with pytest.raises(InvalidFileTypeException):
                make(image, Variant(20, page=1))


def test_exif_of_the_wrong_kind_is_left_out(make):
    exif = pillow_exif(1)
    exif[0x010F] = "the maker"
    block = exif.tobytes().replace(b"\x0f\x01\x02\x00", b"\x0f\x01\x0a\x00")
    assert make(encode("JPEG", (60, 40), exif=block), Variant(30, strip=False)).size == (30, 20)


@pytest.mark.parametrize("crop", ["center", "entropy"])
def test_colours_of_the_eye(make, engine, crop):
    image = encoded(Image.new("LAB", (40, 30), (200, 128, 128)), "TIFF")
    if engine == VipsEngine():
        with suppress(InvalidFileTypeException):  # libvips reads its own only, if the version is new
            make(image, Variant(20))
        return
    grey = make(image, Variant(20, 20, fit="cover", crop=crop, format="png")).convert("RGB").getpixel((10, 10))
    assert max(grey) - min(grey) <= 2
    assert 170 < grey[0] < 215


def test_frames_are_limited(make):
    with pytest.raises(InvalidFileTypeException, match="3 frames, more than the 2 allowed"):
        make(animation("GIF"), Variant(20, animated=True), ImageLimits(max_frames=2))
    with pytest.raises(InvalidFileTypeException, match="3 frames, more than the 2 allowed"):
        make(animation("GIF"), Variant(20, page=2), ImageLimits(max_frames=2))
    with pytest.raises(InvalidFileTypeException, match="6 frames of 40 by 30 pixels are more than the 4800 pixels"):
        make(animation("GIF", 2), Variant(4, animated=True), ImageLimits(max_pixels=1200))
    make(animation("GIF"), Variant(20), ImageLimits(max_frames=1))


# ---- the rest


def gps_exif() -> Image.Exif:
    exif = pillow_exif(6)
    exif[0x010F] = "the maker"
    exif.get_ifd(0x8825)[1] = "N"
    return exif


@pytest.mark.parametrize("target", FORMATS)
def test_where_a_photograph_was_taken_is_not_told(make, tmp_path, target):
    image = encode("JPEG", (60, 40), exif=gps_exif(), comment=b"the comment")
    made = make(image, Variant(30, format=target))
    assert not made.getexif()
    assert b"the maker" not in (tmp_path / "variant").read_bytes()
    kept = make(image, Variant(30, format=target, strip=False)).getexif()
    assert kept[0x010F].rstrip("\0") == "the maker"
    assert kept.get_ifd(0x8825)[1].rstrip("\0") == "N"
    assert kept.get(0x0112, 1) == 1


def test_an_exif_block_that_no_jpeg_can_hold_is_left_out(make):
    exif = pillow_exif(1)
    exif[0x9286] = b"x" * 70_000
    made = make(encode("PNG", (60, 40), exif=exif), Variant(30, format="jpeg", strip=False))
    assert len(made.info.get("exif", b"")) < 70_000


def test_the_quality_counts(make, tmp_path):
    image, sizes = noise("PNG", (200, 200)), []
    for quality in (10, 50, 90):
        make(image, Variant(200, format="webp", quality=quality))
        sizes.append((tmp_path / "variant").stat().st_size)
    assert sizes == sorted(sizes)


def test_sharpening_makes_edges_steeper(make):
    image = Image.new("L", (64, 64), 100)
    image.paste(150, (32, 0, 64, 64))
    extremes = [
        make(encoded(image, "PNG"), Variant(64, 64, fit="fill", sharpen=strength)).convert("L").getextrema()
        for strength in (0, 1, 2)
    ]
    assert extremes[0] == (100, 150)
    assert extremes[2][0] < extremes[1][0] < 100
    assert extremes[2][1] > extremes[1][1] > 150


@pytest.mark.parametrize("orientation", [1, 6])
def test_the_detail_is_kept(make, orientation):
    image = Image.new("RGB", (300, 100), "grey")
    image.paste(Image.effect_noise((60, 60), 90).convert("RGB"), (220, 20))
    stored = image if orientation == 1 else image.transpose(Image.Transpose.ROTATE_90)
    made = make(
        encoded(stored, "PNG", exif=pillow_exif(orientation)),
        Variant(50, 50, fit="cover", crop="entropy", format="png"),
    )
    assert ImageStat.Stat(made.convert("L")).stddev[0] > 15  # of the noise, which is another each time
    middle = make(encoded(image, "PNG"), Variant(50, 50, fit="cover", format="png"))
    assert ImageStat.Stat(middle.convert("L")).stddev[0] < 2


def test_a_small_image_for_placeholders(engine, tmp_path):
    path = Path(tmp_path / "a.png")
    path.write_bytes(encoded(corners(6), "PNG", exif=pillow_exif(6)))
    pixels = engine.shrink(inspected(path, LIMITS), 12, LIMITS)
    assert (pixels.width, pixels.height, len(pixels.rgba)) == (12, 8, 4 * 12 * 8)
    assert pixels.rgba[:4] == bytes([255, 0, 0, 255])
    path.write_bytes(encode("PNG", (20, 10), "LA"))
    assert len(engine.shrink(inspected(path, LIMITS), 12, LIMITS).rgba) == 4 * 12 * 6


# ---- several variants of one original


def test_variants_that_are_made_together_are_those_that_are_made_alone(tmp_path):
    pillow = import_module("async_storages.imaging.pillow").PillowEngine()
    recipes = [
        Variant(40, 40, fit="cover", format="png"),
        Variant(width=300, format="png"),
        Variant(height=700, format="png", page=0),
        Variant(width=100, format="png", sharpen=1.0),
    ]
    photograph = Image.effect_noise((500, 400), 60).convert("RGB").resize((2000, 1600), Image.Resampling.BICUBIC)
    for image_format, options in (("JPEG", {"exif": pillow_exif(6)}), ("PNG", {}), ("WEBP", {"lossless": True})):
        (tmp_path / "original").write_bytes(encoded(photograph, image_format, **options))
        original = inspected(tmp_path / "original", LIMITS)
        wanted = [(tmp_path / f"{number}", recipe) for number, recipe in enumerate(recipes)]
        pillow.make_many(original, wanted, LIMITS)
        for target, recipe in wanted:
            pillow.make(original, tmp_path / "alone", recipe, LIMITS)
            with Image.open(target) as together, Image.open(tmp_path / "alone") as alone:
                assert together.size == recipe.size_of(original.size).dimensions
                error = ImageStat.Stat(ImageChops.difference(together.convert("RGB"), alone.convert("RGB"))).mean
                assert max(error) < 3, (image_format, recipe)


def test_pages_and_animations_that_are_made_together(tmp_path):
    pillow = import_module("async_storages.imaging.pillow").PillowEngine()
    colours = ["#ff0000", "#00ff00", "#0000ff"]
    first, *more = [Image.new("RGB", (30, 20), colour) for colour in colours]
    (tmp_path / "original").write_bytes(encoded(first, "GIF", save_all=True, append_images=more, duration=50))
    wanted = {
        "last": Variant(10, format="png", page=2),
        "moving": Variant(10, animated=True),
        "first": Variant(10, format="png"),
    }
    original = inspected(tmp_path / "original", LIMITS)
    pillow.make_many(original, [(tmp_path / name, recipe) for name, recipe in wanted.items()], LIMITS)
    seen = {}
    for name in wanted:
        with Image.open(tmp_path / name) as made:
            seen[name] = getattr(made, "n_frames", 1), made.convert("RGB").getpixel((5, 3))
    assert seen["last"] == (1, (0, 0, 255))
    assert seen["first"] == (1, (255, 0, 0))
    assert seen["moving"][0] == 3

"""Landscapes that nobody has photographed: pictures for screenshots, which belong to nobody and are always the same."""

from dataclasses import dataclass
from math import sin
from random import Random

from PIL import Image, ImageChops, ImageDraw, ImageFilter

type Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Scene:
    """A landscape: a sky, a sun or moon, ridges that fade into the distance, or the sea.

    Attributes:
        name: The name of its file, without an extension.
        size: Width and height in pixels.
        sky: The colours of the sky, from the top to the horizon.
        near: The colour of the nearest ridge.
        sun: Its place, as parts of width and height, and its radius as part of the height; None for none.
        glow: The colour of the sun.
        ridges: The number of ridges; 0 for the sea.
        roughness: Steepness of the ridges, 0 to 1.
        stars: The number of stars.
    """

    name: str
    size: tuple[int, int]
    sky: tuple[Colour, ...]
    near: Colour
    sun: tuple[float, float, float] | None = None
    glow: Colour = (255, 240, 214)
    ridges: int = 6
    roughness: float = 0.5
    stars: int = 0


def _hex(*codes: str) -> tuple[Colour, ...]:
    return tuple((int(code[:2], 16), int(code[2:4], 16), int(code[4:], 16)) for code in codes)


HORIZON = 0.56  # of the height
WIDE, UPRIGHT, SQUARE, PANORAMA = (1800, 1200), (1200, 1600), (1400, 1400), (2100, 1000)

SCENES = (
    Scene(
        "Blue hour over the valley",
        WIDE,
        _hex("1d2b53", "49568f", "b98ba5", "f3bd9f"),
        _hex("0b1226")[0],
        (0.68, 0.5, 0.03),
        ridges=7,
        roughness=0.6,
    ),
    Scene(
        "First light",
        UPRIGHT,
        _hex("f6d9c2", "f3b79a", "e58a7b"),
        _hex("4b2138")[0],
        (0.5, 0.42, 0.06),
        ridges=6,
        roughness=0.75,
    ),
    Scene("Sea at noon", WIDE, _hex("4f93c4", "9cc9df", "e6f0ea"), _hex("0d4a63")[0], None, ridges=0),
    Scene(
        "Dunes",
        PANORAMA,
        _hex("f7e3bd", "f2c98f", "e9a567"),
        _hex("7c3f1d")[0],
        (0.22, 0.36, 0.07),
        ridges=5,
        roughness=0.12,
    ),
    Scene(
        "Pine ridges in fog",
        SQUARE,
        _hex("dfe7e3", "c3d2cd", "a9bdb8"),
        _hex("1b332f")[0],
        None,
        ridges=8,
        roughness=0.55,
    ),
    Scene(
        "Moonrise",
        UPRIGHT,
        _hex("0a1029", "1c2b58", "44558c"),
        _hex("04070f")[0],
        (0.36, 0.3, 0.045),
        _hex("f4f1e2")[0],
        ridges=5,
        roughness=0.6,
        stars=420,
    ),
    Scene(
        "Evening on the water",
        WIDE,
        _hex("3b2a5a", "b3496b", "f08a5b", "fbd08a"),
        _hex("24183d")[0],
        (0.5, 0.52, 0.07),
        _hex("fff1c9")[0],
        ridges=0,
    ),
    Scene("Green hills", WIDE, _hex("8fc3dc", "c9e2df", "f4f0d3"), _hex("2a5127")[0], None, ridges=6, roughness=0.22),
    Scene(
        "Violet peaks",
        PANORAMA,
        _hex("f5c6d6", "cfa0cf", "8d77b5"),
        _hex("2b1f4d")[0],
        (0.75, 0.3, 0.05),
        ridges=6,
        roughness=0.9,
    ),
    Scene(
        "Winter morning",
        SQUARE,
        _hex("bcd3e6", "e2e8ec", "f8e6da"),
        _hex("42607b")[0],
        (0.66, 0.44, 0.045),
        ridges=6,
        roughness=0.7,
    ),
    Scene(
        "Red canyon",
        WIDE,
        _hex("f9d6a4", "f09a63", "d35f43"),
        _hex("3c110f")[0],
        (0.3, 0.4, 0.08),
        ridges=6,
        roughness=0.4,
    ),
    Scene(
        "Northern night",
        WIDE,
        _hex("06121f", "0d3b46", "2c7d6b", "7fc79b"),
        _hex("020a0f")[0],
        None,
        ridges=5,
        roughness=0.65,
        stars=520,
    ),
)


def paint(scene: Scene) -> Image.Image:
    """The picture of a scene."""
    random = Random(scene.name)  # noqa: S311 - for the same picture each time
    width, height = scene.size
    picture = Image.new("RGB", scene.size, scene.sky[-1])
    picture.paste(gradient((width, int(height * HORIZON)), scene.sky))
    add_stars(picture, scene, random)
    if scene.sun is not None:
        add_sun(picture, scene, scene.sun)
    if scene.ridges:
        add_ridges(picture, scene, random)
    else:
        add_sea(picture, scene, random)
    return grained(picture)


def gradient(size: tuple[int, int], colours: tuple[Colour, ...]) -> Image.Image:
    """Colours from the top to the bottom."""
    column = Image.new("RGB", (1, len(colours)))
    column.putdata(colours)
    height = size[1] * len(colours) // (len(colours) - 1)  # the outer halves of the first and last colour are cut
    spread = column.resize((1, height), Image.Resampling.BICUBIC)
    edge = (height - size[1]) // 2
    return spread.crop((0, edge, 1, edge + size[1])).resize(size)


def add_stars(picture: Image.Image, scene: Scene, random: Random) -> None:
    """Stars, fewer towards the horizon."""
    width, height = picture.size
    draw = ImageDraw.Draw(picture, "RGBA")
    for _ in range(scene.stars):
        x, y, radius = random.random() * width, random.random() ** 1.6 * height * 0.7, random.choice((0.8, 1.2, 1.9))
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), (255, 255, 255, random.randint(70, 230)))


def add_sun(picture: Image.Image, scene: Scene, sun: tuple[float, float, float]) -> None:
    """A sun with its glow."""
    width, height = picture.size
    x, y, radius = sun[0] * width, sun[1] * height, sun[2] * height
    for factor, blur, strength in ((5, 2.4, 90), (2.2, 0.9, 120), (1, 0.03, 255)):
        light = Image.new("L", (width // 4, height // 4))
        size = radius * factor / 4
        ImageDraw.Draw(light).ellipse((x / 4 - size, y / 4 - size, x / 4 + size, y / 4 + size), strength)
        light = light.filter(ImageFilter.GaussianBlur(radius * blur / 4)).resize(picture.size, Image.Resampling.BICUBIC)
        picture.paste(Image.new("RGB", picture.size, scene.glow), mask=light)


def add_ridges(picture: Image.Image, scene: Scene, random: Random) -> None:
    """Ridges from the farthest, which has nearly the colour of the horizon, to the nearest, with haze between them."""
    width, height = picture.size
    horizon = scene.sky[-1]
    for number in range(scene.ridges):
        nearness = (number + 1) / scene.ridges
        base = height * (0.46 + 0.42 * nearness**1.25)
        line = ridge(width, height * 0.2 * scene.roughness * (0.6 + nearness * 0.8), scene.roughness, random)
        mask = Image.new("L", picture.size)
        ImageDraw.Draw(mask).polygon(
            [(0, height), *((x * 4, base - rise) for x, rise in enumerate(line)), (width, height)], 255
        )
        top, foot = (mixed(horizon, scene.near, part) for part in (nearness**0.9, nearness**0.9 * 0.72))
        start = max(0, int(base - height * 0.16))
        body = Image.new("RGB", picture.size, top)
        body.paste(gradient((width, height - start), (top, foot)), (0, start))
        picture.paste(body, mask=mask.filter(ImageFilter.GaussianBlur(0.8)))


def ridge(width: int, rise: float, roughness: float, random: Random) -> list[float]:
    """Heights of a line of hills, one for four pixels: waves, each of half the length of the one before."""
    octaves = 2 + round(6 * roughness)
    waves = [(random.uniform(0.8, 1.3) * 2**n, random.random() * 6.28, 0.5**n) for n in range(octaves)]
    return [
        rise * sum(part * sin(x * 4 / width * 6.28 * length + phase) for length, phase, part in waves)
        for x in range(width // 4 + 2)
    ]


def add_sea(picture: Image.Image, scene: Scene, random: Random) -> None:
    """The sea: the sky upside down, darker, and short strokes of waves."""
    width, height = picture.size
    line = int(height * HORIZON)
    sky = gradient((width, height - line), scene.sky[::-1])
    water = Image.blend(sky, gradient(sky.size, (mixed(scene.sky[-1], scene.near, 0.4), scene.near)), 0.6)
    draw = ImageDraw.Draw(water, "RGBA")
    for _ in range(2600):
        depth = random.random() ** 0.7
        y, length = depth * water.height, (12 + 150 * depth) * random.uniform(0.4, 1)
        near_sun = scene.sun is not None and random.random() < 0.35
        x = (
            random.gauss(scene.sun[0] * width, width * 0.05 * (0.5 + depth))
            if near_sun and scene.sun
            else random.random() * width
        )
        colour = scene.glow if near_sun else scene.sky[-1] if random.random() < 0.4 else scene.near
        draw.line((x - length / 2, y, x + length / 2, y), (*colour, random.randint(25, 110)), max(1, round(4 * depth)))
    picture.paste(water.filter(ImageFilter.GaussianBlur(1.1)), (0, line))


def grained(picture: Image.Image) -> Image.Image:
    """The picture with darker corners and the grain of a film."""
    width, height = picture.size
    light = Image.new("L", (width // 8, height // 8), 196)
    ImageDraw.Draw(light).ellipse(
        (-width // 50, -height // 50, width // 8 + width // 50, height // 8 + height // 50), 255
    )
    light = light.filter(ImageFilter.GaussianBlur(width / 60)).resize(picture.size, Image.Resampling.BICUBIC)
    grain = Image.effect_noise(picture.size, 6).convert("RGB")
    darkened = ImageChops.multiply(picture, Image.merge("RGB", (light,) * 3))
    return ImageChops.add(darkened, grain, 1, -128)


def mixed(first: Colour, second: Colour, part: float) -> Colour:
    """A colour between two, the first at 0 and the second at 1."""
    red, green, blue = (round(a + (b - a) * part) for a, b in zip(first, second, strict=True))
    return red, green, blue

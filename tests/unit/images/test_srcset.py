"""The `<img>` of an image in several widths, as `StoredImage.srcset` makes it and as a page shows it."""

import pickle
from copy import copy
from html.parser import HTMLParser

import pytest

from async_storages import (
    ImageSize,
    InvalidArgumentException,
    LocalStorage,
    MemoryStorage,
    OperationNotSupportedException,
    SrcSet,
    StoredImage,
    Variant,
    Variants,
)
from async_storages.integrations.sqlalchemy import ImageType

CARD = Variant(width=800, format="webp", widths=(400, 1600))


@pytest.fixture
def image(tmp_path):
    """An image of 1200 by 900 pixels, as a column loads it."""
    return load(LocalStorage(tmp_path, base_url="https://files.example"), ImageSize(1200, 900))


def load(storage, size=None, **recipes):
    column = ImageType(storage, variants=Variants(card=CARD, **recipes))
    found = column.process_result_value(f"{column.coerce('ä b.jpg')}", None)
    found.remember(image_size=size)
    return found


def widths_of(srcset):
    return [candidate.rpartition(" ")[2] for candidate in srcset.srcset.split(", ")]


async def test_all_widths_are_listed_from_the_narrowest_on(image):
    card = await image.srcset("card", sizes="50vw", alt="A cat")
    urls = [await image.variant(name).get_path() for name in ("card_400", "card", "card_1600")]
    assert card.srcset == ", ".join(f"{url} {width}w" for url, width in zip(urls, (400, 800, 1200), strict=True))
    assert (card.src, card.width, card.height, card.sizes, card.alt) == (urls[1], 800, 600, "50vw", "A cat")


async def test_some_of_the_widths_are_listed(image):
    assert widths_of(await image.srcset("card", widths=[1600, 800])) == ["800w", "1200w"]
    assert (await image.srcset("card", widths=[])).srcset == ""


async def test_a_width_that_is_not_declared_is_refused_with_those_that_are(image):
    with pytest.raises(InvalidArgumentException, match=r"no width 500, but \[400, 800, 1600\]"):
        await image.srcset("card", widths=[400, 500])
    with pytest.raises(InvalidArgumentException, match="no variant 'cart'"):
        await image.srcset("cart")
    with pytest.raises(InvalidArgumentException, match="no column that declares variants"):
        await StoredImage("mem:cat.png").srcset("card")


async def test_of_widths_that_are_equal_in_a_small_image_one_is_listed(tmp_path):
    small = load(LocalStorage(tmp_path, base_url="https://files.example"), ImageSize(500, 100))
    card = await small.srcset("card")
    assert widths_of(card) == ["400w", "500w"]
    assert f"{card.src} 500w" in card.srcset
    tiny = await load(small.storage, ImageSize(300, 100)).srcset("card")
    assert tiny.srcset == f"{tiny.src} 300w"


async def test_without_known_dimensions_the_widths_are_those_of_the_recipes(image):
    unknown = await load(image.storage).srcset("card")
    assert widths_of(unknown) == ["400w", "800w", "1600w"]
    assert (unknown.width, unknown.height) == (None, None)
    assert "width=" not in unknown.__html__()


async def test_a_recipe_without_a_width_is_an_image_without_choice(image):
    high = await load(image.storage, ImageSize(1200, 900), high=Variant(height=90)).srcset("high")
    assert (high.srcset, high.width, high.height) == ("", 120, 90)
    assert "srcset" not in high.__html__()


async def test_urls_may_be_presigned(tmp_path):
    storage = LocalStorage(tmp_path, base_url="https://files.example", secret_key="a secret of the test")
    card = await load(storage, ImageSize(1200, 900)).srcset("card", presign=True, expires_in=60)
    assert all("?token=" in candidate for candidate in [card.src, *card.srcset.split(", ")])
    with pytest.raises(OperationNotSupportedException, match="cannot presign"):
        await load(MemoryStorage()).srcset("card", presign=True)


async def test_nothing_is_asked_of_the_storage(image):
    """A storage whose files were removed gives the same: the URLs follow from the id."""
    image.storage.root.rmdir()
    assert len(widths_of(await image.srcset("card"))) == 3


def test_everything_is_escaped():
    tag = SrcSet('a"><script>', "b' 1w", "<&", 8, 6, alt='"><img onerror=x>').__html__()
    found = []
    parser = HTMLParser()
    parser.handle_starttag = lambda name, attributes: found.append((name, dict(attributes)))
    parser.feed(tag)
    assert found == [
        (
            "img",
            {
                "src": 'a"><script>',
                "srcset": "b' 1w",
                "sizes": "<&",
                "width": "8",
                "height": "6",
                "alt": '"><img onerror=x>',
            },
        )
    ]


def test_it_is_a_value():
    card = SrcSet("a.webp", "a.webp 800w", "100vw")
    assert card == copy(card) == pickle.loads(pickle.dumps(card))
    with pytest.raises(AttributeError):
        card.src = "b"
    assert 'alt=""' in card.__html__()


def test_it_waits_for_nobody_without_await(image):
    assert image.sync.srcset("card").width == 800

"""URLs of variants that are made later: the same each time, and good for one variant of one image."""

import pickle
from urllib.parse import unquote, urlsplit

import pytest

from async_storages import (
    AccessDeniedException,
    FileNotFoundException,
    InvalidArgumentException,
    LocalStorage,
    MemoryStorage,
    UploadOptions,
    Variant,
    VariantLinks,
    Variants,
    file_urls,
    registry,
)
from async_storages.integrations.sqlalchemy import ImageType
from tests.support.fastdfs import fastdfs_storage

SECRET = "a secret of the tests"
CARD = Variant(width=800, format="webp", when="request", widths=(400,))
OPTIONS = UploadOptions(cache_control="no-cache")


@pytest.fixture
def links():
    return VariantLinks("https://example.com/variants/", SECRET)


@pytest.fixture
def storage(tmp_path):
    return LocalStorage(tmp_path / "files", base_url="https://files.example")


@pytest.fixture
def column(storage, links):
    return column_of(storage, links)


def column_of(storage, links, **recipes):
    recipes = recipes or {"card": CARD, "thumb": Variant(9, format="png")}
    return ImageType(storage, variants=Variants(**recipes), variant_links=links, upload_options=OPTIONS)


def parts(url):
    path = unquote(urlsplit(url).path.removeprefix("/variants/"))
    signature, _, rest = path.partition("/")
    return signature, rest


@pytest.mark.parametrize("key", ["a/5f0c7a4be11c9d20_cat.png", "ä b#?%41.jpg", "no-extension", "a" * 255])
async def test_a_url_names_one_variant(column, links, storage, key):
    card = column.coerce(key).variant("card")
    url = await card.get_path()
    assert url.startswith("https://example.com/variants/")
    assert url == await column.coerce(key).variant("card").get_path()
    assert url.isascii()
    assert "?" not in url
    found = links.find(*parts(url))
    assert (found.storage, found.name, found.recipe, found.options) == (storage, "card", CARD, OPTIONS)
    assert found.original.key == key
    assert found.file == card


async def test_a_url_stays_the_same_in_every_version(links):
    """CDNs and pages hold them: a change is a variant that is made, and kept, a second time."""
    with registry.isolated():
        column = column_of(LocalStorage("/srv/files", name="photos"), links)
        url = await column.coerce("a/cat.png").variant("card").get_path()
    assert url == (
        "https://example.com/variants/JY3KqyWc77jiTD3jBOkerkX6h4MecQ8pEbG-82wxIl0/file:a/cat.png/card-e575cc2743ba3983.webp"
    )


async def test_variants_of_the_flush_have_the_url_of_their_storage(column):
    assert (await column.coerce("cat.png").variant("thumb").get_path()).startswith("https://files.example/variants/")


@pytest.mark.parametrize("presign", [True, False])
async def test_listings_have_the_same_urls(links, presign, tmp_path):
    storage = LocalStorage(tmp_path, base_url="https://files.example", secret_key=SECRET)
    image = column_of(storage, links).coerce("cat.png")
    card, thumb = image.variant("card"), image.variant("thumb")
    urls = await file_urls([image, card, thumb, card], presign=presign)
    assert urls[card] == await card.get_path()
    assert urls[image].startswith("https://files.example/cat.png")
    assert urls[thumb].startswith("https://files.example/variants")
    assert (await image.srcset("card")).src == urls[card]


async def test_a_changed_url_is_refused(column, links):
    signature, path = parts(await column.coerce("a/cat.png").variant("card").get_path())
    other, _ = parts(await column.coerce("a/dog.png").variant("card").get_path())
    changed = signature[:-1] + ("A" if signature[-1] != "A" else "B")
    for bad in ("", "x", "ä", "\udc80", "=" * 43, changed, other, signature + "=", signature[:-1], f" {signature}"):
        with pytest.raises(AccessDeniedException, match="was not made here"):
            links.find(bad, path)
    for bad in (
        *("", "/", "\udc80", "\x00/card-0123456789abcdef.webp", "nothing:a/card-e575cc2743ba3983.webp", "a" * 5000),
        *(path.replace("cat", "dog"), path.replace("card", "thumb"), path.replace("file:", ""), f"{path}/", f"/{path}"),
        *(path.replace("webp", "png"), path.replace("a/", "a//"), path.replace("a/", "a/../a/"), path.upper()),
    ):
        with pytest.raises(AccessDeniedException, match="was not made here"):
            links.find(signature, bad)


async def test_a_url_of_a_recipe_that_has_changed_names_nothing(storage, links):
    column = column_of(storage, links, card=CARD)
    urls = [await column.coerce("cat.png").variant(name).get_path() for name in ("card", "card_400")]
    column.storage_ref.variants = Variants(card=Variant(width=801, when="request"))
    for url in urls:
        with pytest.raises(FileNotFoundException, match="no column declares this variant any more"):
            links.find(*parts(url))
    column.storage_ref.variants = None
    with pytest.raises(FileNotFoundException):
        links.find(*parts(urls[0]))


async def test_two_folders_with_a_file_of_one_id_have_urls_of_their_own(tmp_path, links):
    storages = [LocalStorage(tmp_path / name, base_url=f"https://{name}.example") for name in ("one", "two")]
    columns = [column_of(each, links) for each in storages]
    urls = [await each.coerce("cat.png").variant("card").get_path() for each in columns]
    assert urls[0] != urls[1]
    assert [links.find(*parts(url)).storage for url in urls] == storages


async def test_a_column_that_has_gone_is_forgotten(storage, links):
    kept, url = column_of(storage, links, card=CARD), None
    url = await column_of(storage, links, late=CARD).coerce("cat.png").variant("late").get_path()
    with pytest.raises(FileNotFoundException):
        links.find(*parts(url))
    assert kept.variants


async def test_secrets_can_be_changed(storage):
    old = column_of(storage, VariantLinks("/variants", "old"))
    url = await old.coerce("cat.png").variant("card").get_path()
    both, new = VariantLinks("/variants", ["old", "new"]), VariantLinks("/variants", "new")
    columns = [column_of(storage, each) for each in (both, new)]
    assert both.find(*parts(url)).name == "card"
    with pytest.raises(AccessDeniedException):
        new.find(*parts(url))
    urls = [await each.coerce("cat.png").variant("card").get_path() for each in columns]
    assert urls[0] == urls[1] != url


async def test_the_storage_may_come_later(links):
    with registry.isolated():
        column = column_of("photos", links)
        image = column.process_result_value("mem:cat.png", None)
        card = image.variant("card")
        with pytest.raises(InvalidArgumentException, match="no storage is registered as 'photos'"):
            await card.get_path()
        storage = MemoryStorage()
        with registry.override("photos", storage):
            assert links.find(*parts(await card.get_path())).storage is storage


async def test_fastdfs(fastdfs_server, links):
    async with fastdfs_storage(fastdfs_server) as storage:
        original = "group1/M00/00/1E/fwAAAWsCFuqAVke2AAGGoKVy0tA654.png"
        column = column_of(storage, links)
        card = column.coerce(original).variant("card")
        assert links.find(*parts(await card.get_path())).file == card


async def test_a_pickled_variant_has_the_url_of_its_storage(column, storage):
    with registry.override("default", storage):
        card = pickle.loads(pickle.dumps(column.coerce("cat.png").variant("card")))
        assert await card.get_path() == await storage.url(card)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("", SECRET), "base_url is the URL or path of the routes, not ''"),
        ((None, SECRET), "not None"),
        (("/variants", ""), "a secret_key is a str"),
        (("/variants", []), "a secret_key is a str"),
    ],
)
def test_what_cannot_be_is_refused(arguments, reason):
    with pytest.raises(InvalidArgumentException, match=reason):
        VariantLinks(*arguments)


def test_a_variant_that_nobody_would_make_is_refused():
    with pytest.raises(InvalidArgumentException, match=r"'card' has when='request', but .* add variant_links="):
        ImageType("photos", variants=Variants(card=CARD))
    assert ImageType("photos", variants=Variants(card=Variant(8, when="worker"))).variants


def test_nothing_shows_the_secret(links, column):
    assert SECRET not in repr(vars(links))
    pickled = pickle.dumps(column)
    assert SECRET.encode() not in pickled
    assert pickle.loads(pickled).variant_links is None

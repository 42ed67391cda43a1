"""The route of variants that are made when they are first asked for, on a real server, and by several processes."""

import asyncio
import io
import sys
from asyncio.subprocess import PIPE

import httpx
import pytest
from fastapi import FastAPI
from PIL import Image
from starlette.applications import Starlette

from async_storages import ImagePool, InvalidArgumentException, LocalStorage, Variant, VariantLinks, Variants, events
from async_storages.integrations import fastapi, starlette
from async_storages.integrations.sqlalchemy import ImageType
from async_storages.variants.making import close_shared_pool
from tests.support.images import encode
from tests.support.patience import HANGS
from tests.support.uvicorn_server import asking

SECRET = "a secret of the tests"
RECIPES = Variants(
    card=Variant(width=30, format="webp", when="request", widths=(20,)),
    thumb=Variant(8, 6, fit="cover", format="png", when="worker"),
)
FOR_GOOD = "public, max-age=31536000, immutable"


@pytest.fixture(autouse=True)
async def _pool():
    yield
    await close_shared_pool()


@pytest.fixture
def links():
    return VariantLinks("/variants", SECRET)


@pytest.fixture
def column(storage, links):
    return ImageType(storage, variants=RECIPES, variant_links=links)


@pytest.fixture
async def image(storage, column):
    async with storage:
        yield column.coerce(await storage.save(encode("PNG", (64, 48)), filename="ä cat.png", folder="a"))


def fastapi_app(links, **options):
    app = FastAPI()
    fastapi.register_exception_handlers(app)
    app.include_router(fastapi.variants_router(links, **options), prefix="/variants")
    return app


def starlette_app(links, **options):
    app = Starlette(routes=starlette.variant_routes(links, prefix="/variants", **options))
    starlette.register_exception_handlers(app)
    return app


APPLICATIONS = {"fastapi": fastapi_app, "starlette": starlette_app}


@pytest.fixture
def operations():
    """The operations of storages so far."""
    told = []

    def note(event):
        told.append(event.operation)

    events.hooks.append(note)
    yield told
    events.hooks.remove(note)


def size_of(answer):
    with Image.open(io.BytesIO(answer.content)) as opened:
        return opened.format, opened.size


@pytest.mark.parametrize("make_app", APPLICATIONS.values(), ids=APPLICATIONS)
async def test_a_variant_is_made_when_it_is_first_asked_for(image, links, make_app, operations):
    card = image.variant("card")
    assert not await card.exists()
    async with asking(make_app(links)) as client:
        url = await card.get_path()
        first = await client.get(url)
        assert (first.status_code, size_of(first)) == (200, ("WEBP", (30, 23)))
        assert await card.read() == first.content
        assert first.headers["Cache-Control"] == FOR_GOOD
        assert first.headers["Content-Type"] == "image/webp"
        assert first.headers["X-Content-Type-Options"] == "nosniff"
        assert first.headers["Content-Disposition"].startswith("inline;")
        operations.clear()
        again = await client.get(url)
        assert (again.content, again.headers["ETag"]) == (first.content, first.headers["ETag"])
        assert "write" not in operations
        unchanged = await client.get(url, headers={"If-None-Match": first.headers["ETag"]})
        assert (unchanged.status_code, unchanged.headers["Cache-Control"]) == (304, FOR_GOOD)
        part = await client.get(url, headers={"Range": "bytes=0-3"})
        assert (part.status_code, part.content) == (206, b"RIFF")


async def test_a_head_makes_it_too(image, links):
    async with asking(fastapi_app(links)) as client:
        head = await client.head(await image.variant("card").get_path())
        assert (head.status_code, head.content, head.headers["Cache-Control"]) == (200, b"", FOR_GOOD)
        assert int(head.headers["Content-Length"]) == await image.variant("card").get_size()
        assert (await client.post(await image.variant("card").get_path())).status_code == 405


async def test_the_worker_s_variants_and_further_widths_are_made_by_it_too(image, links):
    async with asking(fastapi_app(links)) as client:
        for name, expected in (("card_20", ("WEBP", (20, 15))), ("thumb", ("PNG", (8, 6)))):
            assert size_of(await client.get(await image.variant(name).get_path())) == expected


async def test_50_first_requests_make_it_once(image, links, operations):
    url = await image.variant("card").get_path()
    async with asking(fastapi_app(links), limits=httpx.Limits(max_connections=50)) as client:
        answers = await asyncio.gather(*(client.get(url) for _ in range(50)))
    assert {(each.status_code, each.content) for each in answers} == {(200, answers[0].content)}
    assert operations.count("write") == 1


async def test_a_redirect_leads_to_the_storage_once_it_is_made(image, links, operations):
    async with asking(fastapi_app(links, mode="redirect")) as client:
        answer = await client.get(await image.variant("card").get_path())
        assert answer.status_code == 307
        assert "max-age" not in answer.headers["Cache-Control"]
        await client.get(await image.variant("card").get_path())
    assert await image.variant("card").exists()
    assert operations.count("write") == 1


@pytest.mark.parametrize("make_app", APPLICATIONS.values(), ids=APPLICATIONS)
async def test_errors_are_problems(image, links, storage, make_app):
    async with asking(make_app(links)) as client:
        url = await image.variant("card").get_path()
        forged = await client.get(url.replace("cat", "dog"))
        assert (forged.status_code, forged.json()["code"]) == (403, "access_denied")
        assert (await client.get("/variants/x/y")).status_code == 403
        await storage.delete(image.file_id)
        gone = await client.get(url)
        assert (gone.status_code, gone.json()["code"]) == (404, "file_not_found")
        assert gone.headers["Content-Type"] == "application/problem+json"


async def test_errors_may_be_images(links, storage, column):
    async with storage, asking(fastapi_app(links, errors="image")) as client:
        image = column.coerce(await storage.save(b"no image", filename="cat.png"))
        url = await image.variant("thumb").get_path()
        broken = await client.get(url)
        assert (broken.status_code, broken.headers["Content-Type"]) == (400, "image/svg+xml")
        assert (broken.headers["Cache-Control"], broken.headers["X-Content-Type-Options"]) == ("no-store", "nosniff")
        assert b'width="8" height="6"' in broken.content
        head = await client.head(url)
        assert (head.status_code, head.content) == (400, b"")
        assert head.headers["Content-Length"] == str(len(broken.content))
        forged = await client.get(url.replace("cat", "dog"))
        assert (forged.status_code, forged.headers["Content-Type"]) == (403, "image/svg+xml")


async def test_a_damaged_image_is_decoded_once(links, storage, column, operations):
    async with storage, asking(fastapi_app(links)) as client:
        image = column.coerce(await storage.save(b"no image", filename="cat.png"))
        operations.clear()
        url = await image.variant("card").get_path()
        answers = [await client.get(url) for _ in range(5)]
        assert {each.json()["code"] for each in answers} == {"image_format"}
    assert operations.count("stream") == 1


async def test_a_client_that_goes_takes_nothing_from_the_others(image, links):
    url = await image.variant("card").get_path()
    async with asking(fastapi_app(links)) as client:
        impatient = [asyncio.create_task(client.get(url)) for _ in range(5)]
        patient = asyncio.create_task(client.get(url))
        await asyncio.sleep(0)
        for each in impatient:
            each.cancel()
        assert (await patient).status_code == 200
        await asyncio.wait(impatient)


async def test_a_variant_that_was_lost_is_made_again(image, links):
    async with asking(fastapi_app(links)) as client:
        url = await image.variant("card").get_path()
        first = await client.get(url)
        await image.variant("card").delete()
        assert (await client.get(url)).content == first.content


async def test_a_pool_of_the_application_makes_them(image, links):
    async with ImagePool(workers=1) as pool, asking(fastapi_app(links, pool=pool)) as client:
        assert (await client.get(await image.variant("card").get_path())).status_code == 200


@pytest.mark.parametrize(("options", "reason"), [({"errors": "text"}, "errors is"), ({"mode": "email"}, "the mode is")])
def test_an_option_that_cannot_be_is_refused(links, options, reason):
    for router in (
        fastapi.variants_router,
        lambda links, **others: starlette.variant_routes(links, prefix="", **others),
    ):
        with pytest.raises(InvalidArgumentException, match=reason):
            router(links, **options)


APPLICATION = """
import asyncio, sys
from async_storages import LocalStorage, Variant, VariantLinks, Variants
from async_storages.integrations.sqlalchemy import ImageType
from async_storages.variants.lazy import LazyVariants
from async_storages.variants.making import close_shared_pool

folder, signature, path = sys.argv[1:]
links = VariantLinks("/variants", "a secret of the tests")
recipes = Variants(card=Variant(width=300, format="webp", when="request"))
column = ImageType(LocalStorage(folder, name="photos"), variants=recipes, variant_links=links)


async def main():
    print("ready", flush=True)
    sys.stdin.readline()
    lazy = LazyVariants()
    variant = links.find(signature, path)
    await asyncio.gather(*(lazy.make(variant) for _ in range(10)))
    print(len(await variant.file.read()))
    await close_shared_pool()


asyncio.run(main())
"""


async def test_two_processes_store_it_once(tmp_path, operations):
    """The loser's is thrown away: both give what the winner has stored."""
    links = VariantLinks("/variants", SECRET)
    storage = LocalStorage(tmp_path / "files", name="photos of two processes")
    recipes = Variants(card=Variant(width=300, format="webp", when="request"))
    column = ImageType(storage, variants=recipes, variant_links=links)
    image = column.coerce(await storage.save(encode("PNG", (640, 480)), filename="cat.png"))
    storage.name = "photos"
    signature, _, path = (await image.variant("card").get_path()).removeprefix("/variants/").partition("/")
    program = [sys.executable, "-c", APPLICATION, str(tmp_path / "files"), signature, path]
    processes = [await asyncio.create_subprocess_exec(*program, stdin=PIPE, stdout=PIPE) for _ in range(2)]
    try:
        async with asyncio.timeout(HANGS):
            for each in processes:
                await each.stdout.readline()
            outputs = await asyncio.gather(*(each.communicate(b"go\n") for each in processes))
    finally:
        for each in processes:
            if each.returncode is None:
                each.kill()
                await each.wait()
    assert {output.strip() for output, _ in outputs} == {str(len(await image.variant("card").read())).encode()}
    found = [info.file_id async for info in storage.list()]
    assert sorted(found) == sorted([image.file_id, image.variant("card").file_id])

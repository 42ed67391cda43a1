"""Files in the pages of admin panels, as an administrator sees them in a browser."""

import gc
import re

import pytest
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from async_storages import registry
from async_storages.integrations.sqlalchemy import enable_file_tracking
from tests.support.admin import PANELS, STORAGE, Base, files_of, held_by, panel_site, row_of
from tests.support.images import SIZE, encode

# Starlette-Admin reads a form once more, for its token, and leaves the files of that to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:.*SpooledTemporaryFile:pytest.PytestUnraisableExceptionWarning")

CLEAR, REMOVE = "Clear", "Remove"


@pytest.fixture
async def engine(tmp_path):
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'rows.sqlite'}")
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield engine
    await engine.dispose()


@pytest.fixture(params=PANELS, ids=lambda panel: panel.kind)
async def panel(request, engine, page, tmp_path):
    """The panel, its storage, and its pages in the browser."""
    sessions = enable_file_tracking(async_sessionmaker(engine, expire_on_commit=False))
    async with panel_site(request.param, sessions, tmp_path / "files") as (url, storage):
        yield Pages(page, request.param(None), url, storage)
        await page.goto("about:blank")  # its connections are closed before the server is
    registry.unregister(STORAGE)
    gc.collect()


class Pages:
    """The pages of a panel."""

    def __init__(self, page, panel, url, storage):
        self.page, self.panel, self.url, self.storage = page, panel, url, storage

    async def open(self, path):
        await self.page.goto(f"{self.url}{path}")

    async def save(self):
        """Send the form; the list comes, or the form again."""
        async with self.page.expect_navigation():
            await self.page.locator('input[value="Save"], button[type="submit"]:has-text("Save")').first.click()

    async def create(self, title, photo, pages):
        await self.open(self.panel.create_path())
        await self.page.fill("#title", title)
        await self.page.set_input_files("#photo", photo)
        await self.page.set_input_files("#pages", pages)
        await self.save()

    async def edit(self):
        await self.open(self.panel.edit_path())

    async def delete(self):
        await self.open(self.panel.details_path())
        await self.page.get_by_text("Delete", exact=True).first.click()
        async with self.page.expect_navigation():
            await self.page.locator(".modal.show").get_by_role("button", name=re.compile("Delete|Yes")).click()

    async def thumbnails(self):
        """The sizes of the pictures that the page shows, once they have come."""
        await self.page.wait_for_function("() => [...document.images].every(image => image.complete)")
        return await self.page.evaluate(
            "() => [...document.querySelectorAll('a img')].filter(image => image.src.includes('/signed/'))"
            ".map(image => [image.naturalWidth, image.naturalHeight])"
        )


@pytest.fixture
def picked(tmp_path):
    """Makes files that the browser can choose."""

    def picked(name, content):
        (tmp_path / "picked").mkdir(exist_ok=True)
        path = tmp_path / "picked" / name
        path.write_bytes(content)
        return path

    return picked


@pytest.fixture
async def stored(panel, picked):
    """A row with a photo and two pages."""
    pages = [picked("1.txt", b"one"), picked("2.txt", b"two")]
    await panel.create("Sea", picked("söhne.png", encode("PNG")), pages)


async def test_the_list_shows_thumbnails_and_links(panel, stored):
    await panel.open(panel.panel.create_path().replace("create", "list"))
    assert await panel.thumbnails() == [list(SIZE)]
    assert await panel.page.locator("a[href*='/signed/']").all_inner_texts() == ["", "1.txt", "2.txt"]

    async with panel.page.expect_popup() as opened:
        await panel.page.get_by_role("link", name="1.txt").click()
    popup = await opened.value
    assert await popup.inner_text("body") == "one"
    await popup.close()


async def test_an_edit_without_new_files_keeps_them(panel, stored, engine):
    before = files_of(await row_of(engine))
    await panel.edit()
    assert await panel.thumbnails() == [list(SIZE)]
    await panel.page.fill("#title", "Ocean")
    await panel.save()
    row = await row_of(engine)
    assert (row.title, files_of(row), await held_by(panel.storage)) == ("Ocean", before, before)


async def test_a_chosen_file_replaces_the_one_before(panel, stored, engine, picked):
    await panel.edit()
    await panel.page.set_input_files("#photo", picked("new.png", encode("PNG", (5, 4))))
    await panel.save()
    row = await row_of(engine)
    assert (row.photo.filename, row.photo_width) == ("new.png", 5)
    assert await held_by(panel.storage) == files_of(row)


async def test_clear_empties_the_columns(panel, stored, engine):
    await panel.edit()
    for box in await panel.page.get_by_label(CLEAR, exact=True).all():
        await box.check()
    await panel.save()
    row = await row_of(engine)
    assert (row.photo, row.pages, await held_by(panel.storage)) == (None, [], [])


async def test_files_of_a_list_are_added_and_removed(panel, stored, engine, picked):
    await panel.edit()
    await panel.page.get_by_label(REMOVE, exact=True).first.check()
    await panel.page.set_input_files("#pages", [picked("3.txt", b"three"), picked("4.txt", b"four")])
    await panel.save()
    row = await row_of(engine)
    assert [page.filename for page in row.pages] == ["2.txt", "3.txt", "4.txt"]
    assert await held_by(panel.storage) == files_of(row)


async def test_a_refused_file_is_a_message_in_the_form(panel, stored, engine, picked):
    before = files_of(await row_of(engine))
    await panel.edit()
    await panel.page.set_input_files("#photo", picked("page.png", b"<html>"))
    await panel.save()
    message = panel.page.get_by_text("page.png: the content is text/html, which is not allowed").last
    assert await message.is_visible()
    assert await panel.thumbnails() == [list(SIZE)]  # of the photo that stays
    assert files_of(await row_of(engine)) == before == await held_by(panel.storage)


async def test_a_deleted_row_takes_its_files_along(panel, stored, engine):
    await panel.delete()
    assert (await row_of(engine), await held_by(panel.storage)) == (None, [])

"""Files in the pages of admin panels, as an administrator sees them in a browser."""

import pytest

from tests.support.admin import files_of, held_by, row_of
from tests.support.images import SIZE, encode

# Starlette-Admin reads a form once more, for its token, and leaves the files of that to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:.*SpooledTemporaryFile:pytest.PytestUnraisableExceptionWarning")

CLEAR, REMOVE = "Clear", "Remove"


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
    await panel.press_save()
    message = panel.page.get_by_text("page.png: the content is text/html, which is not allowed").last
    await message.wait_for()
    assert await panel.thumbnails() == [list(SIZE)]  # of the photo that stays
    assert files_of(await row_of(engine)) == before == await held_by(panel.storage)


async def test_a_deleted_row_takes_its_files_along(panel, stored, engine):
    await panel.delete()
    assert (await row_of(engine), await held_by(panel.storage)) == (None, [])

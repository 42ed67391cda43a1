"""Rows with files in admin panels, as browsers send their forms."""

import gc
import html
import re

import pytest

from tests.support.admin import Contract, Sqladmin, files_of, held_by, row_of
from tests.support.images import SIZE, encode

PNG = encode("PNG")
NOTHING = ("", b"")  # what a browser sends for an empty input


def links_in(page):
    return [html.unescape(url) for url in re.findall(r'<a href="(http[^"]*/signed/[^"]*)"', page)]


async def create(panel, photo=NOTHING, pages=(NOTHING,), **fields):
    files = [("photo", photo), *(("pages", page) for page in pages)]
    return await panel.client.post(panel.create_path(), data={"title": "Sea", **fields}, files=files)


async def edit(panel, photo=NOTHING, pages=(NOTHING,), **fields):
    files = [("photo", photo), *(("pages", page) for page in pages)]
    return await panel.client.post(panel.edit_path(), data={"title": "Sea", **fields}, files=files)


@pytest.fixture
async def stored(panel):
    """A row with a photo and two pages."""
    answer = await create(panel, ("sea.png", PNG), [("1.txt", b"one"), ("2.txt", b"two")])
    assert answer.is_redirect, answer.text


async def test_list_and_details_show_thumbnails_and_links_that_work(panel, stored):
    for path in (panel.create_path().replace("create", "list"), panel.details_path()):
        page = (await panel.client.get(path)).text
        links = links_in(page)
        assert [(await panel.client.get(link)).content for link in links] == [PNG, b"one", b"two"]
        [thumbnail] = re.findall(r'<img src="([^"]*/signed/[^"]*)"', page)
        assert html.unescape(thumbnail) == links[0]


async def test_an_edit_without_new_files_keeps_them(panel, stored, engine, storage, settled):
    before = files_of(await row_of(engine))
    assert (await edit(panel, title="Ocean")).is_redirect
    row = await row_of(engine)
    await settled()
    assert (row.title, files_of(row), await held_by(storage)) == ("Ocean", before, before)
    assert (row.photo_width, row.photo_height) == SIZE


async def test_a_chosen_file_replaces_the_one_before(panel, stored, engine, storage, settled):
    photo = encode("PNG", (5, 4))
    assert (await edit(panel, ("new.png", photo))).is_redirect
    row = await row_of(engine)
    await settled()
    assert (row.photo.filename, await row.photo.read(), row.photo_width) == ("new.png", photo, 5)
    assert await held_by(storage) == files_of(row)


async def test_clear_empties_the_columns(panel, stored, engine, storage, settled):
    assert (await edit(panel, **panel.clear("photo"), **panel.clear("pages"))).is_redirect
    row = await row_of(engine)
    await settled()
    assert (row.photo, row.pages, row.photo_width, await held_by(storage)) == (None, [], None, [])


async def test_files_of_a_list_are_added_and_removed(panel, stored, engine, storage, settled):
    first = (await row_of(engine)).pages[0]
    sent = panel.remove("pages", str(first), "file:of-another-row.txt")
    assert (await edit(panel, pages=[("3.txt", b"three"), ("4.txt", b"four")], **sent)).is_redirect
    row = await row_of(engine)
    await settled()
    assert [page.filename for page in row.pages] == ["2.txt", "3.txt", "4.txt"]
    assert await held_by(storage) == files_of(row)


@pytest.mark.parametrize("panel_class", [Sqladmin], indirect=True)
async def test_a_row_that_is_saved_as_a_new_one_names_the_same_files(panel, stored, engine, storage, settled):
    assert (await edit(panel, save="Save as new")).is_redirect
    before = files_of(await row_of(engine))
    assert files_of(await row_of(engine, number=2)) == before
    await panel.delete()
    await settled()
    assert (files_of(await row_of(engine, number=2)), await held_by(storage)) == (before, before)


async def test_a_form_names_no_file_of_another_row(panel, engine, storage):
    other = await storage.save(b"secret", "other.txt")
    sent = {f"{name}{suffix}": str(other) for name in ("photo", "pages") for suffix in ("", "-current")}
    answer = await panel.client.post(
        panel.create_path(), data={"title": "Sea", **sent}, files=[("pages", ("1.txt", b"one"))]
    )
    assert answer.is_redirect
    row = await row_of(engine)
    assert (row.photo, [page.filename for page in row.pages]) == (None, ["1.txt"])


async def test_empty_inputs_store_nothing(panel, engine, storage):
    assert (await create(panel)).is_redirect
    row = await row_of(engine)
    assert (row.photo, row.pages, await held_by(storage)) == (None, [], [])


@pytest.mark.parametrize("send", [create, edit])
async def test_a_refused_file_is_a_message_in_the_form(panel, stored, engine, storage, settled, send):
    before = files_of(await row_of(engine))
    answer = await send(panel, ("<b>.png", b"<html>"), [("3.txt", b"three")])
    assert answer.status_code in {400, 422}
    assert "&lt;b&gt;.png: the content is text/html, which is not allowed</div>" in answer.text
    assert len(links_in(answer.text)) == (3 if send is edit else 0)  # of the row that is edited
    await settled()
    assert await held_by(storage) == before


async def test_a_large_file_comes_whole(panel, engine, storage):
    assert (await create(panel, pages=[("large.bin", bytes(3_000_000))])).is_redirect
    [page] = (await row_of(engine)).pages
    assert await page.get_size() == 3_000_000


async def test_a_deleted_row_takes_its_files_along(panel, stored, engine, storage, settled):
    assert (await panel.delete()).status_code == 200
    await settled()
    assert (await row_of(engine), await held_by(storage)) == (None, [])


async def test_a_column_that_needs_a_file_says_so(panel, storage, settled):
    answer = await panel.client.post(panel.create_path("contract"), files=[("file", NOTHING)])
    assert answer.status_code in {400, 422}
    assert "This field is required." in answer.text
    assert await held_by(storage) == []


async def test_a_column_that_needs_a_file_is_never_cleared(panel, engine, storage):
    created = await panel.client.post(panel.create_path("contract"), files=[("file", ("a.txt", b"a"))])
    assert created.is_redirect
    path = panel.edit_path(row="contract")
    assert (await panel.client.post(path, data=panel.clear("file"), files=[("file", NOTHING)])).status_code in {
        400,
        422,
    }
    assert (await panel.client.post(path, files=[("file", NOTHING)])).is_redirect
    assert await (await row_of(engine, Contract)).file.read() == b"a"


async def test_a_column_with_a_default_needs_none_and_is_never_cleared(panel, engine, storage):
    assert (await panel.client.post(panel.create_path("contract"), files=[("file", ("a.txt", b"a"))])).is_redirect
    assert (await row_of(engine, Contract)).terms.name == "terms.txt"
    path = panel.edit_path(row="contract")
    page = (await panel.client.get(path)).text
    assert not any(name in page for name in [*panel.clear("file"), *panel.clear("terms")])
    answer = await panel.client.post(path, data=panel.clear("terms"), files=[("terms", NOTHING)])
    assert answer.status_code in {400, 422}
    assert "This field is required." in answer.text


@pytest.mark.filterwarnings("ignore:.*SpooledTemporaryFile:pytest.PytestUnraisableExceptionWarning")  # of the input
async def test_a_read_only_column_takes_nothing(panel, engine, storage):
    sent = [("file", ("a.txt", b"a")), ("seal", ("seal.png", PNG))]
    assert (await panel.client.post(panel.create_path("contract"), files=sent)).is_redirect
    page = (await panel.client.get(panel.edit_path(row="contract"))).text
    assert re.findall(r'<input type="file"[^>]* name="(\w+)"', page) == ["file", "terms"]
    row = await row_of(engine, Contract)
    assert (row.seal, await held_by(storage)) == (None, [str(row.file)])
    gc.collect()


@pytest.mark.parametrize("file_id", ["gone:elsewhere/lost.png", "s3://elsewhere/lost.png"])
async def test_a_file_that_no_storage_serves_breaks_no_page(panel, stored, engine, file_id):
    async with engine.begin() as connection:
        await connection.exec_driver_sql(f"UPDATE items SET photo = '{file_id}'")
    for path in (panel.create_path().replace("create", "list"), panel.details_path(), panel.edit_path()):
        answer = await panel.client.get(path)
        assert answer.status_code == 200
        assert "lost.png" in answer.text

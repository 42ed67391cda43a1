"""The progress of uploads in the forms of admin panels, over a slow network, a broken one, and without the script."""

import pytest

from async_storages.testing.faults import FaultProxy, Reset, request_body, response_header
from tests.support.admin import files_of, held_by, row_of
from tests.support.browser import browser_page
from tests.support.images import SIZE, encode

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*SpooledTemporaryFile:pytest.PytestUnraisableExceptionWarning"),
    # Starlette's middleware left a stream of its own open where the client goes: seen with 0.41.3, not with 1.10
    pytest.mark.filterwarnings("ignore:.*MemoryObjectReceiveStream:pytest.PytestUnraisableExceptionWarning"),
]

LARGE = bytes(400_000)
SLOW = 200_000
"""Bytes per second."""


@pytest.fixture
async def network(page):
    """Sets the network's speed."""
    session = await page.context.new_cdp_session(page)
    await session.send("Network.enable")

    async def network(speed):
        conditions = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": speed}
        await session.send("Network.emulateNetworkConditions", conditions)

    yield network
    await session.detach()


@pytest.fixture
async def seen(page):
    """What the dialog has shown: a text, and the part that was sent, if it is known."""
    seen = []
    await page.expose_function("note", lambda *shown: seen.append(shown))
    await page.add_init_script(
        "new MutationObserver(() => {"
        "  const dialog = document.querySelector('dialog[open]');"
        "  if (dialog) note(dialog.querySelector('p').textContent, dialog.querySelector('progress').position);"
        "}).observe(document, {subtree: true, childList: true, attributes: true, characterData: true})"
    )
    return seen


async def fill_in(panel, picked, *pages, photo="sea.png", content=None):
    await panel.open(panel.panel.create_path())
    await panel.page.fill("#title", "Sea")
    await panel.page.set_input_files("#photo", picked(photo, content or encode("PNG")))
    await panel.page.set_input_files("#pages", [picked(name, LARGE) for name in pages])


async def test_a_bar_shows_the_part_that_was_sent(panel, picked, engine, seen, network):
    await fill_in(panel, picked, "1.txt", "2.txt")
    await network(SLOW)
    await panel.save()
    parts = [part for text, part in seen if "of 800" in text]
    assert parts == sorted(parts)
    assert len({part for part in parts if 0 < part < 1}) >= 3
    assert any(text.startswith("Sent.") and part == -1 for text, part in seen)
    assert "/list" in panel.page.url
    assert await panel.thumbnails() == [list(SIZE)]
    row = await row_of(engine)
    assert [each.filename for each in row.pages] == ["1.txt", "2.txt"]
    assert files_of(row) == await held_by(panel.storage)


async def test_the_panel_says_what_it_says_after_an_ordinary_submit(panel, picked):
    await fill_in(panel, picked, "1.txt")
    await panel.save()
    is_told = panel.panel.kind == "starlette-admin"  # SQLAdmin says nothing
    assert await panel.page.get_by_text("was added successfully").count() == is_told


async def test_the_button_that_was_pressed(panel, picked, engine):
    await fill_in(panel, picked)
    await panel.save("Save and continue editing")
    assert "/edit" in panel.page.url
    assert await panel.thumbnails() == [list(SIZE)]
    await panel.page.set_input_files("#pages", picked("3.txt", b"three"))
    await panel.save("Save and continue editing")  # the page that is shown already
    assert [each.filename for each in (await row_of(engine)).pages] == ["3.txt"]
    assert await panel.page.get_by_role("link", name="3.txt").count() == 1


async def test_a_refused_file_leaves_the_form_as_it_is(panel, picked, engine):
    await fill_in(panel, picked, "1.txt", photo="page.png", content=b"<html>")
    for _ in range(2):
        await panel.press_save()
        message = panel.page.get_by_text("page.png: the content is text/html, which is not allowed").last
        await panel.page.locator("dialog").wait_for(state="detached")
        await message.wait_for()
    assert (await row_of(engine), await held_by(panel.storage)) == (None, [])
    assert await panel.page.input_value("#title") == "Sea"
    assert await panel.page.evaluate("document.querySelector('#pages').files.length") == 1
    await panel.page.set_input_files("#photo", picked("sea.png", encode("PNG")))
    await panel.save()
    row = await row_of(engine)
    assert [row.photo.filename, *(each.filename for each in row.pages)] == ["sea.png", "1.txt"]


async def begun(panel, network):
    """Wait until something was sent, and not all."""
    await network(SLOW)
    await panel.press_save()
    await panel.page.wait_for_function("() => document.querySelector('dialog progress').value > 0")


BROKEN = {
    "half of it": (request_body("middle"), "The connection was lost before all was sent"),
    "the answer": (response_header(), "No answer came"),
}


@pytest.mark.parametrize(("place", "message"), BROKEN.values(), ids=BROKEN.keys())
async def test_a_network_that_breaks(panel, picked, engine, network, place, message):
    async with FaultProxy("127.0.0.1", int(panel.url.rpartition(":")[2])) as proxy:
        panel.url = proxy.url
        await fill_in(panel, picked, "1.txt", "2.txt")
        await network(SLOW)
        proxy.inject(Reset(), place, times=None, when=lambda method, path: method == "POST")
        await panel.press_save()
        await panel.page.get_by_text(message).wait_for()
        assert await panel.page.locator("dialog").count() == 0
        assert await panel.page.input_value("#title") == "Sea"
        assert await panel.page.evaluate("document.querySelector('#pages').files.length") == 2
        await panel.page.goto("about:blank")
    if "before" in message:
        assert (await row_of(engine), await held_by(panel.storage)) == (None, [])


async def test_an_upload_that_is_cancelled(panel, picked, engine, network):
    await fill_in(panel, picked, "1.txt", "2.txt")
    await begun(panel, network)
    await panel.page.locator("dialog").get_by_role("button", name="Cancel").click()
    await panel.page.get_by_text("Cancelled. Nothing was saved.").wait_for()
    assert (await row_of(engine), await held_by(panel.storage)) == (None, [])


async def test_the_back_button_shows_the_form_again(panel, picked):
    await fill_in(panel, picked)
    address = panel.page.url
    await panel.save()
    await panel.page.go_back()
    assert panel.page.url == address
    assert await panel.page.locator("dialog").count() == 0
    assert await panel.page.locator("#photo").is_enabled()


async def test_a_policy_that_forbids_inline_scripts(panel, picked, seen):
    async def forbid(route):
        answer = await route.fetch()
        headers = {**answer.headers, "content-security-policy": "script-src 'self'"}
        await route.fulfill(response=answer, headers=headers)

    await panel.page.route("**/create", forbid)
    await fill_in(panel, picked)
    await panel.page.unroute("**/create")
    await panel.save()
    assert seen
    assert await panel.thumbnails() == [list(SIZE)]


async def test_a_server_that_refuses_it_all(panel, picked):
    await fill_in(panel, picked)
    await panel.page.route("**/create", lambda route: route.fulfill(status=413, body="Request Entity Too Large"))
    await panel.press_save()
    await panel.page.get_by_text("The server refused it (413): Request Entity Too Large").wait_for()
    assert await panel.page.input_value("#title") == "Sea"


class TestWithoutScripts:
    @pytest.fixture
    async def page(self):
        async with browser_page(java_script_enabled=False) as page:
            yield page

    async def test_the_form_works(self, panel, picked, engine):
        await fill_in(panel, picked, "1.txt", photo="page.png", content=b"<html>")
        await panel.save()
        assert await panel.page.get_by_text("page.png: the content is text/html, which is not allowed").count()
        await fill_in(panel, picked, "1.txt")
        await panel.save()
        assert files_of(await row_of(engine)) == await held_by(panel.storage)
        assert len(await held_by(panel.storage)) == 2

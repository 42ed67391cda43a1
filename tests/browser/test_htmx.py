"""The htmx application of docs/how-to/list-with-urls.md in a browser, with the htmx that npm has."""

import re
from pathlib import Path

import pytest

from tests.support.npm import script_of
from tests.support.uvicorn_server import served

GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "list-with-urls.md"
SHOWN = "image => image.complete && image.naturalWidth"
LISTED = "document.querySelectorAll('#pictures li').length == {}"


@pytest.fixture
def app(tmp_path, monkeypatch):
    """The program of the guide, as a module in an empty folder."""
    [code] = [code for code in re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL) if "hx-post" in code]
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "app"}
    exec(compile(code, "app.py", "exec"), namespace)
    return namespace["app"]


async def serve_htmx(page):
    """Answer the script of the page from npm's package, in the version that the page names."""
    pinned = Path(__file__).with_name("htmx")
    script = script_of(pinned, "htmx", lambda folder: folder / "node_modules" / "htmx.org" / "dist" / "htmx.min.js")
    version = re.search(r"\d+\.\d+\.\d+", (pinned / "package.json").read_text())[0]
    await page.route(
        f"https://unpkg.com/htmx.org@{version}/dist/htmx.min.js",
        lambda route: route.fulfill(body=script, content_type="text/javascript"),
    )


async def test_a_picture_is_added_shown_and_deleted_without_a_reload(page, app, tmp_path):
    pillow = pytest.importorskip("PIL.Image")
    pillow.new("RGB", (30, 20)).save(tmp_path / "cat.png")
    await serve_htmx(page)
    async with served(app) as url:
        await page.goto(url)
        await page.evaluate("window.wasLoadedOnce = true")
        await page.set_input_files("input", tmp_path / "cat.png")
        await page.click("text=Upload")
        image = await page.wait_for_selector("#pictures img")
        await page.wait_for_function(SHOWN, arg=image)
        assert await image.evaluate(SHOWN) == 30
        assert await image.get_attribute("alt") == "cat.png"
        assert await page.evaluate("window.wasLoadedOnce")

        await page.reload()
        assert await page.evaluate(LISTED.format(1))
        await page.evaluate("window.wasLoadedOnce = true")
        await page.click("text=Delete")
        await page.wait_for_function(LISTED.format(0))
        assert await page.evaluate("window.wasLoadedOnce")
        await page.goto("about:blank")  # its connections are closed before the server is
    assert list((tmp_path / "files").rglob("*cat.png")) == []


async def test_an_upload_that_is_refused_adds_nothing(page, app, tmp_path):
    (tmp_path / "page.png").write_bytes(b"<html>")
    await serve_htmx(page)
    async with served(app) as url:
        await page.goto(url)
        await page.set_input_files("input", tmp_path / "page.png")
        async with page.expect_response("**/pictures") as refused:
            await page.click("text=Upload")
        assert (await refused.value).status == 400
        assert await page.evaluate(LISTED.format(0))
        await page.goto("about:blank")

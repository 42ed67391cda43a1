"""The pages of `examples/gallery` in a real browser, on a desk and on a phone.

After each test the page has logged no error and asked nobody but the gallery and its storage.
"""

import io
from contextlib import asynccontextmanager
from importlib.metadata import version
from urllib.parse import urlsplit

import pytest
from PIL import Image

from async_storages.testing.faults import FaultProxy, Reset, Stall, Throttle, request_body, response_header
from tests.support.browser import browser_page
from tests.support.galleries import drain, files_of, make_gallery, rows_of, sizes_of
from tests.support.hostile_images import black_png
from tests.support.images import encode, noise
from tests.support.uvicorn_server import served

DESK, PHONE = (1400, 900), (390, 844)
REFUSALS = "Failed to load resource: the server responded with a status of 4"
LOST = "Failed to load resource: net::ERR"
LEAVES_FILES_OPEN = version("starlette").startswith("0.")
"""Old releases of Starlette leave the files of a form open when the client goes: seen with 0.41.3, not with 1.10."""

HOSTILE = '"><img src=x onerror=document.title=1><b>.png'
STRONG_ENOUGH = 4.5  # WCAG 2.2, AA


def plain(colour, size=(300, 200)):
    """A picture of one colour."""
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "PNG")
    return out.getvalue()


def file(name, content):
    """A file as a browser's user chooses it."""
    return {"name": name, "mimeType": "", "buffer": content}


def allow_open_files(test):
    """Let Python close files that an old Starlette has left open."""
    for kind in ("SpooledTemporaryFile", "FileIO", "BufferedRandom") if LEAVES_FILES_OPEN else ():
        test = pytest.mark.filterwarnings(f"ignore:.*{kind}:pytest.PytestUnraisableExceptionWarning")(test)
    return test


THREE = [
    file(f"{colour}.png", plain(colour, size))
    for colour, size in {"red": (300, 200), "green": (200, 300), "blue": (200, 200)}.items()
]


class Gallery:
    """The gallery as its visitor sees it."""

    def __init__(self, page, app, proxy):
        self.page, self.app, self.proxy = page, app, proxy
        self.tiles = page.locator(".tile")
        self.rows = page.locator("#uploads .upload")
        self.lightbox = page.locator("#lightbox")
        self.facts = self.lightbox.locator(".facts")
        self.logged, self.asked, self.expected = [], set(), ()
        page.on("console", lambda said: self.logged.append(said.text) if said.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: self.logged.append(str(error)))
        page.on("request", lambda request: self.asked.add(urlsplit(request.url).netloc))

    async def open(self):
        await self.page.goto(self.proxy.url)

    async def upload(self, *files):
        """Choose files, and wait until all are in the grid."""
        before = await self.tiles.count()
        await self.page.set_input_files("#files", files)
        await self.tiles.nth(before + len(files) - 1).wait_for()
        await self.rows.first.wait_for(state="detached")

    async def fail(self, *files):
        """Choose files that are refused, or do not arrive; the messages by their names."""
        await self.page.set_input_files("#files", files)
        failed = self.page.locator(".upload.failed")
        await failed.nth(len(files) - 1).wait_for()
        return {
            await row.locator(".name").inner_text(): await row.locator(".state").inner_text()
            for row in await failed.all()
        }

    async def pictures_are_there(self):
        """Wait until every picture of the grid has been loaded and shown."""
        await self.page.wait_for_function(
            "() => [...document.querySelectorAll('.tile img')].every(image => image.complete && image.naturalWidth)"
        )

    async def alts(self):
        return await self.page.locator(".tile img").evaluate_all("images => images.map(image => image.alt)")

    async def colour(self, selector):
        """The colour in the middle of a canvas or an image."""
        return await self.page.locator(selector).evaluate(
            """shown => {
              const canvas = document.createElement("canvas")
              const context = canvas.getContext("2d")
              const width = shown.naturalWidth || shown.width, height = shown.naturalHeight || shown.height
              context.drawImage(shown, width / 2, height / 2, 1, 1, 0, 0, 1, 1)
              return [...context.getImageData(0, 0, 1, 1).data]
            }"""
        )

    async def delete_shown(self):
        await self.lightbox.get_by_role("button", name="Delete").click()
        await self.page.locator("#confirm").get_by_role("button", name="Delete").click()

    async def assert_whole(self):
        """Every file is that of a photograph, and every photograph has all of its files."""
        await drain(self.app)
        wanted = {size.file_id for photo in await rows_of(self.app) for size in sizes_of(photo)}
        assert await files_of(self.app) == wanted


@pytest.fixture(params=["local"])
def app(request, tmp_path):
    yield from make_gallery(request, tmp_path)


@pytest.fixture(params=[DESK, PHONE], ids=["desk", "phone"])
def window(request):
    return request.param


@asynccontextmanager
async def visited(app, window):
    async with browser_page() as page, served(app) as url:
        parts = urlsplit(url)
        async with FaultProxy(parts.hostname, parts.port) as proxy:
            await page.set_viewport_size(dict(zip(("width", "height"), window, strict=True)))
            gallery = Gallery(page, app, proxy)
            await gallery.open()
            yield gallery
            await gallery.assert_whole()
            await page.goto("about:blank")  # its connections are closed before the server is
    unexpected = [text for text in gallery.logged if not text.startswith(tuple(gallery.expected))]
    assert unexpected == []
    policy = app.state.page_headers["Content-Security-Policy"]  # which names the server of the storage, if it is one
    assert [host for host in gallery.asked if f"//{host}" not in f"{proxy.url} {policy}"] == []


@pytest.fixture
async def gallery(app, window):
    async with visited(app, window) as gallery:
        yield gallery


on_a_desk = pytest.mark.parametrize("window", [DESK], ids=["desk"], indirect=True)


@pytest.mark.parametrize("app", ["local", "s3"], indirect=True)
async def test_photographs_are_uploaded_stay_are_replaced_and_deleted(gallery):
    page = gallery.page
    assert await page.get_by_text("Nothing here yet.").is_visible()
    await gallery.upload(*THREE)
    assert await page.locator(".top p").inner_text() == "3 photographs"

    await page.reload()
    await gallery.pictures_are_there()
    assert sorted(await gallery.alts()) == ["blue", "green", "red"]
    assert not await page.get_by_text("Nothing here yet.").is_visible()
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    placeholder, image = await gallery.colour(".tile:has([alt=red]) canvas"), [255, 0, 0, 255]
    assert all(abs(one - other) < 40 for one, other in zip(placeholder, image, strict=True))

    await page.get_by_alt_text("red").click()
    await gallery.lightbox.wait_for()
    assert await gallery.facts.inner_text() == "red.png · 300 × 200"
    await page.set_input_files("#replacement", file("white.jpg", encode("JPEG", (120, 160))))
    await page.get_by_text("white.jpg · 120 × 160").wait_for()
    assert await gallery.tiles.count() == 3

    for left in (2, 1, 0):
        await gallery.delete_shown()
        await page.wait_for_function("left => document.querySelectorAll('.tile').length === left", arg=left)
    await gallery.lightbox.wait_for(state="hidden")
    assert await page.locator(".top p").inner_text() == "0 photographs"
    await drain(gallery.app)
    assert await files_of(gallery.app) == set()


async def test_a_photograph_of_20_megabytes_shows_how_far_it_is(gallery, tmp_path):
    large = tmp_path / "large.jpg"
    large.write_bytes(noise("JPEG", (5000, 3200), quality=98))
    assert 20_000_000 < large.stat().st_size < 25_000_000
    gallery.proxy.inject(Throttle(40_000_000), request_body(), when=lambda method, _: method == "POST")
    await gallery.page.evaluate(
        """() => {
          window.seen = []
          new MutationObserver(() => {
            const row = document.querySelector(".upload")
            if (row) seen.push([row.querySelector("progress").value, row.querySelector(".state").textContent])
          }).observe(document.querySelector("#uploads"), {subtree: true, childList: true, attributes: true})
        }"""
    )

    await gallery.upload(large)

    await gallery.pictures_are_there()
    assert "/card_400-" in await gallery.tiles.locator("img").evaluate("image => image.currentSrc")
    seen = await gallery.page.evaluate("seen")
    parts = [part for part, _ in seen]
    assert parts == sorted(parts)
    assert len({part for part in parts if 0 < part < 1}) >= 3
    assert seen[-1] == [1, "Making its sizes"]
    assert any(text == f"{int(100 * part)} %" for part, text in seen)


async def test_what_is_refused_says_so_beside_its_name(gallery, tmp_path):
    gallery.expected = [REFUSALS]
    contents = {
        "letter.jpg": b"Dear Ada, " * 100,
        "bomb.png": black_png(9000, 9000),
        "large.jpg": encode("JPEG") + bytes(25_000_000),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    refused = await gallery.fail(*(tmp_path / name for name in contents))
    assert refused == {
        "letter.jpg": "Refused: the content is not an image of a known format.",
        "bomb.png": "Refused: 9000 by 9000 pixels are more than the 50000000 allowed.",
        "large.jpg": "This file is too large: 25 MB are the most.",
    }
    assert await gallery.page.get_by_role("button", name="Try again").count() == 0
    said = await gallery.page.get_by_role("status").inner_text()
    assert any(said == f"{name}: {message}" for name, message in refused.items())

    await gallery.page.set_input_files("#files", file("red.png", plain("red")))
    await gallery.tiles.first.wait_for()
    for name in refused:
        await gallery.page.get_by_role("button", name=f"Dismiss {name}").click()
    assert await gallery.rows.count() == 0
    await drain(gallery.app)
    assert len({photo.image.filename for photo in await rows_of(gallery.app)}) == 1


@on_a_desk
async def test_a_refused_replacement_replaces_nothing(gallery):
    gallery.expected = [REFUSALS]
    await gallery.upload(*THREE[:2])
    await gallery.tiles.first.click()
    before = await gallery.facts.inner_text()
    await gallery.page.set_input_files("#replacement", file("letter.jpg", b"Dear Ada, " * 100))
    message = gallery.lightbox.locator(".upload.failed .state")
    await message.wait_for()
    assert await message.inner_text() == "Refused: the content is not an image of a known format."
    assert await gallery.facts.inner_text() == before

    await gallery.page.keyboard.press("ArrowRight")
    assert not await message.is_visible()  # which is about the other one
    await gallery.page.keyboard.press("ArrowLeft")
    assert await message.is_visible()


@allow_open_files
async def test_a_lost_connection_is_told_and_can_be_tried_again(gallery):
    gallery.expected = [LOST]
    fault = gallery.proxy.inject(Reset(), request_body("middle"), times=None, when=lambda method, _: method == "POST")

    failed = await gallery.fail(file("noise.png", noise("PNG", (1200, 900))))
    assert failed == {"noise.png": "The connection was lost."}
    assert fault.fired
    await drain(gallery.app)
    assert await files_of(gallery.app) == set()

    fault.release()
    await gallery.page.get_by_role("button", name="Try again").click()
    await gallery.tiles.first.wait_for()
    await gallery.rows.wait_for(state="detached")
    await gallery.pictures_are_there()


@allow_open_files
@on_a_desk
async def test_a_cancelled_upload_leaves_nothing(gallery, tmp_path):
    (tmp_path / "large.jpg").write_bytes(bytes(24_000_000))  # more than sockets hold
    stall = gallery.proxy.inject(Stall(), request_body(1000), when=lambda method, _: method == "POST")
    await gallery.page.set_input_files("#files", tmp_path / "large.jpg")
    await stall.wait_fired()
    await gallery.page.get_by_role("button", name="Cancel large.jpg").click()
    assert await gallery.rows.count() == 0
    stall.release()
    await gallery.upload(file("red.png", plain("red")))
    assert await gallery.alts() == ["red"]


@on_a_desk
async def test_what_the_server_has_cannot_be_cancelled(gallery):
    stall = gallery.proxy.inject(Stall(), response_header(), when=lambda method, _: method == "POST")
    await gallery.page.set_input_files("#files", file("red.png", plain("red")))
    await gallery.page.get_by_text("Making its sizes").wait_for()
    await gallery.page.get_by_role("button", name="Cancel red.png").click(force=True)  # though it is disabled
    assert await gallery.rows.count() == 1
    stall.release()
    await gallery.tiles.first.wait_for()
    assert await gallery.rows.count() == 0


@on_a_desk
async def test_a_hostile_name_is_text(gallery):
    page = gallery.page
    gallery.expected = [REFUSALS]
    assert await gallery.fail(file(HOSTILE, b"no image")) == {
        HOSTILE: "Refused: the content is not an image of a known format."
    }
    await page.get_by_role("button", name=f"Dismiss {HOSTILE}").click()

    await gallery.upload(file(HOSTILE, plain("red")))
    await page.reload()
    await gallery.pictures_are_there()
    [alt] = await gallery.alts()
    assert "<img src=x" in alt
    await gallery.tiles.first.click()
    assert "onerror" in await gallery.facts.inner_text()
    assert await page.title() == "Gallery"
    assert await page.locator("img[src=x]").count() == 0


@on_a_desk
async def test_dropped_files_are_uploaded(gallery):
    page = gallery.page
    dropped = await page.evaluate_handle(
        """async () => {
          const canvas = new OffscreenCanvas(30, 20)
          canvas.getContext("2d").fillRect(0, 0, 30, 20)
          const dropped = new DataTransfer()
          for (const name of ["a.png", "b.png"]) dropped.items.add(new File([await canvas.convertToBlob()], name))
          return dropped
        }"""
    )
    await page.dispatch_event("body", "dragover", {"dataTransfer": dropped})
    assert await page.locator("body.dragging").count() == 1
    await page.dispatch_event("body", "drop", {"dataTransfer": dropped})
    assert await page.locator("body.dragging").count() == 0
    await gallery.tiles.nth(1).wait_for()
    await gallery.rows.first.wait_for(state="detached")
    assert sorted(await gallery.alts()) == ["a", "b"]


FOCUSED = """() => {
  const focused = document.activeElement
  const ring = focused.matches("[type=file]") ? document.querySelector(`[for=${focused.id}]`) : focused
  const {outlineStyle, outlineWidth} = getComputedStyle(ring)
  const name = focused.getAttribute("aria-label") || focused.id || ring.textContent.trim()
  return [name || focused.querySelector("img")?.alt, outlineStyle === "solid" && parseFloat(outlineWidth) >= 3]
}"""


async def test_the_keyboard_is_enough(gallery):
    page = gallery.page

    async def press(*keys):
        for key in keys:
            await page.keyboard.press(key)

    async def focused():
        name, has_ring = await page.evaluate(FOCUSED)
        assert has_ring, f"{name} has the focus, and nobody sees it"
        return name

    async def tab_to(name):
        for _ in range(20):
            await press("Tab")
            if (reached := await focused()) == name:
                return
        pytest.fail(f"no Tab leads to {name!r}, the last one led to {reached!r}")

    await tab_to("files")
    await page.set_input_files("#files", THREE[:1])  # Enter opens the browser's own dialog, which no test can drive
    await gallery.tiles.first.wait_for()
    await gallery.upload(THREE[1])

    await tab_to("green")
    await press("Enter")
    assert await focused() == "Close"
    await press("ArrowRight")
    assert await gallery.lightbox.locator(".position").inner_text() == "2 of 2"
    await press("ArrowRight")
    assert (await gallery.facts.inner_text()).startswith("red.png")

    await tab_to("alt")
    await press("ControlOrMeta+a")
    await page.keyboard.type("A red wall")
    await press("ArrowLeft", "Enter")  # which moves in the text, and saves
    await page.get_by_alt_text("A red wall").first.wait_for()
    await tab_to("replacement")
    await page.set_input_files("#replacement", THREE[2])
    await page.get_by_text("blue.png · 200 × 200").wait_for()

    await press("Escape")
    await gallery.lightbox.wait_for(state="hidden")
    assert await focused() == "A red wall"
    await press("Enter")
    await tab_to("Delete")
    await press("Enter")
    assert await focused() == "Keep"
    await press("Escape")
    assert await gallery.tiles.count() == 2
    assert await focused() == "Delete"
    await press("Enter", "Tab", "Enter")
    await page.wait_for_function("() => document.querySelectorAll('.tile').length === 1")
    await press("Escape")
    await gallery.lightbox.wait_for(state="hidden")
    await page.wait_for_function("() => !document.activeElement.closest('dialog')")  # the event comes a moment later
    assert await focused() == "green"


CONTRASTS = """() => {
  const parsed = colour => colour.match(/[\\d.]+/g).map(Number)
  const light = colour => {
    const [r, g, b] = parsed(colour).slice(0, 3).map(value => value / 255)
      .map(value => value <= .03928 ? value / 12.92 : ((value + .055) / 1.055) ** 2.4)
    return .2126 * r + .7152 * g + .0722 * b
  }
  const behind = element => {
    for (let each = element; each; each = each.parentElement) {
      const colour = getComputedStyle(each).backgroundColor
      if ((parsed(colour)[3] ?? 1) === 1) return colour
    }
    return "rgb(255, 255, 255)"
  }
  const hasText = element => [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim())
  const weak = []
  for (const element of document.querySelectorAll("body *")) {
    const isRead = hasText(element) || element.matches("input:not([type=file])")
    if (!isRead || element.closest(".unseen, noscript") || !element.checkVisibility()) continue
    const [one, other] = [getComputedStyle(element).color, behind(element)].map(light).sort((a, b) => a - b)
    const contrast = (other + .05) / (one + .05)
    weak.push([contrast, element.textContent.trim() || element.id])
  }
  return weak.sort((one, other) => one[0] - other[0])
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_everything_can_be_read(gallery, scheme):
    page = gallery.page
    gallery.expected = [REFUSALS]
    await page.emulate_media(color_scheme=scheme)
    await gallery.upload(*THREE)
    await gallery.fail(file("letter.jpg", b"Dear Ada, " * 100))
    contrasts = await page.evaluate(CONTRASTS)
    await gallery.tiles.nth(1).click()
    await page.set_input_files("#replacement", file("letter.jpg", b"Dear Ada, " * 100))
    await gallery.lightbox.locator(".upload.failed").wait_for()
    contrasts += await page.evaluate(CONTRASTS)
    await gallery.lightbox.get_by_role("button", name="Delete").click()
    contrasts += await page.evaluate(CONTRASTS)

    assert {"Gallery", "Choose photographs", "Original", "Delete", "Keep", "alt"} <= {name for _, name in contrasts}
    assert [each for each in contrasts if each[0] < STRONG_ENOUGH] == []
    paper = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == {"light": "rgb(250, 249, 246)", "dark": "rgb(21, 21, 19)"}[scheme]


async def test_fingers_find_every_button(gallery):
    await gallery.upload(*THREE)
    await gallery.tiles.nth(1).click()
    await gallery.lightbox.get_by_role("button", name="Delete").click()
    small = await gallery.page.evaluate(
        """() => [...document.querySelectorAll("button, .button, .drop label, .describe input")]
          .filter(each => each.checkVisibility()).map(each => [each.textContent, each.getBoundingClientRect()])
          .filter(([_, {width, height}]) => width < 44 || height < 44)"""
    )
    assert small == []
    boxes = await gallery.page.evaluate(
        """() => [...document.querySelectorAll("#lightbox .panel, #confirm")].map(each => each.getBoundingClientRect())
          .map(({left, right, bottom}) => left >= 0 && right <= innerWidth && bottom <= innerHeight)"""
    )
    assert boxes == [True, True]


@on_a_desk
async def test_nothing_moves_for_those_who_want_it_so(gallery):
    page = gallery.page
    await page.emulate_media(reduced_motion="reduce")
    gallery.proxy.inject(Throttle(2_000_000), request_body(), when=lambda method, _: method == "POST")
    await page.set_input_files("#files", file("noise.png", noise("PNG", (1200, 900))))
    await gallery.rows.first.wait_for()
    await page.evaluate(
        """() => {
          window.moved = 0
          for (const moves of ["transitionrun", "animationstart"]) addEventListener(moves, () => moved++)
        }"""
    )
    await gallery.tiles.first.wait_for()
    await gallery.tiles.first.hover()
    await gallery.tiles.first.click()
    await gallery.lightbox.wait_for()
    assert await page.evaluate("[moved, document.getAnimations().length]") == [0, 0]


async def test_a_swipe_leads_to_the_next_one(gallery):
    await gallery.upload(*THREE[:2])
    await gallery.tiles.first.click()
    await gallery.lightbox.wait_for()
    for begin, end, position in ((300, 100, "2 of 2"), (300, 280, "2 of 2"), (100, 300, "1 of 2")):
        await gallery.page.evaluate(
            """([begin, end]) => {
              const target = document.querySelector(".stage")
              const touch = clientX => [new Touch({identifier: 1, target, clientX})]
              target.dispatchEvent(new TouchEvent("touchstart", {touches: touch(begin)}))
              target.dispatchEvent(new TouchEvent("touchend", {changedTouches: touch(end)}))
            }""",
            [begin, end],
        )
        assert await gallery.lightbox.locator(".position").inner_text() == position

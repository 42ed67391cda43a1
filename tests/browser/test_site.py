"""The documentation, built and looked at in a browser: its search, its width, and where it loads from."""

import html
import re
import subprocess
import sys

import pytest

from tools.package import ROOT
from tools.site_screenshots import serving

pytestmark = pytest.mark.timeout(900)  # for the build, on a busy machine

FIRST_FOUND = {
    "delete a file": "how-to/delete/",
    "thumbnail": "how-to/variants/",
    "presigned url": "how-to/presigned-urls/",
    "upload from browser": "how-to/direct-uploads/",
    "test without S3": "how-to/testing/",
    "MinIO": "providers/minio/",
    "mysql": "how-to/databases/",
    "no storage is registered": "how-to/troubleshooting/",
    "缩略图": "zh/tutorial/3-images/",
    "迁移": "zh/how-to/migrating-rows/",
}
NARROW = ["", "zh/", "tutorial/", "how-to/", "how-to/columns/", "providers/", "explanation/benchmarks/", "reference/"]
NARROW += ["reference/S3Storage/", "reference/command-line/", "how-to/troubleshooting/"]
TALLEST = 40_000  # pixels, at 1400 pixels of width
SHOWN = re.compile(r'<div class="[^"]*doc-signature[^"]*">(.*?)</div>|<td>\s*<code>(.*?)</code>\s*</td>', re.DOTALL)
PRIVATE = re.compile(r"(?<![\w.])_[A-Za-z]\w*")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the site."""
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def url(site):
    """The URL of the site, without its last slash."""
    with serving(site) as url:
        yield url


async def found(page, url, words):
    """The paths of the pages that a search finds, in order."""
    await page.goto("about:blank")  # for a search of its own
    await page.goto(f"{url}/?q={words}")
    results = page.locator(".md-search-result__item > a")
    await results.first.wait_for(state="attached")
    links = [await link.get_attribute("href") for link in await results.all()]
    return [link.partition("?")[0].removeprefix(f"{url}/") for link in links]


async def test_the_search_finds_the_right_page_first(page, url):
    first = {words: (await found(page, url, words))[0] for words in FIRST_FOUND}
    assert first == FIRST_FOUND


async def test_pages_fit_a_telephone_and_load_from_nowhere_else(page, url):
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    await page.set_viewport_size({"width": 390, "height": 844})
    wide = {}
    for path in NARROW:
        await page.goto(f"{url}/{path}")
        width = await page.evaluate("document.documentElement.scrollWidth")
        if width > 390:
            wide[path] = width
    assert wide == {}
    assert [address for address in asked if not address.startswith((f"{url}/", "data:", "blob:"))] == []


async def test_the_switch_of_languages_stays_on_the_page(page, url):
    await page.goto(f"{url}/how-to/migrating-rows/")
    await page.locator(".md-select").first.hover()
    await page.locator("a[hreflang=zh]").click()
    await page.wait_for_url(f"{url}/zh/how-to/migrating-rows/")
    assert (await page.locator("h1").inner_text()).startswith("从 FastDFS 迁移到 S3")
    await page.goto(f"{url}/zh/how-to/delete/")  # without a translation
    assert (await page.locator("h1").inner_text()).startswith("Delete a file")


async def test_no_page_of_the_reference_is_endless(page, url, site):
    tall = {}
    await page.set_viewport_size({"width": 1400, "height": 900})
    sizes = {path: path.stat().st_size for path in site.glob("reference/**/index.html")}
    for path in sorted(sizes, key=sizes.__getitem__)[-10:]:  # the largest files
        name = path.parent.relative_to(site).as_posix()
        await page.goto(f"{url}/{name}/")
        height = await page.evaluate("document.documentElement.scrollHeight")
        if height > TALLEST:
            tall[name] = height
    assert tall == {}


def test_signatures_and_types_name_nothing_private(site):
    named, count = {}, 0
    for path in site.glob("reference/**/index.html"):
        shown = SHOWN.findall(path.read_text(encoding="utf-8"))
        count += len(shown)
        texts = (html.unescape(re.sub(r"<[^>]+>", "", signature or cell)) for signature, cell in shown)
        if names := {name for text in texts for name in PRIVATE.findall(text)}:
            named[path.parent.name] = names
    assert count > 1000
    assert named == {}

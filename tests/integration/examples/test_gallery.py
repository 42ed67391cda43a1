"""`examples/gallery` over HTTP, through a real uvicorn; test_gallery_in_browser.py looks at its pages.

After each test every file is that of a row, or a variant of it.
"""

import asyncio
import json
import re
import subprocess
from html import unescape

import httpx
import pytest
from gallery.app import create_app
from gallery.models import VARIANTS, suggest_alt
from gallery.pages import ON_A_PAGE
from gallery.settings import Settings

from tests.integration.examples.conftest import EXAMPLES, running
from tests.support.corpus import HOSTILE_NAMES
from tests.support.galleries import drain, files_of, make_gallery, rows_of, sizes_of
from tests.support.hostile_images import black_png
from tests.support.images import encode
from tests.support.patience import TIME_OUT
from tests.support.uvicorn_server import served

PNG, JPEG = encode("PNG", (40, 30)), encode("JPEG", (20, 50))
HTML = b"<!DOCTYPE html><script>alert(1)</script>"


@pytest.fixture(params=["local", "s3"])
def app(request, tmp_path):
    yield from make_gallery(request, tmp_path)


only_local = pytest.mark.parametrize("app", ["local"], indirect=True)


@pytest.fixture
async def client(app):
    async with served(app) as url:
        async with httpx.AsyncClient(base_url=url, timeout=TIME_OUT) as client:
            yield client
        await drain(app)
        assert await files_of(app) == {size.file_id for photo in await rows_of(app) for size in sizes_of(photo)}


async def upload(client, content=PNG, name="Grey_sea.png"):
    return await client.post("/photos", files={"file": (name, content)})


def told(html):
    """What the tile of a photograph says."""
    return {name: unescape(value) for name, value in re.findall(r'\s([a-z-]+)="([^"]*)"', html)}


async def page(client):
    return (await client.get("/")).text


async def test_a_photograph_is_uploaded_shown_replaced_and_deleted(app, client):
    created = await upload(client)
    assert created.status_code == 201
    tile = told(created.text)
    assert (tile["data-name"], tile["alt"]) == ("Grey_sea.png", "Grey sea")
    assert (tile["data-width"], tile["data-height"]) == ("40", "30")
    assert created.text.strip() in await page(client)
    urls = {each.partition(" ")[0] for each in tile["srcset"].split(", ")}
    for url, kind in {tile["data-original"]: "image/png", **dict.fromkeys({*urls, tile["href"]}, "image/webp")}.items():
        answer = await client.get(url)
        assert (answer.status_code, answer.headers["content-type"]) == (200, kind)

    replaced = await client.put("/photos/1/image", files={"file": ("b.jpg", JPEG)})
    assert (told(replaced.text)["data-width"], told(replaced.text)["data-height"]) == ("20", "50")
    await drain(app)
    assert (await client.get(tile["data-original"])).status_code == 404
    assert len(await files_of(app)) == 1 + len(VARIANTS)

    assert (await client.delete("/photos/1")).status_code == 204
    await drain(app)
    assert await files_of(app) == set()


@only_local
async def test_a_description_is_changed_and_escaped(client):
    await upload(client)
    answer = await client.put("/photos/1/alt", data={"alt": ' <b>"Sea"\0 '})
    assert 'alt="&lt;b&gt;&#34;Sea&#34;"' in answer.text
    assert answer.text.strip() in await page(client)
    assert told((await client.put("/photos/1/alt", data={"alt": ""})).text)["alt"] == "Grey_sea.png"
    assert (await client.put("/photos/1/alt", data={"alt": "a" * 201})).status_code == 422


@only_local
async def test_a_file_may_be_called_anything(client):
    names = [name for name in HOSTILE_NAMES.values() if name and name == name.encode(errors="ignore").decode()]
    answers = [await upload(client, PNG, name) for name in names]
    assert {answer.status_code for answer in answers} == {201}
    shown = await page(client)
    assert shown.count("<script") == 1
    assert not re.search(r"<(?:b|img src=x)\b", shown.partition('id="grid"')[2].partition("</ul>")[0])


REFUSED = {
    "a page": (HTML, 400, "Refused: the content is not an image of a known format."),
    "of another format": (encode("TIFF"), 400, "Refused: the image cannot be decoded as JPEG, PNG"),
    "damaged": (PNG[:-40], 400, "Refused: the image cannot be decoded"),
    "a bomb": (black_png(9000, 9000), 400, "Refused: 9000 by 9000 pixels are more than the 50000000 allowed."),
    "too large": (PNG + bytes(25_000_000), 413, "This file is too large: 25 MB are the most."),
}


@only_local
@pytest.mark.parametrize(("content", "status", "reason"), REFUSED.values(), ids=REFUSED)
async def test_what_is_refused_is_told_and_replaces_none(client, content, status, reason):
    await upload(client)
    answers = [
        await upload(client, content, "a.png"),
        await client.put("/photos/1/image", files={"file": ("a.png", content)}),
    ]
    for answer in answers:
        assert answer.status_code == status
        assert answer.json()["detail"].startswith(reason)
    assert (await page(client)).count('class="tile"') == 1


@only_local
async def test_far_too_large_a_body_is_refused_while_it_comes(client):
    assert (await upload(client, bytes(27_000_000))).status_code == 413


@only_local
async def test_a_photograph_that_there_is_not_is_told_so(client):
    for number, status in {"9": 404, "0": 422, str(2**63): 422, "x": 422}.items():
        path = f"/photos/{number}"
        answers = [
            await client.put(f"{path}/image", files={"file": ("a.png", PNG)}),
            await client.put(f"{path}/alt", data={"alt": "a"}),
            await client.delete(path),
            await client.get("/", params={"before": number}) if number != "9" else await client.delete(path),
        ]
        assert {answer.status_code for answer in answers} == {status}


async def test_whoever_comes_first_nothing_is_lost_or_left(client):
    await upload(client)
    puts = [client.put("/photos/1/image", files={"file": ("b.png", PNG)}) for _ in range(4)]
    answers = await asyncio.gather(*puts, *(client.delete("/photos/1") for _ in range(4)))
    assert {answer.status_code for answer in answers} <= {200, 204, 404}
    assert 'class="tile"' not in await page(client)


@only_local
async def test_older_photographs_are_on_further_pages(client, monkeypatch):
    monkeypatch.setattr("gallery.pages.ON_A_PAGE", 2)
    for name in "abc":
        await upload(client, name=f"{name}.png")

    newest = await page(client)
    assert re.findall(r'data-name="(.+?)"', newest) == ["c.png", "b.png"]
    [older] = re.findall(r'href="(/\?before=\d+)"', newest)
    oldest = (await client.get(older)).text
    assert re.findall(r'data-name="(.+?)"', oldest) == ["a.png"]
    assert "before=" not in oldest
    assert 'href="/">Newest' in oldest
    assert ON_A_PAGE == 60


async def test_the_page_loads_nothing_but_its_own(app, client, request):
    policy = (await client.get("/")).headers["content-security-policy"]
    allowed = dict(each.split(" ", 1) for each in policy.split("; "))
    assert allowed["default-src"] == "'none'"
    assert {allowed[f"{kind}-src"] for kind in ("script", "style", "connect")} == {"'self'"}
    is_s3 = request.node.callspec.params["app"] == "s3"
    server = request.getfixturevalue("s3_server").endpoint_url if is_s3 else ""
    assert allowed["img-src"] == f"'self' {server}".strip()
    assert not re.search(r"(?:https?:)?//", (await page(client)).replace("http://www.w3.org", ""))
    assert not re.search(r"\s(?:style|on\w+)=", await page(client))


def test_settings_come_from_the_environment(monkeypatch):
    wanted = {"secret_key": "s", "database_url": "sqlite+aiosqlite:///x", "s3": {"default_bucket": "b"}}
    monkeypatch.setenv("GALLERY_SETTINGS", json.dumps(wanted))
    assert Settings.from_environment() == Settings(**wanted)
    monkeypatch.setenv("GALLERY_SETTINGS", "{}")
    with pytest.raises(ValueError, match="secret_key"):
        create_app()


@pytest.mark.parametrize(
    ("name", "alt"), [("Evening_at-the  lake.jpg", "Evening at the lake"), ("", ""), ("a" * 300, "a" * 200)]
)
def test_a_description_is_suggested(name, alt):
    assert suggest_alt(name) == alt


@pytest.mark.parametrize(("arguments", "stays"), [((), 1), (("--s3",), 0)], ids=["local", "s3"])
def test_the_program_starts_stops_on_ctrl_c_and_starts_again(tmp_path, port, arguments, stays):
    with (
        running("gallery", tmp_path, port, *arguments) as (url, said),
        httpx.Client(base_url=url, timeout=TIME_OUT) as client,
    ):
        assert f"Look at it: {url}\n" in said
        created = client.post("/photos", files={"file": ("a.png", PNG)})
        assert client.get(told(created.text)["href"]).headers["content-type"] == "image/webp"
    whole = "".join(said)
    assert "Application shutdown complete" in whole
    assert not [word for word in ("Traceback", "Warning", "WARN", "ERROR") if word in whole], whole

    with running("gallery", tmp_path, port, *arguments) as (url, _):
        assert httpx.get(url, timeout=TIME_OUT).text.count('class="tile"') == stays


def test_make_gallery_runs_that_program():
    command_line = ["make", "--dry-run", "gallery", "PORT=8123", "ARGS=--s3"]
    done = subprocess.run(command_line, cwd=EXAMPLES.parent, capture_output=True, check=True, text=True)
    assert "-m gallery --port 8123 --s3\n" in done.stdout

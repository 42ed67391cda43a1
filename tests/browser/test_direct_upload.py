"""A browser sends a large file straight to its storage, from a page of a few lines."""

import hashlib
import os
import re
from pathlib import Path

import pytest

from tests.support.browser import site
from tests.support.direct import held_by

DOCS = Path(__file__).parents[2] / "docs" / "how-to" / "direct-uploads.md"

SIZE = 50 << 20
PAGE = """<!doctype html><title>Films</title><input type="file"><output></output><script>
const post = (url, body) =>
  fetch(url, {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)})

async function send(file, {method, url, headers, fields}) {
  if (method === "PUT") return fetch(url, {method, headers, body: file})
  const form = new FormData()
  for (const [name, value] of Object.entries(fields)) form.append(name, value)
  form.append("file", file)
  return fetch(url, {method, body: form})
}

async function upload(file, method) {
  const begun = await (await post("/uploads", {filename: file.name, size: file.size, method})).json()
  await send(file, begun)
  return (await post("/films", {key: begun.key})).json()
}
</script>"""
UPLOAD = "method => upload(document.querySelector('input').files[0], method)"


@pytest.fixture
def film(tmp_path):
    path = tmp_path / "Söhne.mp4"
    path.write_bytes(b"\0\0\0\x18ftypmp42" + os.urandom(SIZE - 12))
    return path


async def digest_of(file):
    digest = hashlib.sha256()
    async for chunk in file.stream():
        digest.update(chunk)
    return digest.digest()


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_a_large_file_arrives_as_it_is(page, make_storage, film, method):
    async with site(page, make_storage, PAGE) as (_, _, storage):
        await page.set_input_files("input", film)
        file = storage.file(await page.evaluate(UPLOAD, method))

        assert file.filename == film.name
        assert await digest_of(file) == hashlib.sha256(film.read_bytes()).digest()
        assert await held_by(storage) == [file.file_id]


async def test_the_page_of_the_docs(page, make_storage, tmp_path):
    [code] = [code for code in re.findall(r"```js\n(.*?)```", DOCS.read_text(), re.DOTALL) if "input.files" in code]
    small = tmp_path / "köln.mp4"
    small.write_bytes(b"\0\0\0\x18ftypmp42")
    async with site(page, make_storage, PAGE) as (_, _, storage):
        await page.set_input_files("input", small)
        route = code.replace('"/photos"', '"/films"')
        await page.evaluate(f"async () => {{ const input = document.querySelector('input')\n{route} }}")
        [file_id] = await held_by(storage)
        file = storage.file(file_id)
        assert (file.filename, await file.read()) == (small.name, small.read_bytes())
        assert "pending/" not in file_id  # it was attached


@pytest.mark.parametrize("make_storage", ["s3"], indirect=True)
async def test_a_page_that_the_bucket_does_not_let_in_sends_nothing(page, make_storage, tmp_path):
    small = tmp_path / "a.txt"
    small.write_bytes(b"content")
    async with site(page, make_storage, PAGE, origin="https://other.example") as (_, _, storage):
        await page.set_input_files("input", small)
        with pytest.raises(Exception, match="Failed to fetch"):
            await page.evaluate(UPLOAD, "PUT")
        assert await held_by(storage) == []

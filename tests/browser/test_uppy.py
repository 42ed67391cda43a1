"""Uppy with its AwsS3 plugin, as npm has it, against the endpoints that it calls; no JavaScript between the two."""

from pathlib import Path

import pytest
from fastapi import Depends, FastAPI, Request, Response

from async_storages.integrations.fastapi import DirectUploads, direct_router
from tests.support.browser import site
from tests.support.direct import held_by
from tests.support.npm import run, script_of
from tests.support.s3 import open_uploads

PLUGINS = {"6.3.1": "companionEndpoint", "4.3.2": "endpoint"}
"""Versions of @uppy/aws-s3, and the option that names the application; `uppy/` pins what npm brings for each."""

ENTRY = 'export {default as Uppy} from "@uppy/core"; export {default as AwsS3} from "@uppy/aws-s3"'

PAGE = """<!doctype html><title>Films</title><script type="module">
import {Uppy, AwsS3} from "/uppy.js"

const isLarge = ({size}) => size > 1e6
const content = size => Uint8Array.from({length: size}, (_, index) => index % 251)

window.uppy = (option, wanted) => {
  const uppy = new Uppy().use(AwsS3, {[option]: "/uploads", shouldUseMultipart: isLarge, limit: 1})
  for (const [name, size] of Object.entries(wanted)) uppy.addFile({name, data: new File([content(size)], name)})
  return uppy
}

window.upload = async (option, wanted) => {
  const uppy = window.uppy(option, wanted)
  let paused = false
  uppy.on("s3-multipart:part-uploaded", ({id, size}) => {
    if (paused || !isLarge({size})) return
    paused = uppy.pauseResume(id)
    setTimeout(() => uppy.pauseResume(id))
  })
  const {successful} = await uppy.upload()
  return Object.fromEntries(successful.map(file => [file.name, file.response.body.key]))
}

window.giveUp = (option, wanted) => new Promise(resolve => {
  const uppy = window.uppy(option, wanted)
  uppy.on("s3-multipart:part-uploaded", () => resolve(uppy.cancelAll()))
  uppy.upload()
})
</script>"""


@pytest.fixture(params=PLUGINS)
def plugin(request):
    """A script with the plugin, and the option that names the application."""
    pinned = Path(__file__).with_name("uppy") / request.param
    return script_of(pinned, f"uppy-{request.param}", bundle), PLUGINS[request.param]


def bundle(folder):
    """Make one script of npm's packages."""
    (folder / "entry.js").write_text(ENTRY)
    made = folder / "made.js"
    run("npx", "esbuild", "entry.js", "--bundle", "--format=esm", f"--outfile={made}", cwd=folder)
    return made


SIZES = {"small.txt": 1000, "film.bin": 12_000_000}


async def test_uppy_calls_every_endpoint_and_leaves_what_it_should(page, make_storage, plugin):
    script, option = plugin
    called, attached = set(), []

    async def note(request: Request):
        called.add((request.method, request.scope["route"].path.removeprefix("/uploads")))

    async with site(page, make_storage, PAGE, dependencies=[Depends(note)]) as (app, url, storage):

        @app.get("/uppy.js")
        async def uppy():
            return Response(script, media_type="text/javascript")

        await page.goto(url)
        keys = await page.evaluate("([option, sizes]) => upload(option, sizes)", [option, SIZES])
        assert keys.keys() == SIZES.keys()
        for name, key in keys.items():
            answer = await page.request.post(f"{url}/films", data={"key": key})
            attached.append(await answer.json())
            assert await storage.file(attached[-1]).read() == bytes(index % 251 for index in range(SIZES[name]))

        async with page.expect_request_finished(lambda request: request.method == "DELETE"):
            await page.evaluate("([option, sizes]) => giveUp(option, sizes)", [option, {"film.bin": 12_000_000}])

    async with storage:
        assert await held_by(storage) == sorted(attached)
    assert storage.scheme != "s3" or await open_uploads(storage) == []
    assert called == endpoints_of(storage)


def endpoints_of(storage):
    """Those that are there for Uppy."""
    app = FastAPI()
    app.include_router(direct_router(DirectUploads(storage, "any secret")))
    paths = app.openapi()["paths"]
    methods = [(method.upper(), path.removeprefix("/uploads")) for path, found in paths.items() for method in found]
    return {(method, path) for method, path in methods if "/s3/" in path}

"""A site of one page in a real browser, whose files go straight to their storage."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import pytest
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from pydantic import BaseModel

from async_storages import LocalStorage, Storage
from async_storages.integrations.fastapi import (
    DirectUploads,
    direct_router,
    register_exception_handlers,
    signed_uploads,
)
from tests.support.patience import HANGS
from tests.support.uvicorn_server import served

SECRET = "a secret of the site"
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (  # without the network ones it calls home, many times at a start
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


@asynccontextmanager
async def browser_page(**options: Any) -> AsyncIterator[Any]:
    """A page of a headless Chromium, with Playwright's options; the test is skipped without one, which fails in CI."""
    playwright = pytest.importorskip("playwright.async_api")
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip(f"none of {', '.join(PROGRAMS)} is installed")
    async with playwright.async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=program, args=FLAGS, timeout=HANGS * 1000)
        try:
            page = await browser.new_page(**options)
            page.set_default_timeout(HANGS * 1000)
            yield page
        finally:
            await browser.close()


class Uploaded(BaseModel):
    """What the page tells the application when a file has arrived."""

    key: str


class Site(NamedTuple):
    """An application that is served, its page open in the browser."""

    app: FastAPI
    url: str
    storage: Storage


@asynccontextmanager
async def site(page, make_storage, html, *, origin=None, dependencies=()) -> AsyncIterator[Site]:
    """The page `html`, which may begin direct uploads and have them attached by ``POST /films``.

    A bucket lets in pages of `origin`, by default this one.
    """
    app = FastAPI()
    register_exception_handlers(app)

    @app.get("/", response_class=HTMLResponse)
    async def show():
        return html

    async with served(app) as url, make_storage(url) as storage:
        uploads = DirectUploads(storage, SECRET, folder="films")
        app.include_router(direct_router(uploads), dependencies=dependencies)
        if isinstance(storage, LocalStorage):
            app.include_router(signed_uploads(storage), prefix="/stored")
        else:
            await storage.bucket_admin.allow_origins([origin or url])

        @app.post("/films")
        async def attach(uploaded: Uploaded) -> str:
            return (await uploads.attach(uploaded.key)).file_id

        await page.goto(url)
        yield Site(app, url, storage)
        await page.goto("about:blank")  # its connections are closed before the server is
